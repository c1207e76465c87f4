"""InvreqService: in, do, out."""

from typing import Any

import grpc.aio

from till.v1 import invreq_pb2
from till.v1 import invreq_service_pb2 as pb
from tilld.auth.access import caller
from tilld.grpc_api import invreq_messages, messages
from tilld.grpc_api.sending_servicer import SendingServicer
from tilld.payouts.invreq import Invreq
from tilld.payouts.service import Payouts
from tilld.sent_invoices.service import SentInvoices

Context = grpc.aio.ServicerContext[Any, Any]


class InvreqServicer(SendingServicer):
    """The typed API of invoice requests."""

    def __init__(self, payouts: Payouts, collecting: SentInvoices) -> None:
        super().__init__(collecting)
        self._payouts = payouts

    async def CreateInvreq(
        self, request: pb.CreateInvreqRequest, context: Context
    ) -> pb.CreateInvreqResponse:
        """Offer a payment."""
        invreq = await self._payouts.create(caller.get(), invreq_messages.order(request))
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
        """End an invoice request."""
        invreq = await self._payouts.disable(caller.get(), request.invreq_id)
        return pb.DisableInvreqResponse(invreq=(await self._messages([invreq]))[0])

    async def _messages(self, invreqs: list[Invreq]) -> list[invreq_pb2.Invreq]:
        return list(map(invreq_messages.invreq, invreqs, await self._payouts.statuses(invreqs)))
