"""SendInvoice of InvreqService: in, do, out."""

from typing import Any

import grpc.aio

from till.v1 import invreq_service_pb2 as pb
from till.v1 import invreq_service_pb2_grpc
from tilld.auth.access import caller
from tilld.grpc_api import messages
from tilld.sent_invoices.attempt import SendTerms, Sent
from tilld.sent_invoices.service import SentInvoices

Context = grpc.aio.ServicerContext[Any, Any]


class SendingServicer(invreq_service_pb2_grpc.InvreqServiceServicer):
    """The part of InvreqService that collects."""

    def __init__(self, collecting: SentInvoices) -> None:
        self._collecting = collecting

    async def SendInvoice(self, request: pb.SendInvoiceRequest, context: Context) -> pb.SendInvoiceResponse:
        """Send an invoice, and wait until it is paid."""
        order = _order(request, caller.get().type)
        return _response(await self._collecting.send(caller.get(), order, context.time_remaining()))


def _order(request: pb.SendInvoiceRequest, key_type: str | None) -> SendTerms:
    return SendTerms.checked(
        invreq=request.invreq,
        label=request.label,
        amount_msat=request.amount_msat if request.HasField("amount_msat") else None,
        timeout=messages.seconds(request.timeout) if request.HasField("timeout") else None,
        quantity=request.quantity if request.HasField("quantity") else None,
        metadata=request.metadata if request.HasField("metadata") else None,
        key_type=key_type,
    )


def _response(sent: Sent) -> pb.SendInvoiceResponse:
    return pb.SendInvoiceResponse(
        invoice=messages.invoice(sent.invoice),
        payment_preimage=sent.payment_preimage,
        created_index=sent.created_index,
        updated_index=sent.updated_index,
    )
