"""Serves till.v1.InvreqService."""

from till.v1 import invreq_pb2, invreq_service_pb2_grpc
from till.v1 import invreq_service_pb2 as pb
from tilld.auth.access import caller
from tilld.grpc_api import Context, messages
from tilld.payouts.invreq import Invreq
from tilld.payouts.service import Payouts
from tilld.sent_invoices.service import SentInvoices


class InvreqServicer(invreq_service_pb2_grpc.InvreqServiceServicer):
    """The typed API of invoice requests."""

    def __init__(self, payouts: Payouts, sent_invoices: SentInvoices) -> None:
        self._payouts = payouts
        self._sent_invoices = sent_invoices

    async def SendInvoice(self, request: pb.SendInvoiceRequest, context: Context) -> pb.SendInvoiceResponse:
        """Send an invoice, and wait until it is paid."""
        terms = messages.send_terms(request, caller.get().type)
        sent = await self._sent_invoices.send(caller.get(), terms, context.time_remaining())
        return messages.sent_invoice(sent)

    async def CreateInvreq(
        self, request: pb.CreateInvreqRequest, context: Context
    ) -> pb.CreateInvreqResponse:
        """Create an invoice request."""
        invreq = await self._payouts.create(caller.get(), messages.invreq_terms(request))
        return pb.CreateInvreqResponse(invreq=(await self._messages([invreq]))[0])

    async def GetInvreq(self, request: pb.GetInvreqRequest, context: Context) -> pb.GetInvreqResponse:
        """Read an invoice request."""
        invreq = await self._payouts.get(caller.get(), request.invreq_id)
        return pb.GetInvreqResponse(invreq=(await self._messages([invreq]))[0])

    async def ListInvreqs(self, request: pb.ListInvreqsRequest, context: Context) -> pb.ListInvreqsResponse:
        """List invoice requests."""
        limit = messages.page_size(request.page_size)
        invreqs = await self._payouts.page(caller.get(), request.page_token, limit, "page_token")
        more = invreqs[-1].invreq_id if len(invreqs) == limit else ""
        return pb.ListInvreqsResponse(invreqs=await self._messages(invreqs), next_page_token=more)

    async def DisableInvreq(
        self, request: pb.DisableInvreqRequest, context: Context
    ) -> pb.DisableInvreqResponse:
        """Disable an invoice request."""
        invreq = await self._payouts.disable(caller.get(), request.invreq_id)
        return pb.DisableInvreqResponse(invreq=(await self._messages([invreq]))[0])

    async def _messages(self, invreqs: list[Invreq]) -> list[invreq_pb2.Invreq]:
        return list(map(messages.invreq, invreqs, await self._payouts.statuses(invreqs)))
