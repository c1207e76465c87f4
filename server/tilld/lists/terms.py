"""Lists of invoices: filters, orders and page tokens. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self

from tilld.auth.caller import Caller
from tilld.errors import InvalidRequest
from tilld.formats import bolt11 as payment_request
from tilld.formats.ids import is_payment_hash
from tilld.formats.members import MAX_NAME_BYTES, MAX_VALUE_BYTES, Member, members
from tilld.formats.text import MAX_LABEL_BYTES, check_label, check_line, check_text
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.terms import MAX_METADATA_BYTES

PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
# Rows read for a page with filters that no index serves: such a page may have few invoices, or none.
SCANNED = 1000


class Order(StrEnum):
    """The orders of a list. With a minus: the newest first."""

    CREATED_DESC = "-created"
    CREATED_ASC = "created"
    PAID_DESC = "-paid"
    PAID_ASC = "paid"
    # The order of a list with a label prefix; no caller asks for it.
    LABEL = "label"

    @property
    def is_by_payment(self) -> bool:
        """True if the list has paid invoices only."""
        return self in (Order.PAID_DESC, Order.PAID_ASC)

    @property
    def is_descending(self) -> bool:
        """True if the newest invoice comes first."""
        return self.startswith("-")


class Period(NamedTuple):
    """A period of time. `end` is exclusive; None means no limit."""

    start: datetime | None = None
    end: datetime | None = None

    def __contains__(self, time: object) -> bool:
        return (
            isinstance(time, datetime)
            and (self.start is None or self.start <= time)
            and (self.end is None or time < self.end)
        )

    @property
    def is_limited(self) -> bool:
        """True if the period has a start or an end."""
        return self != ALWAYS


ALWAYS = Period()


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """The validated filter of a list. An invoice must match all given fields; no `statuses` means any."""

    statuses: frozenset[Status] = frozenset()
    type: str | None = None
    label: str | None = None
    label_prefix: str | None = None
    payment_hash: str | None = None
    bolt11: str | None = None
    created: Period = ALWAYS
    paid: Period = ALWAYS
    member: Member | None = None

    @classmethod
    def checked(
        cls,
        *,
        statuses: Iterable[Status] = (),
        type: str | None = None,  # noqa: A002
        label: str | None = None,
        label_prefix: str | None = None,
        payment_hash: str | None = None,
        bolt11: str | None = None,
        created: Period = ALWAYS,
        paid: Period = ALWAYS,
        member: Member | None = None,
        payment_hash_field: str = "payment_hash",
        bolt11_field: str = "bolt11",
    ) -> Self:
        """Return the filter of a request, checked against the limits.

        `payment_hash_field` and `bolt11_field` are the caller's names of these fields. Raises InvalidRequest
        or TooLarge, which name the field.
        """
        if type is not None:
            check_text(type, "type", MAX_METADATA_BYTES)
        if label is not None:
            check_label(label)
        if label_prefix is not None:
            check_line(label_prefix, "label_prefix", MAX_LABEL_BYTES, least=1)
        if payment_hash is not None:
            payment_hash = payment_hash.lower()
            if not is_payment_hash(payment_hash):
                raise InvalidRequest(f"{payment_hash_field} must have 64 hexadecimal digits")
        if bolt11 is not None:
            bolt11 = payment_request.pasted(bolt11)
            try:
                found = payment_request.read(bolt11).payment_hash
            except ValueError:
                raise InvalidRequest(f"{bolt11_field} must be a BOLT 11 or BOLT 12 payment request") from None
            if payment_hash not in (None, found):
                raise InvalidRequest(f"{payment_hash_field} and {bolt11_field} differ; send one of them")
            payment_hash = found
        for name, period in (("created", created), ("paid", paid)):
            if period.start is not None and period.end is not None and period.end <= period.start:
                raise InvalidRequest(f"{name}_to must be after {name}_from")
        if member is not None:
            check_text(member.name, "the name of metadata", MAX_NAME_BYTES)
            check_text(member.value, "the value of metadata", MAX_VALUE_BYTES)
        return cls(
            frozenset(statuses), type, label, label_prefix, payment_hash, bolt11, created, paid, member
        )

    @property
    def possible_statuses(self) -> tuple[Status, ...]:
        """The states that an invoice may have to match."""
        possible = (Status.PAID,) if self.paid.is_limited else tuple(Status)
        return tuple(each for each in possible if not self.statuses or each in self.statuses)

    @property
    def is_of_one(self) -> bool:
        """True if at most one invoice can match."""
        return self.label is not None or self.payment_hash is not None

    def matches(self, invoice: Invoice) -> bool:
        """Return whether an invoice matches all fields."""
        return (
            (not self.statuses or invoice.status in self.statuses)
            and self.type in (None, invoice.type)
            and self.label in (None, invoice.label)
            and (self.label_prefix is None or (invoice.label or "").startswith(self.label_prefix))
            and self.payment_hash in (None, invoice.payment_hash)
            and self.bolt11 in (None, invoice.bolt11)
            and invoice.created_at in self.created
            and (not self.paid.is_limited or (invoice.payment and invoice.payment.paid_at) in self.paid)
            and (self.member is None or self.member in members(invoice.metadata))
        )


# The position of an invoice in its order: values of the columns that the list is ordered by.
Position = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class ListTerms:
    """A validated request for a page of a list."""

    filter: InvoiceFilter
    order: Order
    page_size: int
    page_token: str
    # The caller's name of the page token.
    page_name: str

    @classmethod
    def checked(
        cls,
        filter: InvoiceFilter,  # noqa: A002
        order: Order | None = None,
        page_size: int | None = None,
        page_token: str = "",
        *,
        size_name: str = "page_size",
        page_name: str = "page_token",
    ) -> Self:
        """Return a request, checked against the limits.

        `size_name` and `page_name` are the caller's names of two fields. Raises InvalidRequest, which names
        the field.
        """
        if page_size is not None and page_size < 0:
            raise InvalidRequest(f"{size_name} must not be negative")
        if filter.label_prefix is not None:
            if order is not None:
                raise InvalidRequest(
                    "order cannot be combined with label_prefix, which orders by label; omit it"
                )
            order = Order.LABEL
        elif order is None:
            order = Order.PAID_DESC if filter.paid.is_limited else Order.CREATED_DESC
        return cls(filter, order, min(page_size or PAGE_SIZE, MAX_PAGE_SIZE), page_token, page_name)

    def limited_to(self, caller: Caller) -> Self | None:
        """Return the request within what the caller may see, or None if that is nothing."""
        wanted = self.filter
        if caller.type is None:
            return self
        if wanted.type not in (None, caller.type):
            return None
        return replace(self, filter=replace(wanted, type=caller.type))

    @property
    def scanned(self) -> int:
        """The number of rows to read for a page, and one more.

        The index of a list serves its order and its usual filters. Other filters apply to the rows read.
        """
        wanted = self.filter
        if self.order is Order.LABEL:
            others = bool(
                wanted.statuses or wanted.created.is_limited or wanted.paid.is_limited or wanted.member
            )
        elif self.order.is_by_payment:
            others = bool(wanted.created.is_limited or wanted.member)
        else:
            others = bool(wanted.paid.is_limited or (wanted.member and wanted.statuses))
        return (SCANNED if others else self.page_size) + 1
