"""InvoiceService: in, do, out."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from till.v1 import invoice_service_pb2 as pb
from till.v1 import invoice_service_pb2_grpc
from tilld.auth.access import caller
from tilld.errors import InvalidRequest
from tilld.grpc_api import messages
from tilld.invoices.invoice import Invoice
from tilld.invoices.service import Invoices

Context = grpc.aio.ServicerContext[Any, Any]


class InvoiceServicer(invoice_service_pb2_grpc.InvoiceServiceServicer):
    """The typed API."""

    def __init__(self, invoicing: Invoices) -> None:
        self._invoicing = invoicing
        self._last: Invoice | None = None
        self._last_message = pb.WatchInvoiceResponse()

    async def CreateInvoice(
        self, request: pb.CreateInvoiceRequest, context: Context
    ) -> pb.CreateInvoiceResponse:
        """Create an invoice."""
        invoice = await self._invoicing.create(caller.get(), messages.order(request))
        token = self._invoicing.watch_token(caller.get(), invoice) if request.with_watch_token else None
        return pb.CreateInvoiceResponse(invoice=messages.invoice(invoice), watch_token=token)

    async def GetInvoice(self, request: pb.GetInvoiceRequest, context: Context) -> pb.GetInvoiceResponse:
        """Read an invoice by its public id."""
        invoice = await self._invoicing.get(caller.get(), request.invoice_id)
        token = self._invoicing.watch_token(caller.get(), invoice) if request.with_watch_token else None
        return pb.GetInvoiceResponse(invoice=messages.invoice(invoice), watch_token=token)

    async def GetInvoiceById(
        self, request: pb.GetInvoiceByIdRequest, context: Context
    ) -> pb.GetInvoiceByIdResponse:
        """Read an invoice by its internal id."""
        invoice = await self._invoicing.get_by_id(caller.get(), request.id)
        return pb.GetInvoiceByIdResponse(invoice=messages.invoice(invoice))

    async def LookupInvoice(
        self, request: pb.LookupInvoiceRequest, context: Context
    ) -> pb.LookupInvoiceResponse:
        """Find an invoice by what else is known of it."""
        match request.WhichOneof("key"):
            case "label":
                invoice = await self._invoicing.get_by_label(caller.get(), request.label)
            case "payment_hash":
                invoice = await self._invoicing.get_by_payment_hash(caller.get(), request.payment_hash)
            case "bolt11":
                invoice = await self._invoicing.get_by_bolt11(caller.get(), request.bolt11)
            case _:
                raise InvalidRequest("give one of label, payment_hash and bolt11")
        return pb.LookupInvoiceResponse(invoice=messages.invoice(invoice))

    async def WatchInvoice(
        self, request: pb.WatchInvoiceRequest, context: Context
    ) -> AsyncIterator[pb.WatchInvoiceResponse]:
        """Follow an invoice until it is final."""
        states = self._invoicing.watch(caller.get(), request.invoice_id)
        # Messages are large, for what waits for hours and in thousands.
        del request
        async for invoice in states:
            yield self._message(invoice)
            del invoice

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.GetInfoResponse:
        """Tell about Till and its node."""
        return messages.info(await self._invoicing.info(caller.get()))

    def _message(self, invoice: Invoice) -> pb.WatchInvoiceResponse:
        """What tells a state; made once for all who watch one invoice, who are told one after the other."""
        if self._last is not invoice:
            self._last = invoice
            self._last_message = pb.WatchInvoiceResponse(invoice=messages.invoice(invoice))
        return self._last_message
