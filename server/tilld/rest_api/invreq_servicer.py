"""Serves till.rest.v1.InvreqService."""

from google.api.httpbody_pb2 import HttpBody

from till_rest.v1 import invreq_service_pb2 as pb
from till_rest.v1 import invreq_service_pb2_grpc
from tilld.auth.access import caller
from tilld.config import USUAL, Intervals
from tilld.payouts.service import Payouts
from tilld.rest_api.http import Context, idempotency_key, json_body
from tilld.rest_api.schemas import invreq_json, sendinvoice_json
from tilld.sent_invoices.service import SentInvoices


class RestInvreqServicer(invreq_service_pb2_grpc.InvreqServiceServicer):
    """The documented REST API of invoice requests."""

    def __init__(self, payouts: Payouts, sent_invoices: SentInvoices, intervals: Intervals = USUAL) -> None:
        self._payouts = payouts
        self._sent_invoices = sent_invoices
        self._page = intervals.invreq_page

    async def SendInvoice(self, request: pb.SendInvoiceRequest, context: Context) -> HttpBody:
        """Send an invoice, and wait until it is paid."""
        terms = sendinvoice_json.send_terms(request.raw.data, caller.get().type, idempotency_key(context))
        sent = await self._sent_invoices.send(caller.get(), terms, context.time_remaining())
        return json_body(sendinvoice_json.sent_invoice(sent))

    async def CreateInvreq(self, request: pb.CreateInvreqRequest, context: Context) -> HttpBody:
        """Create an invoice request."""
        terms = invreq_json.invreq_terms(request.raw.data, idempotency_key(context))
        return json_body(invreq_json.invreq(await self._payouts.create(caller.get(), terms)))

    async def GetInvreq(self, request: pb.GetInvreqRequest, context: Context) -> HttpBody:
        """Read an invoice request."""
        return json_body(invreq_json.invreq(await self._payouts.get(caller.get(), request.invreq_id)))

    async def ListInvreqs(self, request: pb.ListInvreqsRequest, context: Context) -> HttpBody:
        """List invoice requests."""
        invreqs = await self._payouts.page(caller.get(), request.after, self._page, "after")
        return json_body(invreq_json.invreqs(invreqs))

    async def DisableInvreq(self, request: pb.DisableInvreqRequest, context: Context) -> HttpBody:
        """Disable an invoice request."""
        return json_body(invreq_json.invreq(await self._payouts.disable(caller.get(), request.invreq_id)))
