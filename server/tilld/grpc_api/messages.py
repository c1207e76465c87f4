"""Domain ⇄ protobuf."""

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from till.v1 import invoice_pb2, invoice_service_pb2, key_pb2
from tilld.auth.caller import Scope
from tilld.auth.key import Key
from tilld.errors import InvalidRequest
from tilld.formats.times import unix_seconds
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.service import Info
from tilld.invoices.terms import InvoiceTerms
from tilld.lightningd.info import NodeAddress, NodeInfo

_STATUS = {
    Status.UNPAID: invoice_pb2.INVOICE_STATUS_UNPAID,
    Status.PAID: invoice_pb2.INVOICE_STATUS_PAID,
    Status.EXPIRED: invoice_pb2.INVOICE_STATUS_EXPIRED,
}

_SCOPES = {
    Scope.CREATE: key_pb2.KEY_SCOPE_INVOICES_CREATE,
    Scope.READ: key_pb2.KEY_SCOPE_INVOICES_READ,
    Scope.INFO: key_pb2.KEY_SCOPE_INFO_READ,
    Scope.PAYOUTS: key_pb2.KEY_SCOPE_PAYOUTS,
    Scope.ADMIN: key_pb2.KEY_SCOPE_ADMIN,
}

MAX_PAGE_SIZE = 1000


def order(request: invoice_service_pb2.CreateInvoiceRequest) -> InvoiceTerms:
    """Read an order from a request. Raises InvalidRequest or TooLarge, naming the field and the limit."""
    return InvoiceTerms.checked(
        amount_msat=request.amount_msat if request.HasField("amount_msat") else None,
        description=request.description if request.HasField("description") else None,
        expiry=seconds(request.expiry) if request.HasField("expiry") else None,
        metadata=request.metadata,
        label=request.label if request.HasField("label") else None,
    )


def invoice(invoice: Invoice) -> invoice_pb2.Invoice:
    """An invoice as a message."""
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
        status=_STATUS[invoice.status],
    )
    # Messages in it are filled where they are: to make them and have them copied takes half as long again.
    message.created_at.seconds = unix_seconds(invoice.created_at)
    message.expires_at.seconds = unix_seconds(invoice.expires_at)
    if invoice.payment:
        message.payment.pay_index = invoice.payment.pay_index
        message.payment.amount_received_msat = invoice.payment.amount_received_msat
        message.payment.paid_at.seconds = unix_seconds(invoice.payment.paid_at)
    return message


def info(info: Info) -> invoice_service_pb2.GetInfoResponse:
    """Till and its node as a message."""
    return invoice_service_pb2.GetInfoResponse(
        invoices=info.totals.invoices,
        volume_msat=info.totals.volume_msat,
        volume_out_msat=info.totals.volume_out_msat,
        online=info.online,
        node=_node(info.node) if info.node else None,
    )


def key(key: Key) -> key_pb2.Key:
    """A key as a message."""
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
    """Read scopes from a request. Raises InvalidRequest."""
    known = {number: scope for scope, number in _SCOPES.items()}
    try:
        return [known[scope] for scope in scopes]
    except KeyError:
        raise InvalidRequest(f"scopes must be of {', '.join(map(key_pb2.KeyScope.Name, known))}") from None


def time(timestamp: Timestamp, field: str) -> datetime:
    """Read a time from a request. Raises InvalidRequest, naming the field."""
    try:
        return timestamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{field} must be in the years 1 to 9999") from None


def page_size(size: int) -> int:
    """Read how many a page shall have at most. Raises InvalidRequest."""
    if size < 0:
        raise InvalidRequest("page_size must not be negative")
    return min(size or MAX_PAGE_SIZE, MAX_PAGE_SIZE)


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


def seconds(duration: Duration) -> float:
    """A duration in seconds: an int where it is whole."""
    return duration.seconds + duration.nanos / 1e9 if duration.nanos else duration.seconds


def _timestamp(time: datetime) -> Timestamp:
    return Timestamp(seconds=unix_seconds(time))
