"""Invoice requests and payments of a node. Changes only by events, without clock or disk.

Each payment has one part. An invoice gets another payment only after a failed one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from lightningd_simulator.indexes import Index, IndexName

PaymentStatus: TypeAlias = Literal["pending", "complete", "failed"]


@dataclass(frozen=True, slots=True)
class Requested:
    """An invoice request was created."""

    invreq_id: str
    bolt12: str
    label: str | None
    single_use: bool


@dataclass(frozen=True, slots=True)
class Disabled:
    """An invoice request was disabled."""

    invreq_id: str


@dataclass(frozen=True, slots=True)
class Started:
    """A payment started, for an invoice request or for an invoice of the node itself.

    In the latter case `invreq_id` is empty, and `bolt12` is a BOLT 11 invoice.
    """

    payment_hash: str
    bolt12: str
    invreq_id: str
    destination: str
    amount_msat: int
    groupid: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Completed:
    """A payment arrived."""

    payment_hash: str
    payment_preimage: str
    completed_at: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A payment failed."""

    payment_hash: str
    completed_at: int


Event: TypeAlias = Requested | Disabled | Started | Completed | Failed


@dataclass(frozen=True, slots=True)
class Request:
    """The present state of an invoice request."""

    made: Requested
    disabled: bool = False
    used: bool = False

    @property
    def active(self) -> bool:
        """True if the request can be paid."""
        return not self.disabled and not (self.used and self.made.single_use)


@dataclass(frozen=True, slots=True)
class Spent:
    """The present state of a payment. `updated_index` is 0 if it never changed."""

    created_index: int
    started: Started
    updated_index: int = 0
    end: Completed | Failed | None = None

    @property
    def status(self) -> PaymentStatus:
        """The status, from the end of the payment."""
        match self.end:
            case None:
                return "pending"
            case Completed():
                return "complete"
            case Failed():
                return "failed"


@dataclass(frozen=True, slots=True)
class PaymentChange:
    """The effect of an event on a payment, and its number in an index."""

    index: IndexName
    number: int
    payment: Spent


class Spending:
    """All requests and payments. Raises KeyError for an event of an unknown one."""

    def __init__(self) -> None:
        self.counts: dict[IndexName, int] = {"created": 0, "updated": 0, "deleted": 0}
        self._requests: dict[str, Request] = {}
        self._payments: dict[int, Spent] = {}
        self._by_hash: dict[str, list[int]] = {}
        self._first_payments: dict[str, int] = {}
        self._created, self._updated, self._never_updated = Index[int](), Index[int](), Index[int]()

    def request(self, invreq_id: str) -> Request | None:
        """Return a request, or None."""
        return self._requests.get(invreq_id)

    def requests(self) -> list[Request]:
        """Return all requests, by id as in lightningd's database."""
        return [request for _, request in sorted(self._requests.items())]

    def payments(self, payment_hash: str) -> list[Spent]:
        """Return the payments of an invoice."""
        return [self._payments[number] for number in self._by_hash.get(payment_hash, ())]

    def payment(self, payment_hash: str) -> Spent | None:
        """Return the last payment of an invoice, or None."""
        return next(reversed(self.payments(payment_hash)), None)

    def created_since(self, start: int) -> Iterator[Spent]:
        """Yield payments by created index."""
        return map(self._payments.__getitem__, self._created.since(start))

    def updated_since(self, start: int) -> Iterator[Spent]:
        """Yield payments by updated index. From 0 on, unchanged payments come first."""
        if start <= 0:
            yield from map(self._payments.__getitem__, self._never_updated.since(0))
        yield from map(self._payments.__getitem__, self._updated.since(start))

    def first_payment(self, invreq_id: str) -> Spent | None:
        """Return the first payment for a request, or None."""
        return self._payments.get(self._first_payments.get(invreq_id, 0))

    def pending(self) -> list[Spent]:
        """Return the payments in flight."""
        return list(map(self._payments.__getitem__, self._never_updated.since(0)))

    def apply(self, event: Event) -> PaymentChange | None:
        """Apply an event; return its effect on a payment, if any."""
        match event:
            case Requested():
                self._requests[event.invreq_id] = Request(event)
                return None
            case Disabled():
                self._requests[event.invreq_id] = replace(self._requests[event.invreq_id], disabled=True)
                return None
            case Started():
                return self._start(event)
            case Completed() | Failed():
                return self._end(event)

    def _start(self, event: Started) -> PaymentChange:
        number = self._count("created")
        payment = self._payments[number] = Spent(number, event)
        self._by_hash.setdefault(event.payment_hash, []).append(number)
        if event.invreq_id:
            self._first_payments.setdefault(event.invreq_id, number)
        self._created.add(number, number)
        self._never_updated.add(number, number)
        return PaymentChange("created", number, payment)

    def _end(self, event: Completed | Failed) -> PaymentChange:
        payment = self._payments[self._by_hash[event.payment_hash][-1]]
        if isinstance(event, Completed) and (invreq_id := payment.started.invreq_id):
            self._requests[invreq_id] = replace(self._requests[invreq_id], used=True)
        self._never_updated.remove(payment.created_index)
        number = self._count("updated")
        ended = self._payments[payment.created_index] = replace(payment, updated_index=number, end=event)
        self._updated.add(number, payment.created_index)
        return PaymentChange("updated", number, ended)

    def _count(self, index: IndexName) -> int:
        self.counts[index] += 1
        return self.counts[index]
