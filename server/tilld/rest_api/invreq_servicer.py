"""till.rest.v1.InvreqService: in, do, out."""

from typing import Any

import grpc.aio
from google.api.httpbody_pb2 import HttpBody

from till_rest.v1 import invreq_service_pb2 as pb
from tilld.auth.access import caller
from tilld.payouts.service import Payouts
from tilld.rest_api import invreq_body, invreq_json
from tilld.rest_api.idempotency_key import idempotency_key
from tilld.rest_api.sending_servicer import RestSendingServicer
from tilld.sent_invoices.service import SentInvoices

Context = grpc.aio.ServicerContext[Any, Any]

# Envoy lets 1 MiB pass, and one of them may have some kilobytes.
PAGE = 100


class RestInvreqServicer(RestSendingServicer):
    """The documented API of invoice requests."""

    def __init__(self, payouts: Payouts, collecting: SentInvoices) -> None:
        super().__init__(collecting)
        self._payouts = payouts

    async def CreateInvreq(self, request: pb.CreateInvreqRequest, context: Context) -> HttpBody:
        """Offer a payment."""
        order = invreq_body.invreq_order(request.raw.data, idempotency_key(context))
        return _json(invreq_json.invreq(await self._payouts.create(caller.get(), order)))

    async def GetInvreq(self, request: pb.GetInvreqRequest, context: Context) -> HttpBody:
        """Read an invoice request."""
        return _json(invreq_json.invreq(await self._payouts.get(caller.get(), request.invreq_id)))

    async def ListInvreqs(self, request: pb.ListInvreqsRequest, context: Context) -> HttpBody:
        """List invoice requests."""
        return _json(
            invreq_json.invreqs(await self._payouts.page(caller.get(), request.after, PAGE, "after"))
        )

    async def DisableInvreq(self, request: pb.DisableInvreqRequest, context: Context) -> HttpBody:
        """End an invoice request."""
        return _json(invreq_json.invreq(await self._payouts.disable(caller.get(), request.invreq_id)))


def _json(text: str) -> HttpBody:
    return HttpBody(content_type="application/json", data=text.encode())
