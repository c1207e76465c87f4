"""Domain ⇄ protobuf."""

from datetime import datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from till.v1 import invoice_pb2, invoice_service_pb2
from tilld.invoice import Invoice, Order, Payment, Status
from tilld.invoicing import Info
from tilld.node_info import NodeAddress, NodeInfo

_STATUS = {
    Status.UNPAID: invoice_pb2.INVOICE_STATUS_UNPAID,
    Status.PAID: invoice_pb2.INVOICE_STATUS_PAID,
    Status.EXPIRED: invoice_pb2.INVOICE_STATUS_EXPIRED,
}


def order(request: invoice_service_pb2.CreateInvoiceRequest) -> Order:
    """Read an order from a request. Raises InvalidRequest or TooLarge, naming the field and the limit."""
    return Order.checked(
        amount_msat=request.amount_msat if request.HasField("amount_msat") else None,
        description=request.description if request.HasField("description") else None,
        expiry=_seconds(request.expiry) if request.HasField("expiry") else None,
        metadata=request.metadata,
        label=request.label if request.HasField("label") else None,
    )


def invoice(invoice: Invoice) -> invoice_pb2.Invoice:
    """An invoice as a message."""
    return invoice_pb2.Invoice(
        id=invoice.id,
        invoice_id=invoice.invoice_id,
        username=invoice.username,
        label=invoice.label,
        amount_msat=invoice.amount_msat,
        description=invoice.description,
        metadata=invoice.metadata,
        payment_hash=invoice.payment_hash,
        bolt11=invoice.bolt11,
        status=_STATUS[invoice.status],
        created_at=_timestamp(invoice.created_at),
        expires_at=_timestamp(invoice.expires_at),
        payment=_payment(invoice.payment) if invoice.payment else None,
    )


def info(info: Info) -> invoice_service_pb2.GetInfoResponse:
    """Till and its node as a message."""
    return invoice_service_pb2.GetInfoResponse(
        invoices=info.totals.invoices,
        volume_msat=info.totals.volume_msat,
        online=info.online,
        node=_node(info.node) if info.node else None,
    )


def _payment(payment: Payment) -> invoice_pb2.Payment:
    return invoice_pb2.Payment(
        pay_index=payment.pay_index,
        amount_received_msat=payment.amount_received_msat,
        paid_at=_timestamp(payment.paid_at),
    )


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
    return duration.seconds + duration.nanos / 1e9 if duration.nanos else duration.seconds


def _timestamp(time: datetime) -> Timestamp:
    return Timestamp(seconds=int(time.timestamp()))
