"""Dates, months and time zones as people type them."""

import os
import re
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

FORMS = "2026-11-01, 2026-11-01T18:30 or 2026-11-01T18:30:00Z"
# All of these years, and the month after them, are times of Till in every zone.
YEAR = r"(?:19[7-9]|[2-8]\d\d)\d"
MOMENT = re.compile(YEAR + r"-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
MONTH = re.compile(rf"({YEAR})-(\d\d)", re.ASCII)
LOCAL_ZONE = Path("/etc/localtime")


class Period(NamedTuple):
    """A period of time in a zone. The end is exclusive; None means no limit."""

    start: datetime | None
    end: datetime | None
    zone: tzinfo

    @property
    def zone_name(self) -> str:
        """The name of the zone, such as "Europe/Rome"."""
        return str(self.zone)


def moment(text: str) -> datetime:
    """Return a time; without a zone if the text has none. Raise ValueError with the valid forms."""
    try:
        if MOMENT.fullmatch(text.strip()):
            return datetime.fromisoformat(text.strip())
    except ValueError:
        pass
    raise ValueError(f"{text!r} is not a date; use {FORMS}")


def month(text: str) -> datetime:
    """Return the begin of a month, without a zone. Raise ValueError with the valid form."""
    try:
        if found := MONTH.fullmatch(text.strip()):
            return datetime(int(found[1]), int(found[2]), 1)  # noqa: DTZ001
    except ValueError:
        pass
    raise ValueError(f"{text!r} is not a month; use 2026-11")


def zone(name: str | None) -> tzinfo:
    """Return the zone of a name, or this machine's. Raise ValueError for an unknown name."""
    name = name or _local_name()
    if name in {"UTC", "Etc/UTC"}:
        # Also on a machine without time zones.
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError(
            f"this machine knows no time zone {name!r}; use a name such as Europe/Rome"
        ) from None


def _local_name() -> str:
    if name := os.environ.get("TZ", "").removeprefix(":"):
        return name
    _, found, name = str(LOCAL_ZONE.resolve()).partition("/zoneinfo/")
    return name if found else "UTC"


def period(
    start: datetime | None, end: datetime | None, month_: datetime | None, time_zone: str | None
) -> Period:
    """Return the period of the options --from, --to, --month and --tz. Raise ValueError if they differ."""
    where = zone(time_zone)
    if month_:
        if start or end:
            raise ValueError("pass either --month, or --from and --to")
        start, end = month_, _next(month_)
    begin, until = (each and (each if each.tzinfo else each.replace(tzinfo=where)) for each in (start, end))
    if begin and until and begin >= until:
        raise ValueError("--to must be after --from; it is the first moment that does not count")
    return Period(begin, until, where)


def this_month(time_zone: str | None) -> Period:
    """Return the current month."""
    now = datetime.now(zone(time_zone))
    return period(None, None, datetime(now.year, now.month, 1), time_zone)  # noqa: DTZ001


def _next(begin: datetime) -> datetime:
    # 31 days after its first, each month is over, and the next one has not ended.
    return (begin + timedelta(days=31)).replace(day=1)
