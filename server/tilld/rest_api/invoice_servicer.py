"""till.rest.v1.InvoiceService: in, do, out."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from google.api.httpbody_pb2 import HttpBody

from till_rest.v1 import invoice_service_pb2 as pb
from till_rest.v1 import invoice_service_pb2_grpc
from tilld.auth.access import caller
from tilld.invoices.invoice import Invoice
from tilld.invoices.service import Invoices
from tilld.rest_api import body, invoice_json
from tilld.rest_api.idempotency_key import idempotency_key
from tilld.rest_api.sse import FINAL_ID, events

Context = grpc.aio.ServicerContext[Any, Any]


class RestInvoiceServicer(invoice_service_pb2_grpc.InvoiceServiceServicer):
    """The documented API."""

    def __init__(self, invoicing: Invoices, heartbeat_seconds: float) -> None:
        self._invoicing = invoicing
        self._heartbeat_seconds = heartbeat_seconds

    async def CreateInvoice(self, request: pb.CreateInvoiceRequest, context: Context) -> HttpBody:
        """Create an invoice."""
        asked = body.create_request(request.raw.data, idempotency_key(context))
        return self._invoice(await self._invoicing.create(caller.get(), asked.order), asked.watch_token)

    async def GetInvoice(self, request: pb.GetInvoiceRequest, context: Context) -> HttpBody:
        """Read an invoice by its public id."""
        return self._invoice(await self._invoicing.get(caller.get(), request.invoice_id), request.watch_token)

    async def GetInvoiceById(self, request: pb.GetInvoiceByIdRequest, context: Context) -> HttpBody:
        """Read an invoice by its internal id."""
        return _json(invoice_json.invoice(await self._invoicing.get_by_id(caller.get(), request.id)))

    async def WatchInvoice(
        self, request: pb.WatchInvoiceRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        """Follow an invoice until it is final, as server-sent events."""
        # An EventSource reconnects after every end, unless it is told that there is no more. Its word that it
        # knows the end is not taken for that.
        if _headers(context).get("last-event-id") == FINAL_ID:
            invoice = await self._invoicing.get(caller.get(), request.invoice_id)
            if invoice.is_final:
                await context.send_initial_metadata((("x-till-no-content", "1"),))
                return
        async for event in events(
            self._invoicing.watch(caller.get(), request.invoice_id), self._heartbeat_seconds
        ):
            yield HttpBody(content_type="text/event-stream", data=event.encode())

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> HttpBody:
        """Tell about Till and its node."""
        return _json(invoice_json.info(await self._invoicing.info(caller.get())))

    def _invoice(self, invoice: Invoice, watch_token: bool) -> HttpBody:
        token = self._invoicing.watch_token(caller.get(), invoice) if watch_token else None
        return _json(invoice_json.invoice(invoice, token))


def _headers(context: Context) -> dict[str, Any]:
    return dict(context.invocation_metadata() or ())


def _json(text: str) -> HttpBody:
    return HttpBody(content_type="application/json", data=text.encode())
