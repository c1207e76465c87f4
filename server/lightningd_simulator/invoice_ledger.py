"""The invoices of a node and their indexes. Changes only by events, without clock or disk."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Literal, TypeAlias

from lightningd_simulator.indexes import Index, IndexName

Status: TypeAlias = Literal["unpaid", "paid", "expired"]


@dataclass(frozen=True, slots=True)
class Created:
    """An invoice was created. Its label is JSON text as written, without the quotes.

    `bolt11` is a BOLT 12 invoice if it answers an invoice request.
    """

    label: str
    bolt11: str
    payment_hash: str
    payment_preimage: str
    amount_msat: int | None
    description: str | None
    expires_at: int

    @property
    def is_bolt12(self) -> bool:
        """True if the invoice answers an invoice request."""
        return self.bolt11.startswith("lni1")


@dataclass(frozen=True, slots=True)
class Paid:
    """An invoice was paid."""

    created_index: int
    amount_received_msat: int
    paid_at: int


@dataclass(frozen=True, slots=True)
class Expired:
    """An invoice expired."""

    created_index: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """An invoice was deleted."""

    created_index: int


@dataclass(frozen=True, slots=True)
class DescriptionRemoved:
    """The description of an invoice was deleted."""

    created_index: int


Event: TypeAlias = Created | Paid | Expired | Deleted | DescriptionRemoved


@dataclass(frozen=True, slots=True)
class Payment:
    """A received payment."""

    pay_index: int
    amount_received_msat: int
    paid_at: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """The present state of an invoice. `updated_index` is 0 if it never changed."""

    created_index: int
    issued: Created
    description: str | None
    updated_index: int = 0
    payment: Payment | None = None
    expired: bool = False

    @property
    def status(self) -> Status:
        """The status, from the payment and the expiry."""
        if self.payment:
            return "paid"
        return "expired" if self.expired else "unpaid"


@dataclass(frozen=True, slots=True)
class Change:
    """The effect of an event, and its number in an index.

    The invoice is in its state after the event, or before an event that deletes something.
    """

    event: Event
    index: IndexName
    number: int
    invoice: Invoice


class Ledger:
    """All invoices. Raises KeyError for an event of an unknown invoice."""

    def __init__(self) -> None:
        self.counts: dict[IndexName, int] = {"created": 0, "updated": 0, "deleted": 0}
        self._payments = 0
        self._invoices: dict[int, Invoice] = {}
        self._by_label: dict[str, int] = {}
        self._by_hash: dict[str, int] = {}
        self._by_bolt11: dict[str, int] = {}
        self._created, self._updated, self._never_updated = Index[int](), Index[int](), Index[int]()
        self._paid = Index[int]()
        self._expiries: list[tuple[int, int]] = []

    def with_label(self, label: str) -> Invoice | None:
        """Return the invoice with a label as written, or None."""
        return self._found(self._by_label.get(label))

    def with_hash(self, payment_hash: str) -> Invoice | None:
        """Return the invoice with a payment hash, or None."""
        return self._found(self._by_hash.get(payment_hash))

    def with_bolt11(self, bolt11: str) -> Invoice | None:
        """Return the invoice with a payment request, or None."""
        return self._found(self._by_bolt11.get(bolt11))

    def _found(self, created_index: int | None) -> Invoice | None:
        return None if created_index is None else self._invoices[created_index]

    def created_since(self, start: int, limit: int | None) -> Iterator[Invoice]:
        """Yield invoices by created index."""
        return map(self._invoices.__getitem__, islice(self._created.since(start), limit))

    def updated_since(self, start: int, limit: int | None) -> Iterator[Invoice]:
        """Yield invoices by updated index. From 0 on, unchanged invoices come first."""
        untouched = self._never_updated.since(0) if start <= 0 else iter(())
        found = islice(chain(untouched, self._updated.since(start)), limit)
        return map(self._invoices.__getitem__, found)

    def paid_after(self, pay_index: int) -> Invoice | None:
        """Return the invoice of the next payment, or None."""
        return self._found(next(self._paid.since(pay_index + 1), None))

    def next_expiry(self) -> int | None:
        """Return the next expiry in seconds since 1970, or None."""
        while self._expiries:
            expires_at, created_index = self._expiries[0]
            invoice = self._invoices.get(created_index)
            if invoice and invoice.status == "unpaid":
                return expires_at
            heapq.heappop(self._expiries)
        return None

    def due(self, now: float) -> list[Expired]:
        """Return the expiries due by now, in the order of creation."""
        found = []
        while (expires_at := self.next_expiry()) is not None and expires_at <= now:
            found.append(heapq.heappop(self._expiries)[1])
        return [Expired(created_index) for created_index in sorted(found)]

    def apply(self, event: Event) -> Change:
        """Apply an event."""
        if isinstance(event, Created):
            return self._create(event)
        invoice = self._invoices[event.created_index]
        match event:
            case Paid():
                self._payments += 1
                self._paid.add(self._payments, invoice.created_index)
                payment = Payment(self._payments, event.amount_received_msat, event.paid_at)
                return self._update(event, replace(invoice, payment=payment))
            case Expired():
                return self._update(event, replace(invoice, expired=True))
            case DescriptionRemoved():
                change = self._update(event, replace(invoice, description=None))
                return replace(change, invoice=invoice)
            case Deleted():
                return self._delete(event, invoice)

    def _create(self, event: Created) -> Change:
        number = self._count("created")
        invoice = Invoice(number, event, event.description)
        self._invoices[number] = invoice
        self._by_label[event.label] = number
        self._by_hash[event.payment_hash] = number
        self._by_bolt11[event.bolt11] = number
        self._created.add(number, number)
        self._never_updated.add(number, number)
        heapq.heappush(self._expiries, (event.expires_at, number))
        return Change(event, "created", number, invoice)

    def _update(self, event: Event, invoice: Invoice) -> Change:
        self._forget_update(invoice)
        number = self._count("updated")
        self._updated.add(number, invoice.created_index)
        updated = replace(invoice, updated_index=number)
        self._invoices[invoice.created_index] = updated
        return Change(event, "updated", number, updated)

    def _delete(self, event: Deleted, invoice: Invoice) -> Change:
        self._forget_update(invoice)
        self._created.remove(invoice.created_index)
        if invoice.payment:
            self._paid.remove(invoice.payment.pay_index)
        del self._invoices[invoice.created_index]
        del self._by_label[invoice.issued.label]
        del self._by_hash[invoice.issued.payment_hash]
        del self._by_bolt11[invoice.issued.bolt11]
        return Change(event, "deleted", self._count("deleted"), invoice)

    def _forget_update(self, invoice: Invoice) -> None:
        if invoice.updated_index:
            self._updated.remove(invoice.updated_index)
        else:
            self._never_updated.remove(invoice.created_index)

    def _count(self, index: IndexName) -> int:
        self.counts[index] += 1
        return self.counts[index]
