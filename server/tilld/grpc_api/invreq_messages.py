"""Invoice requests ⇄ protobuf."""

from google.protobuf.timestamp_pb2 import Timestamp

from till.v1 import invreq_pb2, invreq_service_pb2
from tilld.formats.times import unix_seconds
from tilld.grpc_api import messages
from tilld.payouts.invreq import Invreq, InvreqStatus, InvreqTerms

STATUS = {
    InvreqStatus.ACTIVE: invreq_pb2.INVREQ_STATUS_ACTIVE,
    InvreqStatus.BEING_PAID: invreq_pb2.INVREQ_STATUS_BEING_PAID,
    InvreqStatus.USED: invreq_pb2.INVREQ_STATUS_USED,
    InvreqStatus.FAILED: invreq_pb2.INVREQ_STATUS_FAILED,
    InvreqStatus.EXPIRED: invreq_pb2.INVREQ_STATUS_EXPIRED,
    InvreqStatus.DISABLED: invreq_pb2.INVREQ_STATUS_DISABLED,
}


def order(request: invreq_service_pb2.CreateInvreqRequest) -> InvreqTerms:
    """Read an order from a request. Raises InvalidRequest, naming the field and the limit."""
    return InvreqTerms.checked(
        amount_msat=request.amount_msat,
        description=request.description,
        issuer=request.issuer if request.HasField("issuer") else None,
        label=request.label if request.HasField("label") else None,
        absolute_expiry=messages.time(request.expires_at, "expires_at")
        if request.HasField("expires_at")
        else None,
        single_use=request.single_use if request.HasField("single_use") else None,
    )


def invreq(invreq: Invreq, status: InvreqStatus) -> invreq_pb2.Invreq:
    """An invoice request as a message."""
    expiry = invreq.absolute_expiry
    return invreq_pb2.Invreq(
        invreq_id=invreq.invreq_id,
        username=invreq.username,
        label=invreq.label,
        amount_msat=invreq.amount_msat,
        description=invreq.description,
        issuer=invreq.issuer,
        single_use=invreq.single_use,
        status=STATUS[status],
        bolt12=invreq.bolt12,
        created_at=Timestamp(seconds=unix_seconds(invreq.created_at)),
        expires_at=Timestamp(seconds=unix_seconds(expiry)) if expiry else None,
    )
