"""Converts between the domain and the messages of till.v1."""

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from till.v1 import invoice_pb2, invoice_service_pb2, invreq_pb2, invreq_service_pb2, key_pb2
from tilld.auth.caller import Scope
from tilld.auth.key import Key
from tilld.errors import InvalidRequest
from tilld.formats.times import unix_seconds
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.payability import Payability, PayabilityStatus
from tilld.invoices.service import Info
from tilld.invoices.terms import InvoiceTerms
from tilld.lightningd.info import NodeAddress, NodeInfo
from tilld.payouts.invreq import Invreq, InvreqStatus, InvreqTerms
from tilld.sent_invoices.attempt import SendTerms, Sent

_INVOICE_STATUS = {
    Status.UNPAID: invoice_pb2.INVOICE_STATUS_UNPAID,
    Status.PAID: invoice_pb2.INVOICE_STATUS_PAID,
    Status.EXPIRED: invoice_pb2.INVOICE_STATUS_EXPIRED,
    Status.CANCELED: invoice_pb2.INVOICE_STATUS_CANCELED,
}

_INVREQ_STATUS = {
    InvreqStatus.ACTIVE: invreq_pb2.INVREQ_STATUS_ACTIVE,
    InvreqStatus.BEING_PAID: invreq_pb2.INVREQ_STATUS_BEING_PAID,
    InvreqStatus.USED: invreq_pb2.INVREQ_STATUS_USED,
    InvreqStatus.FAILED: invreq_pb2.INVREQ_STATUS_FAILED,
    InvreqStatus.EXPIRED: invreq_pb2.INVREQ_STATUS_EXPIRED,
    InvreqStatus.DISABLED: invreq_pb2.INVREQ_STATUS_DISABLED,
}

_PAYABILITY = {
    PayabilityStatus.OK: invoice_service_pb2.PAYABILITY_STATUS_OK,
    PayabilityStatus.INSUFFICIENT: invoice_service_pb2.PAYABILITY_STATUS_INSUFFICIENT,
    PayabilityStatus.OFFLINE: invoice_service_pb2.PAYABILITY_STATUS_OFFLINE,
    PayabilityStatus.PRIVATE_ONLY: invoice_service_pb2.PAYABILITY_STATUS_PRIVATE_ONLY,
    PayabilityStatus.UNKNOWN: invoice_service_pb2.PAYABILITY_STATUS_UNKNOWN,
}

_SCOPES = {
    Scope.CREATE: key_pb2.KEY_SCOPE_INVOICES_CREATE,
    Scope.READ: key_pb2.KEY_SCOPE_INVOICES_READ,
    Scope.CANCEL: key_pb2.KEY_SCOPE_INVOICES_CANCEL,
    Scope.INFO: key_pb2.KEY_SCOPE_INFO_READ,
    Scope.EVENTS: key_pb2.KEY_SCOPE_EVENTS_READ,
    Scope.WEBHOOKS: key_pb2.KEY_SCOPE_WEBHOOKS,
    Scope.PAYOUTS: key_pb2.KEY_SCOPE_PAYOUTS,
    Scope.ADMIN: key_pb2.KEY_SCOPE_ADMIN,
}

MAX_PAGE_SIZE = 1000


def invoice_terms(request: invoice_service_pb2.CreateInvoiceRequest) -> InvoiceTerms:
    """Return the terms of an invoice.

    Raises InvalidRequest or TooLarge, which name the field and the limit.
    """
    return InvoiceTerms.checked(
        amount_msat=request.amount_msat if request.HasField("amount_msat") else None,
        description=request.description if request.HasField("description") else None,
        expiry=_seconds(request.expiry) if request.HasField("expiry") else None,
        metadata=request.metadata,
        label=request.label if request.HasField("label") else None,
        expose_private_channels=_exposed(request.expose_private_channels)
        if request.HasField("expose_private_channels")
        else None,
        description_hash_only=request.description_hash_only,
        webhook_url=request.webhook_url if request.HasField("webhook_url") else None,
    )


def invreq_terms(request: invreq_service_pb2.CreateInvreqRequest) -> InvreqTerms:
    """Return the terms of an invoice request.

    Raises InvalidRequest or TooLarge, which name the field and the limit.
    """
    return InvreqTerms.checked(
        amount_msat=request.amount_msat,
        description=request.description,
        issuer=request.issuer if request.HasField("issuer") else None,
        label=request.label if request.HasField("label") else None,
        absolute_expiry=time(request.expires_at, "expires_at") if request.HasField("expires_at") else None,
        single_use=request.single_use if request.HasField("single_use") else None,
    )


def send_terms(request: invreq_service_pb2.SendInvoiceRequest, key_type: str | None) -> SendTerms:
    """Return the terms of an invoice to send.

    Raises InvalidRequest or TooLarge, which name the field and the limit.
    """
    return SendTerms.checked(
        invreq=request.invreq,
        label=request.label,
        amount_msat=request.amount_msat if request.HasField("amount_msat") else None,
        timeout=_seconds(request.timeout) if request.HasField("timeout") else None,
        quantity=request.quantity if request.HasField("quantity") else None,
        metadata=request.metadata if request.HasField("metadata") else None,
        key_type=key_type,
    )


def invoice(invoice: Invoice) -> invoice_pb2.Invoice:
    """Return an invoice as a message."""
    message = invoice_pb2.Invoice(
        id=invoice.id,
        invoice_id=invoice.invoice_id,
        username=invoice.username,
        label=invoice.label,
        amount_msat=invoice.amount_msat,
        description=invoice.description,
        metadata=invoice.metadata,
        payment_hash=invoice.payment_hash,
        bolt11="" if invoice.is_bolt12 else invoice.bolt11,
        bolt12=invoice.bolt11 if invoice.is_bolt12 else None,
        status=_INVOICE_STATUS[invoice.status],
    )
    # Nested messages are filled in place: building and copying them takes half as long again.
    message.created_at.seconds = unix_seconds(invoice.created_at)
    message.expires_at.seconds = unix_seconds(invoice.expires_at)
    if invoice.payment:
        message.payment.pay_index = invoice.payment.pay_index
        message.payment.amount_received_msat = invoice.payment.amount_received_msat
        message.payment.paid_at.seconds = unix_seconds(invoice.payment.paid_at)
        if invoice.payment.payment_preimage:
            message.payment.payment_preimage = invoice.payment.payment_preimage
    return message


def invoice_status(status: invoice_pb2.InvoiceStatus) -> Status:
    """Return the status of a request. Raises InvalidRequest."""
    known = {number: status for status, number in _INVOICE_STATUS.items()}
    if status not in known:
        names = ", ".join(map(invoice_pb2.InvoiceStatus.Name, known))
        raise InvalidRequest(f"statuses must be among {names}")
    return known[status]


def payability(estimate: Payability) -> invoice_service_pb2.Payability:
    """Return an estimate as a message."""
    return invoice_service_pb2.Payability(status=_PAYABILITY[estimate.status], detail=estimate.detail)


def invreq(invreq: Invreq, status: InvreqStatus) -> invreq_pb2.Invreq:
    """Return an invoice request as a message."""
    expiry = invreq.absolute_expiry
    return invreq_pb2.Invreq(
        invreq_id=invreq.invreq_id,
        username=invreq.username,
        label=invreq.label,
        amount_msat=invreq.amount_msat,
        description=invreq.description,
        issuer=invreq.issuer,
        single_use=invreq.single_use,
        status=_INVREQ_STATUS[status],
        bolt12=invreq.bolt12,
        created_at=_timestamp(invreq.created_at),
        expires_at=_timestamp(expiry) if expiry else None,
        active=invreq.active,
        used=invreq.used,
    )


def sent_invoice(sent: Sent) -> invreq_service_pb2.SendInvoiceResponse:
    """Return an invoice that was sent and paid as a message."""
    return invreq_service_pb2.SendInvoiceResponse(
        invoice=invoice(sent.invoice),
        payment_preimage=sent.payment_preimage,
        created_index=sent.created_index,
        updated_index=sent.updated_index,
    )


def info(info: Info) -> invoice_service_pb2.GetInfoResponse:
    """Return the totals and the node as a message."""
    return invoice_service_pb2.GetInfoResponse(
        invoices=info.totals.invoices,
        volume_msat=info.totals.volume_msat,
        volume_out_msat=info.totals.volume_out_msat,
        online=info.online,
        node=_node(info.node) if info.node else None,
    )


def key(key: Key) -> key_pb2.Key:
    """Return a key as a message."""
    return key_pb2.Key(
        id=key.id,
        username=key.username,
        scopes=[_SCOPES[scope] for scope in sorted(key.scopes)],
        type=key.type,
        created_at=_timestamp(key.created_at),
        expires_at=_timestamp(key.expires_at) if key.expires_at else None,
        revoked_at=_timestamp(key.revoked_at) if key.revoked_at else None,
    )


def scopes(scopes: Iterable[key_pb2.KeyScope]) -> list[Scope]:
    """Return the scopes of a request. Raises InvalidRequest."""
    known = {number: scope for scope, number in _SCOPES.items()}
    try:
        return [known[scope] for scope in scopes]
    except KeyError:
        raise InvalidRequest(f"scopes must be among {', '.join(map(key_pb2.KeyScope.Name, known))}") from None


def time(timestamp: Timestamp, field: str) -> datetime:
    """Return a time of a request. Raises InvalidRequest, which names the field."""
    try:
        return timestamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{field} must be in the years 1 to 9999") from None


def page_size(size: int, usual: int = MAX_PAGE_SIZE) -> int:
    """Return the size of a page, with default and limit. Raises InvalidRequest."""
    if size < 0:
        raise InvalidRequest("page_size must not be negative")
    return min(size or usual, MAX_PAGE_SIZE)


def _exposed(channels: invoice_service_pb2.ExposePrivateChannels) -> bool | list[str]:
    if channels.all and channels.short_channel_ids:
        raise InvalidRequest("expose_private_channels has both all and short_channel_ids; omit one")
    return [*channels.short_channel_ids] or channels.all


def _node(node: NodeInfo) -> invoice_service_pb2.Node:
    return invoice_service_pb2.Node(
        id=node.id,
        alias=node.alias,
        color=node.color,
        num_peers=node.num_peers,
        num_pending_channels=node.num_pending_channels,
        num_active_channels=node.num_active_channels,
        num_inactive_channels=node.num_inactive_channels,
        address=map(_address, node.address),
        binding=map(_address, node.binding),
        version=node.version,
        blockheight=node.blockheight,
        network=node.network,
        fees_collected_msat=node.fees_collected_msat,
    )


def _address(address: NodeAddress) -> invoice_service_pb2.NodeAddress:
    return invoice_service_pb2.NodeAddress(
        type=address.type, address=address.address or "", port=address.port
    )


def _seconds(duration: Duration) -> float:
    """Return a duration in seconds, as an int if it is whole."""
    return duration.seconds + duration.nanos / 1e9 if duration.nanos else duration.seconds


def _timestamp(time: datetime) -> Timestamp:
    return Timestamp(seconds=unix_seconds(time))
