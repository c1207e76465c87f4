"""Serves till.v1.InvoiceService."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from till.v1 import invoice_service_pb2 as pb
from till.v1 import invoice_service_pb2_grpc
from tilld.auth.access import caller
from tilld.errors import InvalidRequest
from tilld.grpc_api import Context, list_messages, messages
from tilld.invoices.invoice import Invoice
from tilld.invoices.service import Invoices
from tilld.lists.service import InvoiceLists


class InvoiceServicer(invoice_service_pb2_grpc.InvoiceServiceServicer):
    """The typed API of invoices."""

    def __init__(self, invoices: Invoices, lists: InvoiceLists) -> None:
        self._invoices = invoices
        self._lists = lists
        self._last: Invoice | None = None
        self._last_message = pb.WatchInvoiceResponse()

    async def CreateInvoice(
        self, request: pb.CreateInvoiceRequest, context: Context
    ) -> pb.CreateInvoiceResponse:
        """Create an invoice."""
        invoice, payability, webhook = await self._invoices.create(
            caller.get(), messages.invoice_terms(request)
        )
        token = self._invoices.watch_token(caller.get(), invoice) if request.with_watch_token else None
        return pb.CreateInvoiceResponse(
            invoice=messages.invoice(invoice),
            watch_token=token,
            payability=messages.payability(payability),
            webhook=webhook and pb.InvoiceWebhook(id=webhook.id, secret=webhook.secret),
        )

    async def GetInvoice(self, request: pb.GetInvoiceRequest, context: Context) -> pb.GetInvoiceResponse:
        """Read an invoice by its public id."""
        invoice = await self._invoices.get(caller.get(), request.invoice_id)
        token = self._invoices.watch_token(caller.get(), invoice) if request.with_watch_token else None
        return pb.GetInvoiceResponse(invoice=messages.invoice(invoice), watch_token=token)

    async def GetInvoiceById(
        self, request: pb.GetInvoiceByIdRequest, context: Context
    ) -> pb.GetInvoiceByIdResponse:
        """Read an invoice by its internal id."""
        invoice = await self._invoices.get_by_id(caller.get(), request.id)
        return pb.GetInvoiceByIdResponse(invoice=messages.invoice(invoice))

    async def LookupInvoice(
        self, request: pb.LookupInvoiceRequest, context: Context
    ) -> pb.LookupInvoiceResponse:
        """Return an invoice by its label, payment hash or payment request."""
        match request.WhichOneof("key"):
            case "label":
                invoice = await self._invoices.get_by_label(caller.get(), request.label)
            case "payment_hash":
                invoice = await self._invoices.get_by_payment_hash(caller.get(), request.payment_hash)
            case "bolt11":
                invoice = await self._invoices.get_by_bolt11(caller.get(), request.bolt11)
            case _:
                raise InvalidRequest("one of label, payment_hash and bolt11 is required")
        return pb.LookupInvoiceResponse(invoice=messages.invoice(invoice))

    async def WatchInvoice(
        self, request: pb.WatchInvoiceRequest, context: Context
    ) -> AsyncIterator[pb.WatchInvoiceResponse]:
        """Yield the states of an invoice until it is final."""
        states = self._invoices.watch(caller.get(), request.invoice_id)
        # Free the message: a watch waits for hours, and there are thousands.
        del request
        async for invoice in states:
            yield self._message(invoice)
            del invoice

    async def ListInvoices(
        self, request: pb.ListInvoicesRequest, context: Context
    ) -> pb.ListInvoicesResponse:
        """Return a page of invoices."""
        return list_messages.page(await self._lists.page(caller.get(), list_messages.list_terms(request)))

    async def ExportInvoices(
        self, request: pb.ExportInvoicesRequest, context: Context
    ) -> AsyncIterator[pb.ExportInvoicesResponse]:
        """Yield the lines of a CSV file of invoices."""
        terms, zone = list_messages.export_terms(request)
        async with aclosing(self._lists.export(caller.get(), terms, zone)) as parts:
            async for part in parts:
                yield pb.ExportInvoicesResponse(csv=part.text, invoices=part.invoices)

    async def CancelInvoice(
        self, request: pb.CancelInvoiceRequest, context: Context
    ) -> pb.CancelInvoiceResponse:
        """Cancel an invoice."""
        invoice = await self._invoices.cancel(caller.get(), request.invoice_id)
        return pb.CancelInvoiceResponse(invoice=messages.invoice(invoice))

    async def GetReport(self, request: pb.GetReportRequest, context: Context) -> pb.GetReportResponse:
        """Read the number and the sum of payments, by group."""
        report = await self._lists.report(caller.get(), list_messages.report_terms(request))
        return list_messages.report(report)

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.GetInfoResponse:
        """Read the totals and the node."""
        return messages.info(await self._invoices.info(caller.get()))

    def _message(self, invoice: Invoice) -> pb.WatchInvoiceResponse:
        """Return the message of a state, built once for all watches of an invoice (served in turn)."""
        if self._last is not invoice:
            self._last = invoice
            self._last_message = pb.WatchInvoiceResponse(invoice=messages.invoice(invoice))
        return self._last_message
