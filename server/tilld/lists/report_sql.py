"""SQL statements of reports. One statement reads one snapshot, in the order of payment."""

from datetime import timedelta
from functools import cache, reduce
from typing import Any

import peewee

from tilld.formats.time_zones import Span, spans
from tilld.formats.times import DAY_SECONDS, EPOCH, LAST
from tilld.lists.report import Grouping, ReportGroup, ReportTerms
from tilld.lists.sql import seconds
from tilld.storage.mapper import Row
from tilld.storage.statements import Bound, Statement, compiled, param
from tilld.storage.tables import InvoiceTable

# SQLite fails if a sum exceeds 63 bits, so both halves of the amounts are summed.
_HALF = 2**32


class ReportSQL:
    """Statements in the dialect of a database."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        self._report = cache(self._grouped)

    def report(self, username: str, type: str | None, terms: ReportTerms) -> Bound:  # noqa: A002
        """Return the statement for the groups of a user's payments, of one type or all."""
        start, end = seconds(terms.paid)
        parts = [Span(start, end, 0)]
        values: dict[str, Any] = {} if type is None else {"type": type}
        if terms.by is Grouping.DAY:
            # A period within a second has no spans.
            parts = spans(terms.zone, start, end) or parts
            values["offsets"] = [span.offset for span in parts]
        statement = self._report(terms.by, type is not None, len(parts))
        bounds = {"starts": [span.start for span in parts], "ends": [span.end for span in parts]}
        return statement(username=username, **bounds, **values)

    def _grouped(self, by: Grouping, typed: bool, count: int) -> Statement:
        """Return the statement for the groups within each of some spans."""
        amount = InvoiceTable.amount_received_msat
        with self._database.bind_ctx([InvoiceTable]):
            each: list[Any] = []
            for at in range(count):
                offset = param("offsets", at) + DAY_SECONDS
                # Expressions, since an index that has the group's column would read payments of all times.
                name = {
                    Grouping.TYPE: peewee.fn.COALESCE(InvoiceTable.type, ""),
                    Grouping.DAY: (InvoiceTable.paid_at + offset) / DAY_SECONDS,
                    Grouping.KEY: peewee.fn.COALESCE(InvoiceTable.key_id, ""),
                }[by].alias("name")
                sums = (peewee.fn.SUM(amount / _HALF), peewee.fn.SUM(amount.bin_and(_HALF - 1)))
                received = InvoiceTable.select(name, peewee.fn.COUNT(InvoiceTable.id), *sums).where(
                    InvoiceTable.username == param("username"),
                    InvoiceTable.paid_at.is_null(is_null=False),
                    InvoiceTable.paid_at >= param("starts", at),
                    InvoiceTable.paid_at < param("ends", at),
                )
                if typed:
                    received = received.where(InvoiceTable.type == param("type"))
                each.append(received.group_by(peewee.SQL("name")))
            return compiled(reduce(lambda one, other: one.union_all(other), each))


def group_of(row: Row, by: Grouping) -> ReportGroup:
    """Return a group of a report from its row."""
    name, count, high, low = row
    if by is Grouping.DAY:
        name = (EPOCH + min(timedelta(days=int(name) - 1), LAST - EPOCH)).date().isoformat()
    return ReportGroup(name, count, int(high) * _HALF + int(low))
