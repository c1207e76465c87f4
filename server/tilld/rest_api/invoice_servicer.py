"""Serves till.rest.v1.InvoiceService."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from google.api.httpbody_pb2 import HttpBody

from till_rest.v1 import invoice_service_pb2 as pb
from till_rest.v1 import invoice_service_pb2_grpc
from tilld.auth.access import caller
from tilld.invoices.invoice import Invoice
from tilld.invoices.service import Invoices
from tilld.lists.service import InvoiceLists
from tilld.rest_api import list_query
from tilld.rest_api.http import Context, header, idempotency_key, json_body
from tilld.rest_api.schemas import info_json, invoice_json, list_json
from tilld.rest_api.schemas.create_json import create_request
from tilld.rest_api.sse import CONTENT_TYPE, FINAL_ID, events

ATTACHMENT = (("content-disposition", 'attachment; filename="invoices.csv"'),)


class RestInvoiceServicer(invoice_service_pb2_grpc.InvoiceServiceServicer):
    """The documented REST API of invoices."""

    def __init__(self, invoices: Invoices, lists: InvoiceLists, heartbeat_seconds: float) -> None:
        self._invoices = invoices
        self._lists = lists
        self._heartbeat_seconds = heartbeat_seconds

    async def CreateInvoice(self, request: pb.CreateInvoiceRequest, context: Context) -> HttpBody:
        """Create an invoice."""
        asked = create_request(request.raw.data, idempotency_key(context))
        made = await self._invoices.create(caller.get(), asked.terms, webhook_field="webhook")
        token = self._invoices.watch_token(caller.get(), made.invoice) if asked.watch_token else None
        return json_body(invoice_json.created(made, token))

    async def GetInvoice(self, request: pb.GetInvoiceRequest, context: Context) -> HttpBody:
        """Read an invoice by its public id."""
        return self._invoice(await self._invoices.get(caller.get(), request.invoice_id), request.watch_token)

    async def GetInvoiceById(self, request: pb.GetInvoiceByIdRequest, context: Context) -> HttpBody:
        """Read an invoice by its internal id."""
        return json_body(invoice_json.invoice(await self._invoices.get_by_id(caller.get(), request.id)))

    async def WatchInvoice(
        self, request: pb.WatchInvoiceRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        """Yield the states of an invoice until it is final, as server-sent events."""
        # An EventSource reconnects after every end, except after status 204. The client's Last-Event-ID alone
        # does not prove that the invoice is final.
        if header(context, "last-event-id") == FINAL_ID:
            invoice = await self._invoices.get(caller.get(), request.invoice_id)
            if invoice.is_final:
                await context.send_initial_metadata((("x-till-no-content", "1"),))
                return
        async for event in events(
            self._invoices.watch(caller.get(), request.invoice_id), self._heartbeat_seconds
        ):
            yield HttpBody(content_type=CONTENT_TYPE, data=event.encode())

    async def ListInvoices(self, request: pb.ListInvoicesRequest, context: Context) -> HttpBody:
        """Return a page of invoices."""
        page = await self._lists.page(caller.get(), list_query.list_terms(request))
        return json_body(list_json.page(page))

    async def ExportInvoices(
        self, request: pb.ExportInvoicesRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        """Yield the lines of a CSV file of invoices."""
        terms, zone = list_query.export_terms(request)
        is_begun = False
        async with aclosing(self._lists.export(caller.get(), terms, zone)) as parts:
            async for part in parts:
                if not is_begun:  # an error has another type, and is no attachment
                    await context.send_initial_metadata(ATTACHMENT)
                    is_begun = True
                yield HttpBody(content_type="text/csv; charset=utf-8", data=part.text.encode())

    async def CancelInvoice(self, request: pb.CancelInvoiceRequest, context: Context) -> HttpBody:
        """Cancel an invoice."""
        return self._invoice(await self._invoices.cancel(caller.get(), request.invoice_id), watch_token=False)

    async def GetReport(self, request: pb.GetReportRequest, context: Context) -> HttpBody:
        """Read the number and the sum of payments, by group."""
        terms = list_query.report_terms(request)
        return json_body(list_json.report(terms, await self._lists.report(caller.get(), terms)))

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> HttpBody:
        """Read the totals and the node."""
        return json_body(info_json.info(await self._invoices.info(caller.get())))

    def _invoice(self, invoice: Invoice, watch_token: bool) -> HttpBody:
        token = self._invoices.watch_token(caller.get(), invoice) if watch_token else None
        return json_body(invoice_json.invoice(invoice, token))
