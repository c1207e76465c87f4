"""The clock, and times as whole seconds since 1970 without floats: a float rounds the year 9999 up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tilld.errors import InvalidRequest

Clock = Callable[[], datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
# A year of room before the last time that datetime has: no time zone or interval leads beyond it.
EXPIRY_LIMIT = datetime(9999, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the current time: the clock of everything that is given no other."""
    return datetime.now(UTC)


def unix_seconds(time: datetime) -> int:
    """Return the whole seconds since 1970; fractions are dropped."""
    return (time - EPOCH) // SECOND


def utc(seconds: int) -> datetime:
    """Return the time of whole seconds since 1970. Raises OverflowError beyond the year 9999."""
    return EPOCH + seconds * SECOND


def stored_time(seconds: int) -> datetime:
    """Return the time of a row. A time beyond the year 9999 reads as its last second.

    One row with such a time must not make its whole page unreadable.
    """
    try:
        return utc(seconds)
    except OverflowError:
        return LAST if seconds > 0 else EPOCH


def check_expiry(time: datetime, field: str) -> None:
    """Check that a caller's expiry is below the limit. Raises InvalidRequest, naming the field."""
    if time >= EXPIRY_LIMIT:
        raise InvalidRequest(f"{field} must be before the year {EXPIRY_LIMIT.year}; omit it for no expiry")
