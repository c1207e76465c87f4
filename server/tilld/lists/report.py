"""Reports: payments received in a period, by group. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Self

from tilld.errors import InvalidRequest
from tilld.invoices.totals import MAX_VOLUME_MSAT
from tilld.lists.terms import Period

# Ten years have at most 3653 days, and a zone may change its offset in the meantime.
MAX_PERIOD = timedelta(days=3654)


class Grouping(StrEnum):
    """How the payments of a report are grouped."""

    TYPE = "type"
    DAY = "day"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class ReportTerms:
    """A validated request for a report."""

    paid: Period
    by: Grouping
    # The zone of days.
    zone: tzinfo

    @classmethod
    def checked(
        cls,
        start: datetime | None,
        end: datetime | None,
        by: Grouping = Grouping.TYPE,
        zone: tzinfo = UTC,
        *,
        start_name: str = "paid_from",
        end_name: str = "paid_to",
    ) -> Self:
        """Return a request, checked against the limits.

        `start_name` and `end_name` are the caller's names of the times. Raises InvalidRequest, which names
        the field.
        """
        if start is None or end is None:
            raise InvalidRequest(f"{start_name if start is None else end_name} is required")
        if end <= start:
            raise InvalidRequest(f"{end_name} must be after {start_name}")
        if end - start > MAX_PERIOD:
            raise InvalidRequest(f"{end_name} must be at most 10 years after {start_name}")
        return cls(Period(start, end), by, zone)


@dataclass(frozen=True, slots=True)
class ReportGroup:
    """Payments with the same type, day or key. `name` is empty for invoices without a key."""

    name: str
    count: int
    amount_received_msat: int


@dataclass(frozen=True, slots=True)
class Report:
    """The number of payments and the sum received, and both of each group, by name.

    Sums saturate at the largest integer of a database. A simulated node can exceed it.
    """

    count: int
    amount_received_msat: int
    groups: list[ReportGroup]

    @classmethod
    def of(cls, groups: Iterable[ReportGroup]) -> Self:
        """Return the report of groups. Those with the same name become one."""
        sums: dict[str, tuple[int, int]] = {}
        for group in groups:
            count, received = sums.get(group.name, (0, 0))
            sums[group.name] = count + group.count, received + group.amount_received_msat
        return cls(
            sum(count for count, _ in sums.values()),
            _saturated(sum(msat for _, msat in sums.values())),
            [ReportGroup(name, count, _saturated(msat)) for name, (count, msat) in sorted(sums.items())],
        )


def _saturated(msat: int) -> int:
    return min(msat, MAX_VOLUME_MSAT)
