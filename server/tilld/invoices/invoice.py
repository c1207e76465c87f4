"""An invoice: what the node issued for an order, what became of it. Pure.

Money is whole millisatoshi (msat), times are aware UTC.
"""

from dataclasses import dataclass, replace
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
from tilld.invoices.terms import InvoiceTerms, type_of

# The node takes a moment to notice that an invoice is over, and to tell.
NODE_NEEDS_TO_EXPIRE = timedelta(seconds=5)


class Status(StrEnum):
    """Whether an invoice is paid."""

    UNPAID = "unpaid"
    PAID = "paid"
    EXPIRED = "expired"


class Payment(NamedTuple):
    """A payment as the node received it."""

    pay_index: int
    amount_received_msat: int
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class IssuedInvoice:
    """What the node answers to a new invoice. Of one that was sent, `bolt11` is a BOLT 12 string."""

    node_id: str
    payment_hash: str
    bolt11: str
    expires_at: datetime

    @property
    def is_bolt12(self) -> bool:
        """Whether it was sent for an invoice request, or fetched by an offer."""
        return self.bolt11.startswith(BOLT12)


@dataclass(frozen=True, slots=True)
class InvoiceUpdate:
    """What the node says became of an invoice."""

    payment_hash: str
    status: Status
    payment: Payment | None


@dataclass(frozen=True, slots=True)
class NodeInvoice:
    """An invoice as the node has it, ours or another's, labelled there by whoever made it."""

    label: str
    created_index: int
    amount_msat: int | None
    issued: IssuedInvoice
    seen: InvoiceUpdate

    @property
    def is_labelled_by_till(self) -> bool:
        """Whether its label is of the form of an invoice_id."""
        return bool(is_invoice_id(self.label))


# A tuple, since one is made for each read: a frozen dataclass takes four times as long.
class Invoice(NamedTuple):
    """An invoice of ours. `key_id` is that of the key that created it, empty without one.

    Of one that was sent for an invoice request, `bolt11` is the BOLT 12 string ("lni1…").

    `expired` is the node's word, and final. `overdue` is what our clock can know while the node is away:
    it is never stored, and the node may still say that it was paid.
    """

    id: str
    invoice_id: str
    username: str
    key_id: str
    label: str | None
    amount_msat: int | None
    description: str | None
    metadata: str
    node_id: str
    payment_hash: str
    bolt11: str
    created_at: datetime
    expires_at: datetime
    payment: Payment | None = None
    expired: bool = False
    overdue: bool = False

    @classmethod
    def opened(cls, invoice_id: str, creator: Creator, order: InvoiceTerms, issued: IssuedInvoice) -> Self:
        """A new invoice. Both of its times are the node's, which counts whole seconds."""
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
        """An invoice that was sent for an invoice request. Still to be settled."""
        return cls(
            id=internal_id(created_at),
            invoice_id=invoice_id,
            username=creator.username,
            key_id=creator.key_id,
            label=label,
            amount_msat=amount_msat,
            description=description,
            metadata=metadata,
            node_id=issued.node_id,
            payment_hash=issued.payment_hash,
            bolt11=issued.bolt11,
            created_at=created_at,
            expires_at=issued.expires_at,
        )

    @classmethod
    def adopted(cls, creator: Creator, order: InvoiceTerms, found: NodeInvoice) -> Self:
        """An invoice that the node has from an earlier try of the same order. Still to be settled.

        Raises Conflict if that was another order.
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
        """An invoice that others made at the node, with its label there; `kind` is its metadata's type.

        One that a Till made keeps its invoice_id; of the others nobody without the secret can tell it.
        Raises ValueError where that can't be one of ours: its amount is more than an invoice may have.
        """
        if found.amount_msat is not None and found.amount_msat > MAX_AMOUNT_MSAT:
            raise ValueError(f"{found.amount_msat} msat are more than an invoice may have: {MAX_AMOUNT_MSAT}")
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
        """Who created it."""
        return Creator(self.username, self.key_id)

    @property
    def status(self) -> Status:
        """Told by facts: the payment, else the node's word on expiry, else the clock's."""
        if self.payment:
            return Status.PAID
        return Status.EXPIRED if self.expired or self.overdue else Status.UNPAID

    @property
    def expiry(self) -> int:
        """How long it could be paid, in seconds."""
        return (self.expires_at - self.created_at) // SECOND

    @property
    def is_bolt12(self) -> bool:
        """Whether it was sent for an invoice request."""
        return self.bolt11.startswith(BOLT12)

    @property
    def type(self) -> str:
        """The application that it is for."""
        return type_of(self.metadata)

    @property
    def is_final(self) -> bool:
        """Whether the node has said the last word on it."""
        return bool(self.payment or self.expired)

    def is_visible_to(self, caller: Caller) -> bool:
        """Whether it exists for a caller: it is their own, and of the type that their key is for."""
        return (
            self.username == caller.username
            and (caller.type is None or caller.type == self.type)
            and caller.invoice_id in (None, self.invoice_id)
        )

    def by_the_clock(self, now: datetime) -> Self:
        """This invoice as it reads while the node can't be asked."""
        return self._replace(overdue=not self.is_final and now - NODE_NEEDS_TO_EXPIRE >= self.expires_at)

    def updated(self, seen: InvoiceUpdate) -> Self:
        """This invoice with what the node says of it. A payment, once seen, stays."""
        expired = self.expired or seen.status is Status.EXPIRED
        return self._replace(payment=self.payment or seen.payment, expired=expired)

    def answering(self, order: InvoiceTerms) -> Self:
        """This invoice, if it is the answer to the order with its label.

        Raises Conflict, naming what differs.
        """
        if self.is_bolt12:
            raise Conflict("label is in use for an invoice sent to another node; use another label")
        fields = {"amount": "amount_msat"} | {name: name for name in ("description", "expiry", "metadata")}
        check_repeats(self, order, "an invoice", fields)
        return self
