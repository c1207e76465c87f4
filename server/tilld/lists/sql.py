"""SQL statements of lists of invoices. Each reads an index in its order, from `start` to before `end`."""

from datetime import datetime
from functools import cache, reduce
from typing import Any

import peewee

from tilld.formats.members import digest
from tilld.formats.text import MAX_LABEL_BYTES
from tilld.formats.times import unix_seconds
from tilld.invoices.invoice import Status
from tilld.invoices.sql import INVOICES
from tilld.lists.terms import ListTerms, Order, Period, Position
from tilld.storage.mapper import Row
from tilld.storage.statements import Bound, Statement, compiled, param, param_list
from tilld.storage.tables import InvoiceTable, MemberTable

# The columns of each order.
_CREATED = ("id",)
_PAID = ("paid_at", "pay_index", "id")
_LABEL = ("label",)
_COLUMNS = {
    Order.CREATED_DESC: _CREATED,
    Order.CREATED_ASC: _CREATED,
    Order.PAID_DESC: _PAID,
    Order.PAID_ASC: _PAID,
    Order.LABEL: _LABEL,
}

# Beyond all ids, which are hexadecimal.
_LAST_ID = "g"
_LAST_SECOND = 2**63 - 1
_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


class ListSQL:
    """Statements in the dialect of a database."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        self._is_local = isinstance(database, peewee.SqliteDatabase)
        collation = "BINARY" if self._is_local else '"C"'
        # Byte order, as in the index.
        self._label_column = peewee.NodeList((InvoiceTable.label, peewee.SQL(f"COLLATE {collation}")))
        self._creation = cache(self._by_creation)
        self._payment = cache(self._by_payment)
        self._label = cache(self._by_label)
        self._member = cache(self._by_member)

    def page(self, username: str, terms: ListTerms, position: Position | None, limit: int) -> Bound | None:
        """Return the statement for the next rows of a list beyond a position, or None if there are none."""
        wanted, order = terms.filter, terms.order
        values: dict[str, Any] = {"username": username, "limit": limit}
        if wanted.type is not None:
            values["type"] = wanted.type
        typed = wanted.type is not None
        statuses = wanted.possible_statuses
        if not statuses or (order.is_by_payment and Status.PAID not in statuses):
            return None
        start, end = _bounds(terms)
        if position is not None:
            if order.is_descending:
                end = position
            else:
                # The next text after the last column's.
                start = (*position[:-1], f"{position[-1]}\x01")
        if order.is_by_payment:
            return self._payment(typed, order.is_descending)(start=start, end=end, **values)
        values |= {"start": start[0], "end": end[0]}
        if order is Order.LABEL:
            return self._label(typed)(**values)
        if wanted.member:
            return self._member(typed, order.is_descending)(digest=digest(username, wanted.member), **values)
        return self._creation(statuses, typed, order.is_descending)(**values)

    def _by_creation(self, statuses: tuple[Status, ...], typed: bool, descending: bool) -> Statement:
        """Return the statement for invoices with one of these states, by id."""
        with self._database.bind_ctx([InvoiceTable]):
            # One query for each status: an index has the order only within a status.
            each = [self._of_status(status, typed, descending) for status in statuses]
            if len(each) == 1 and not self._is_local:
                return compiled(each[0])
            merged = reduce(lambda one, other: one.union_all(other), each)
            return compiled(
                merged.order_by(peewee.SQL("id DESC" if descending else "id")).limit(param("limit"))
            )

    def _of_status(self, status: Status, typed: bool, descending: bool) -> Any:
        """Return the query for invoices with a state, by id."""
        if self._is_local:
            return _of_owner(typed).where(InvoiceTable.status == status.value, *_between(InvoiceTable.id))
        # PostgreSQL would read all invoices and sort, or read those of all users by their ids: only the limit
        # in each query prevents the former, and only an order by all columns of the index the latter. In a
        # prepared statement it does not know the user.
        values: dict[peewee.Field, peewee.Value] = {InvoiceTable.username: param("username")}
        if typed:
            values[InvoiceTable.type] = param("type")
        values[InvoiceTable.status] = peewee.Value(status.value)
        columns = (*values, InvoiceTable.id)
        start, end = (peewee.Tuple(*values.values(), param(name)) for name in ("start", "end"))
        of_status = InvoiceTable.select().where(peewee.Tuple(*columns) >= start, peewee.Tuple(*columns) < end)
        order = [column.desc() if descending else column.asc() for column in columns]
        return of_status.order_by(*order).limit(param("limit"))

    def _by_payment(self, typed: bool, descending: bool) -> Statement:
        """Return the statement for paid invoices, by paid_at, pay_index and id."""
        columns = (InvoiceTable.paid_at, InvoiceTable.pay_index, InvoiceTable.id)
        with self._database.bind_ctx([InvoiceTable]):
            paid = _of_owner(typed).where(
                InvoiceTable.paid_at.is_null(is_null=False),
                peewee.Tuple(*columns) >= peewee.Tuple(*param_list("start", len(columns))),
                peewee.Tuple(*columns) < peewee.Tuple(*param_list("end", len(columns))),
            )
            order = [column.desc() if descending else column.asc() for column in columns]
            return compiled(paid.order_by(*order).limit(param("limit")))

    def _by_label(self, typed: bool) -> Statement:
        """Return the statement for invoices with a label, by label."""
        with self._database.bind_ctx([InvoiceTable]):
            labelled = _of_owner(typed).where(
                InvoiceTable.label.is_null(is_null=False), *_between(self._label_column)
            )
            return compiled(labelled.order_by(self._label_column).limit(param("limit")))

    def _by_member(self, typed: bool, descending: bool) -> Statement:
        """Return the statement for invoices with a member of metadata, by id."""
        with self._database.bind_ctx([InvoiceTable, MemberTable]):
            # The owner's rows only, since digests may collide.
            having = _of_owner(typed).join(MemberTable, on=(MemberTable.id == InvoiceTable.id))
            with_digest = having.where(MemberTable.digest == param("digest"), *_between(MemberTable.id))
            order = MemberTable.id.desc() if descending else MemberTable.id.asc()
            return compiled(with_digest.order_by(order).limit(param("limit")))


def _of_owner(typed: bool) -> Any:
    owned = InvoiceTable.select().where(InvoiceTable.username == param("username"))
    return owned.where(InvoiceTable.type == param("type")) if typed else owned


def _between(column: peewee.Node) -> tuple[peewee.Expression, peewee.Expression]:
    at_least = peewee.Expression(column, peewee.OP.GTE, param("start"))
    return at_least, peewee.Expression(column, peewee.OP.LT, param("end"))


def _bounds(terms: ListTerms) -> tuple[Position, Position]:
    """Return where a list begins, and where it ends."""
    wanted = terms.filter
    if terms.order is Order.LABEL:
        prefix = wanted.label_prefix or ""
        return (prefix,), (_after(prefix),)
    if terms.order.is_by_payment:
        first, last = seconds(wanted.paid)
        return (first, 0, ""), (last, 0, "")
    first, last = seconds(wanted.created)
    return (_id_at(first),), (_id_at(last),)


def seconds(period: Period) -> tuple[int, int]:
    """Return the first whole second within a period, and the first one after it."""
    start = 0 if period.start is None else _rounded_up(period.start)
    return start, _LAST_SECOND if period.end is None else _rounded_up(period.end)


def _rounded_up(time: datetime) -> int:
    return max(unix_seconds(time) + bool(time.microsecond), 0)


def _id_at(second: int) -> str:
    """Return the least id of a second; ids begin with 8 digits of their creation time."""
    return f"{second:08x}" if second < 1 << 32 else _LAST_ID


def _after(prefix: str) -> str:
    """Return the first text after all texts with a prefix, in byte order of UTF-8."""
    last = ord(prefix[-1]) + 1
    if last > _LAST_CHARACTER:
        return _after(prefix[:-1]) if len(prefix) > 1 else prefix * MAX_LABEL_BYTES
    return prefix[:-1] + chr(last if last not in _SURROGATES else _SURROGATES.stop)


def position_of(row: Row, order: Order) -> Position:
    """Return where a row stands in an order. The row may be unreadable."""
    return tuple(row[INVOICES.at(name)] for name in _COLUMNS[order])
