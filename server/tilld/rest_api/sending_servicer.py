"""SendInvoice of till.rest.v1.InvreqService: in, do, out."""

from typing import Any

import grpc.aio
from google.api.httpbody_pb2 import HttpBody

from till_rest.v1 import invreq_service_pb2 as pb
from till_rest.v1 import invreq_service_pb2_grpc
from tilld.auth.access import caller
from tilld.rest_api import sendinvoice_json
from tilld.rest_api.idempotency_key import idempotency_key
from tilld.sent_invoices.service import SentInvoices

Context = grpc.aio.ServicerContext[Any, Any]


class RestSendingServicer(invreq_service_pb2_grpc.InvreqServiceServicer):
    """The part of till.rest.v1.InvreqService that collects."""

    def __init__(self, collecting: SentInvoices) -> None:
        self._collecting = collecting

    async def SendInvoice(self, request: pb.SendInvoiceRequest, context: Context) -> HttpBody:
        """Send an invoice, and wait until it is paid."""
        order = sendinvoice_json.order(request.raw.data, caller.get().type, idempotency_key(context))
        sent = await self._collecting.send(caller.get(), order, context.time_remaining())
        return HttpBody(content_type="application/json", data=sendinvoice_json.rendered(sent).encode())
