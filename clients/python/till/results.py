"""Results as frozen dataclasses: money in int millisatoshi, times as aware UTC datetimes."""

import json
from dataclasses import dataclass, field, replace
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
    # The invoice was canceled before a payment.
    CANCELED = "canceled"
    # A status that only a newer client knows.
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether no other status can follow."""
        return self in (Status.PAID, Status.EXPIRED, Status.CANCELED)


STATUS = {
    invoice_pb2.INVOICE_STATUS_UNPAID: Status.UNPAID,
    invoice_pb2.INVOICE_STATUS_PAID: Status.PAID,
    invoice_pb2.INVOICE_STATUS_EXPIRED: Status.EXPIRED,
    invoice_pb2.INVOICE_STATUS_CANCELED: Status.CANCELED,
}


class PayabilityStatus(StrEnum):
    """Whether payers can reach the node with an invoice's amount, as the node estimates."""

    OK = "ok"
    # The channels cannot receive the amount, even in several parts.
    INSUFFICIENT = "insufficient"
    # The channels could receive the amount, but their peers are offline.
    OFFLINE = "offline"
    # Only private channels can receive the amount, and the payment request does not name them.
    PRIVATE_ONLY = "private_only"
    # No estimate: the invoice existed before, or only a newer client knows the estimate.
    UNKNOWN = "unknown"


PAYABILITY = {
    invoice_service_pb2.PAYABILITY_STATUS_OK: PayabilityStatus.OK,
    invoice_service_pb2.PAYABILITY_STATUS_INSUFFICIENT: PayabilityStatus.INSUFFICIENT,
    invoice_service_pb2.PAYABILITY_STATUS_OFFLINE: PayabilityStatus.OFFLINE,
    invoice_service_pb2.PAYABILITY_STATUS_PRIVATE_ONLY: PayabilityStatus.PRIVATE_ONLY,
}


@dataclass(frozen=True, kw_only=True)
class Payability:
    """The node's estimate of whether a new invoice can be paid.

    detail: what is wrong and what helps, for the operator. Empty: nothing is wrong.
    """

    status: PayabilityStatus
    detail: str


@dataclass(frozen=True, kw_only=True)
class Payment:
    """The payment of an invoice."""

    # Position among all payments that the node received, counted from 1.
    pay_index: int
    # A payer may send more than the invoice asks for.
    amount_received_msat: int
    paid_at: datetime
    # Proof of payment: its SHA-256 is the payment hash. None: Till recorded the payment before 0.2.0.
    payment_preimage: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class InvoiceWebhook:
    """The webhook of an invoice, which receives its final state. The repr does not show the secret.

    secret: "whsec_" and base64, as libraries of Standard Webhooks take it.
    """

    id: str
    secret: str = field(repr=False)


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
    payability: whether payers can reach the node. None: create_invoice alone returns it.
    webhook: the webhook of create_invoice with webhook_url. None: not requested.
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
    payability: Payability | None = field(default=None, compare=False)
    webhook: InvoiceWebhook | None = field(default=None, compare=False)
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
            payment_preimage=payment.payment_preimage if payment.HasField("payment_preimage") else None,
        )
        if message.HasField("payment")
        else None,
        watch_token=watch_token or None,
        message=message,
    )


def created(message: invoice_service_pb2.CreateInvoiceResponse) -> Invoice:
    """Return the Invoice of the response to a create."""
    payability = message.payability
    status = PAYABILITY.get(payability.status, PayabilityStatus.UNKNOWN)
    return replace(
        invoice(message.invoice, message.watch_token),
        payability=Payability(status=status, detail=payability.detail)
        if message.HasField("payability")
        else None,
        webhook=InvoiceWebhook(id=message.webhook.id, secret=message.webhook.secret)
        if message.HasField("webhook")
        else None,
    )


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of a list. It may have fewer invoices than asked for, or none, before the end.

    next_page_token: the page_token of the next page. None: this is the last page.
    """

    invoices: tuple[Invoice, ...]
    next_page_token: str | None


def page(message: invoice_service_pb2.ListInvoicesResponse) -> Page:
    """Return the Page of a message."""
    return Page(
        invoices=tuple(map(invoice, message.invoices)), next_page_token=message.next_page_token or None
    )


@dataclass(frozen=True, kw_only=True)
class ReportGroup:
    """Payments of a group.

    name: the type, the day such as "2026-11-26", or the key's ID. Empty: invoices without a key.
    """

    name: str
    count: int
    amount_received_msat: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """The payments received in a period: their number, their sum in millisatoshi, and the same by group."""

    count: int
    amount_received_msat: int
    groups: tuple[ReportGroup, ...]


def report(message: invoice_service_pb2.GetReportResponse) -> Report:
    """Return the Report of a message."""
    return Report(
        count=message.count,
        amount_received_msat=message.amount_received_msat,
        groups=tuple(
            ReportGroup(name=each.name, count=each.count, amount_received_msat=each.amount_received_msat)
            for each in message.groups
        ),
    )
