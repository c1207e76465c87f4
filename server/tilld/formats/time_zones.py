"""Time zones by their names, callers' times in them, and their offsets."""

import re
from bisect import bisect_left
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tilld.errors import InvalidRequest
from tilld.formats.times import DAY_SECONDS, EXPIRY_LIMIT, SECOND, unix_seconds, utc

# All names of IANA match; "posixrules", "right/UTC" and paths do not.
_is_name = re.compile(r"[A-Z][A-Za-z0-9+_-]{0,31}(/[A-Za-z0-9+_-]{1,32}){0,2}").fullmatch
_is_date = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
# RFC 3339, section 5.6. A space before the offset is a plus sign that was not percent-encoded in a query.
_instant = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:([Zz])|([+ -])(\d\d:\d\d))", re.ASCII
).fullmatch

# The last second whose offset is looked up.
_LAST_OFFSET = unix_seconds(EXPIRY_LIMIT)


def time_zone(name: str, field: str) -> tzinfo:
    """Return a time zone by its name; an empty name is UTC. Raises InvalidRequest, which names the field."""
    if name in ("", "UTC"):
        # Also on a system without time zones.
        return UTC
    try:
        if _is_name(name):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        pass
    raise InvalidRequest(f"{field} must be the name of a time zone (IANA), such as Europe/Rome")


def time_in(zone: tzinfo, text: str, field: str) -> datetime:
    """Return a time of RFC 3339, or midnight of a date in a time zone.

    Raises InvalidRequest, which names the field.
    """
    try:
        if _is_date(text):
            time = datetime.fromisoformat(text).replace(tzinfo=zone)
        elif found := _instant(text):
            date, clock, utc, sign, offset = found.groups()
            shift = "+00:00" if utc else f"{sign.replace(' ', '+')}{offset}"
            time = datetime.fromisoformat(f"{date}T{clock}{shift}")
        else:
            raise ValueError
        time = time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{field} must be a date such as 2026-11-26, or a time with its offset such as "
            "2026-11-26T12:00:00+01:00"
        ) from None
    if time >= EXPIRY_LIMIT:
        raise InvalidRequest(f"{field} must be before the year {EXPIRY_LIMIT.year}")
    return time


class Span(NamedTuple):
    """Seconds since 1970 with the same offset from UTC. `end` is exclusive."""

    start: int
    end: int
    offset: int


def spans(zone: tzinfo, start: int, end: int) -> list[Span]:
    """Return the spans of a period, in order."""

    def offset(second: int) -> int:
        local = utc(min(second, _LAST_OFFSET)).astimezone(zone)
        return (local.utcoffset() or timedelta(0)) // SECOND

    found = []
    while start < end:
        now = offset(start)

        def differs(second: int, now: int = now) -> bool:
            return offset(second) != now

        # No zone changes its offset twice within a day.
        probe = next(filter(differs, range(start + DAY_SECONDS, end, DAY_SECONDS)), end - 1)
        within = range(max(start, probe - DAY_SECONDS), probe + 1)
        change = within.start + bisect_left(within, True, key=differs)
        found.append(Span(start, change, now))
        start = change
    return found
