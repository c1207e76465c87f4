"""What Till answers, as frozen dataclasses: money in int millisatoshi, times as aware UTC datetimes."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from till.v1 import invoice_pb2, invoice_service_pb2


class Status(StrEnum):
    """Whether an invoice is paid."""

    UNPAID = "unpaid"
    PAID = "paid"
    # It can no longer be paid.
    EXPIRED = "expired"
    # Of a Till that is newer than this client.
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether it stays so."""
        return self in (Status.PAID, Status.EXPIRED)


STATUS = {
    invoice_pb2.INVOICE_STATUS_UNPAID: Status.UNPAID,
    invoice_pb2.INVOICE_STATUS_PAID: Status.PAID,
    invoice_pb2.INVOICE_STATUS_EXPIRED: Status.EXPIRED,
}


@dataclass(frozen=True, kw_only=True)
class Payment:
    """The payment of an invoice."""

    # Position among all payments that the node received, counted from 1.
    pay_index: int
    # Payers may send more than was asked for.
    amount_received_msat: int
    paid_at: datetime


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """An invoice: what was asked for, and what became of it.

    invoice_id: its public id; id: its internal one.
    username: who created it.
    label: the name that its creator gave it, or the client for him. None: it has none.
    amount_msat: amount asked for, in millisatoshi. None: the payer chooses.
    bolt11: the payment request, to be shown to the payer. Empty for an invoice that was sent (bolt12).
    payment: None as long as there was none.
    watch_token: lets a payer's browser watch this invoice. None: it was not asked for.
    message: the protobuf message that it was made of.
    """

    invoice_id: str
    id: str
    username: str
    label: str | None
    status: Status
    amount_msat: int | None
    description: str | None
    payment_hash: str
    bolt11: str
    bolt12: str | None
    created_at: datetime
    expires_at: datetime
    payment: Payment | None
    watch_token: str | None = field(default=None, repr=False)
    message: invoice_pb2.Invoice = field(repr=False, compare=False)

    @property
    def metadata(self) -> dict[str, Any]:
        """Your metadata; `message.metadata` is its JSON, letter by letter."""
        parsed: dict[str, Any] = json.loads(self.message.metadata)
        return parsed


def invoice(message: invoice_pb2.Invoice, watch_token: str = "") -> Invoice:
    """The Invoice of a message."""
    payment = message.payment
    return Invoice(
        invoice_id=message.invoice_id,
        id=message.id,
        username=message.username,
        label=message.label if message.HasField("label") else None,
        status=STATUS.get(message.status, Status.UNKNOWN),
        amount_msat=message.amount_msat if message.HasField("amount_msat") else None,
        description=message.description if message.HasField("description") else None,
        payment_hash=message.payment_hash,
        bolt11=message.bolt11,
        bolt12=message.bolt12 if message.HasField("bolt12") else None,
        created_at=message.created_at.ToDatetime(UTC),
        expires_at=message.expires_at.ToDatetime(UTC),
        payment=Payment(
            pay_index=payment.pay_index,
            amount_received_msat=payment.amount_received_msat,
            paid_at=payment.paid_at.ToDatetime(UTC),
        )
        if message.HasField("payment")
        else None,
        watch_token=watch_token or None,
        message=message,
    )


@dataclass(frozen=True, kw_only=True)
class NodeAddress:
    """A network address of the node; port: None for a local socket."""

    type: str
    address: str
    port: int | None


@dataclass(frozen=True, kw_only=True)
class Node:
    """The lightningd behind Till, in the words of its getinfo command."""

    id: str
    alias: str
    color: str
    num_peers: int
    num_pending_channels: int
    num_active_channels: int
    num_inactive_channels: int
    address: tuple[NodeAddress, ...]
    binding: tuple[NodeAddress, ...]
    version: str
    blockheight: int
    network: str
    fees_collected_msat: int


@dataclass(frozen=True, kw_only=True)
class Info:
    """About Till and its node.

    invoices, volume_msat: how many invoices the user of the key created, and what they received.
    volume_out_msat: what the node paid for the user's invoice requests.
    online: whether the node answers. If not, no invoice can be created.
    node: as last seen. None: it was never seen.
    """

    invoices: int
    volume_msat: int
    volume_out_msat: int
    online: bool
    node: Node | None


def info(message: invoice_service_pb2.GetInfoResponse) -> Info:
    """The Info of a message."""
    return Info(
        invoices=message.invoices,
        volume_msat=message.volume_msat,
        volume_out_msat=message.volume_out_msat,
        online=message.online,
        node=_node(message.node) if message.HasField("node") else None,
    )


def _node(message: invoice_service_pb2.Node) -> Node:
    return Node(
        id=message.id,
        alias=message.alias,
        color=message.color,
        num_peers=message.num_peers,
        num_pending_channels=message.num_pending_channels,
        num_active_channels=message.num_active_channels,
        num_inactive_channels=message.num_inactive_channels,
        address=tuple(map(_address, message.address)),
        binding=tuple(map(_address, message.binding)),
        version=message.version,
        blockheight=message.blockheight,
        network=message.network,
        fees_collected_msat=message.fees_collected_msat,
    )


def _address(message: invoice_service_pb2.NodeAddress) -> NodeAddress:
    return NodeAddress(
        type=message.type, address=message.address, port=message.port if message.HasField("port") else None
    )
