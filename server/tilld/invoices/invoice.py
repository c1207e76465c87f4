"""An invoice: terms, issued payment request and settlement. Pure.

Amounts are whole millisatoshi (msat), times are aware UTC.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self

from tilld.auth.caller import Caller, Creator
from tilld.errors import Conflict
from tilld.formats import bolt11 as payment_request
from tilld.formats import strict_json
from tilld.formats.amounts import MAX_AMOUNT_MSAT
from tilld.formats.bolt11 import BOLT12
from tilld.formats.ids import derived_public_id, internal_id, is_invoice_id
from tilld.formats.repeats import check_repeats
from tilld.formats.text import is_label
from tilld.formats.times import SECOND
from tilld.invoices.payability import EXISTED, Payability
from tilld.invoices.terms import InvoiceTerms, type_of

# lightningd expires an invoice with a delay, and reports the change later still.
NODE_NEEDS_TO_EXPIRE = timedelta(seconds=5)


class Status(StrEnum):
    """The payment state of an invoice."""

    UNPAID = "unpaid"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELED = "canceled"


class Payment(NamedTuple):
    """A payment as the node received it."""

    pay_index: int
    amount_received_msat: int
    paid_at: datetime
    # Proof of payment. None: Till recorded the payment before it stored preimages.
    payment_preimage: str | None = None

    def __repr__(self) -> str:
        # The log must not prove a payment.
        return f"Payment({self.pay_index}, {self.amount_received_msat} msat, {self.paid_at.isoformat()})"


@dataclass(frozen=True, slots=True)
class IssuedInvoice:
    """The node's reply to a new invoice. `bolt11` of a sent invoice is a BOLT 12 string."""

    node_id: str
    payment_hash: str
    bolt11: str
    expires_at: datetime
    payability: Payability = field(default=EXISTED, compare=False)

    @property
    def is_bolt12(self) -> bool:
        """True if the invoice was sent for an invoice request, or fetched by an offer."""
        return self.bolt11.startswith(BOLT12)


@dataclass(frozen=True, slots=True)
class InvoiceUpdate:
    """An invoice's state at the node."""

    payment_hash: str
    status: Status
    payment: Payment | None


@dataclass(frozen=True, slots=True)
class NodeInvoice:
    """An invoice as listed by the node, created by Till or by another application."""

    label: str
    created_index: int
    amount_msat: int | None
    issued: IssuedInvoice
    seen: InvoiceUpdate

    @property
    def is_labelled_by_till(self) -> bool:
        """True if the label has the format of an invoice_id."""
        return bool(is_invoice_id(self.label))


# A tuple, since every read creates one: creation of a frozen dataclass takes four times as long.
class Invoice(NamedTuple):
    """An invoice of Till. `key_id` names the key that created it, and is empty without one.

    `bolt11` of a sent invoice is the BOLT 12 string ("lni1…").

    `status` comes from the node, except with `overdue`: the node is offline, and the invoice expired by the
    local clock. That state is never stored, and the node may still report a payment.
    """

    id: str
    invoice_id: str
    username: str
    key_id: str
    label: str | None
    amount_msat: int | None
    description: str | None
    metadata: str
    type: str
    node_id: str
    payment_hash: str
    bolt11: str
    created_at: datetime
    expires_at: datetime
    status: Status = Status.UNPAID
    payment: Payment | None = None
    overdue: bool = False

    @classmethod
    def opened(cls, invoice_id: str, creator: Creator, order: InvoiceTerms, issued: IssuedInvoice) -> Self:
        """Return a new invoice. Both times come from the node's clock, in whole seconds."""
        created_at = issued.expires_at - timedelta(seconds=order.expiry)
        return cls(
            id=internal_id(created_at),
            invoice_id=invoice_id,
            username=creator.username,
            key_id=creator.key_id,
            label=order.label,
            amount_msat=order.amount_msat,
            description=order.description,
            metadata=order.metadata,
            type=order.type,
            node_id=issued.node_id,
            payment_hash=issued.payment_hash,
            bolt11=issued.bolt11,
            created_at=created_at,
            expires_at=issued.expires_at,
        )

    @classmethod
    def sent(
        cls,
        invoice_id: str,
        creator: Creator,
        *,
        label: str,
        amount_msat: int | None,
        description: str | None,
        metadata: str,
        issued: IssuedInvoice,
        created_at: datetime,
    ) -> Self:
        """Return an unpaid invoice that was sent for an invoice request."""
        return cls(
            id=internal_id(created_at),
            invoice_id=invoice_id,
            username=creator.username,
            key_id=creator.key_id,
            label=label,
            amount_msat=amount_msat,
            description=description,
            metadata=metadata,
            type=type_of(metadata),
            node_id=issued.node_id,
            payment_hash=issued.payment_hash,
            bolt11=issued.bolt11,
            created_at=created_at,
            expires_at=issued.expires_at,
        )

    @classmethod
    def adopted(cls, creator: Creator, order: InvoiceTerms, found: NodeInvoice) -> Self:
        """Return the unpaid invoice that an earlier try of the same order left at the node.

        Raises Conflict if the earlier order differs.
        """
        if found.issued.is_bolt12:
            raise Conflict("label is in use for an invoice sent to another node; use another label")
        asked = payment_request.read(found.issued.bolt11)
        at_node = replace(
            order,
            amount_msat=found.amount_msat,
            description=order.description
            if asked.describes(order.description or "")
            else asked.description or asked.description_hash,
            expiry=asked.expiry,
        )
        return cls.opened(found.label, creator, at_node, found.issued).answering(order)

    @classmethod
    def imported(
        cls, username: str, kind: str, found: NodeInvoice, description: str | None, secret: bytes
    ) -> Self:
        """Return an invoice of another application, under its label; `kind` is the type of its metadata.

        An invoice that a Till created keeps its invoice_id. Other ids are derived with the store's secret, so
        that outsiders cannot guess them. Raises ValueError if the amount exceeds the limit of invoices.
        """
        if found.amount_msat is not None and found.amount_msat > MAX_AMOUNT_MSAT:
            raise ValueError(f"{found.amount_msat} msat exceed the limit of {MAX_AMOUNT_MSAT} msat")
        order = InvoiceTerms(
            amount_msat=found.amount_msat,
            description=description or None,
            expiry=payment_request.read(found.issued.bolt11).expiry,
            metadata=strict_json.write({"type": kind}).decode(),
            label=None if found.is_labelled_by_till or not is_label(found.label) else found.label,
        )
        invoice_id = (
            found.label if found.is_labelled_by_till else derived_public_id(secret, found.issued.payment_hash)
        )
        return cls.opened(invoice_id, Creator(username), order, found.issued).updated(found.seen)

    @property
    def creator(self) -> Creator:
        """The user and the key that created the invoice."""
        return Creator(self.username, self.key_id)

    @property
    def expiry(self) -> int:
        """The validity in seconds, from creation to expiry."""
        return (self.expires_at - self.created_at) // SECOND

    @property
    def is_bolt12(self) -> bool:
        """True if the invoice was sent for an invoice request."""
        return self.bolt11.startswith(BOLT12)

    @property
    def is_final(self) -> bool:
        """True if the node's state is final."""
        return self.status is not Status.UNPAID and not self.overdue

    def is_visible_to(self, caller: Caller) -> bool:
        """True if the caller owns the invoice, and their key permits its type and id."""
        return (
            self.username == caller.username
            and (caller.type is None or caller.type == self.type)
            and caller.invoice_id in (None, self.invoice_id)
        )

    def by_the_clock(self, now: datetime) -> Self:
        """Return the invoice as it reads while the node is offline."""
        if self.is_final or now - NODE_NEEDS_TO_EXPIRE < self.expires_at:
            return self
        return self._replace(status=Status.EXPIRED, overdue=True)

    def updated(self, seen: InvoiceUpdate) -> Self:
        """Return the invoice with the node's update applied. A final state stays, unless it was paid."""
        if self.payment:
            return self
        if seen.payment:
            return self._replace(status=Status.PAID, payment=seen.payment)
        return self if self.is_final else self._replace(status=seen.status)

    def missing(self, now: datetime) -> InvoiceUpdate:
        """Return the update of an open invoice that the node no longer has.

        lightningd never removes an unpaid invoice by itself. Its plugin autoclean removes expired ones.
        """
        is_over = now >= self.expires_at
        return InvoiceUpdate(self.payment_hash, Status.EXPIRED if is_over else Status.CANCELED, None)

    def answering(self, order: InvoiceTerms) -> Self:
        """Return this invoice if it matches the order with its label.

        Raises Conflict, which names the difference.
        """
        if self.is_bolt12:
            raise Conflict("label is in use for an invoice sent to another node; use another label")
        fields = {"amount": "amount_msat"} | {name: name for name in ("description", "expiry", "metadata")}
        check_repeats(self, order, "an invoice", fields)
        is_hash = payment_request.read(self.bolt11).description_hash is not None
        if is_hash != order.description_hash_only:
            raise Conflict("label is in use for an invoice with another description_hash_only")
        return self
