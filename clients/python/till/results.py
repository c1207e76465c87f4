"""Results as frozen dataclasses: money in int millisatoshi, times as aware UTC datetimes."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from till.v1 import invoice_pb2, invoice_service_pb2


class Status(StrEnum):
    """The state of an invoice."""

    UNPAID = "unpaid"
    PAID = "paid"
    # The invoice can no longer be paid.
    EXPIRED = "expired"
    # A status that only a newer client knows.
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether no other status can follow."""
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
    # A payer may send more than the invoice asks for.
    amount_received_msat: int
    paid_at: datetime


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """An invoice, with its status and its payment.

    invoice_id: the public ID; id: the internal ID.
    username: the user who created the invoice.
    label: the unique name from its creator, or from the client. None: no label.
    amount_msat: amount in millisatoshi. None: the payer chooses.
    bolt11: the payment request (BOLT 11) for the payer. Empty for an invoice that was sent (bolt12).
    payment: None until the invoice is paid.
    watch_token: lets a payer's browser watch this invoice. None: not requested.
    message: the protobuf message of the invoice.
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
        """The parsed metadata. `message.metadata` is its exact JSON text."""
        parsed: dict[str, Any] = json.loads(self.message.metadata)
        return parsed


def invoice(message: invoice_pb2.Invoice, watch_token: str = "") -> Invoice:
    """Return the Invoice of a message."""
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
    """The lightningd behind Till, with the field names of its getinfo command."""

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
    """The state of Till and its node.

    invoices: number of invoices that the key's user created.
    volume_msat: sum of their payments, in millisatoshi.
    volume_out_msat: sum of the payments for the user's invoice requests, in millisatoshi.
    online: whether the node answers; while False, creates fail.
    node: the node when it last answered. None: it never did.
    """

    invoices: int
    volume_msat: int
    volume_out_msat: int
    online: bool
    node: Node | None


def info(message: invoice_service_pb2.GetInfoResponse) -> Info:
    """Return the Info of a message."""
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
