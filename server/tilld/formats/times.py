"""The clock, and times as whole seconds since 1970. Floats would round the end of 9999 up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tilld.errors import InvalidRequest

Clock = Callable[[], datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
DAY_SECONDS = 86_400
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
# One year before datetime.max, so that adding a time zone or an interval cannot overflow.
EXPIRY_LIMIT = datetime(9999, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the current time. This is the default clock."""
    return datetime.now(UTC)


def unix_seconds(time: datetime) -> int:
    """Return the whole seconds since 1970, rounded down."""
    return (time - EPOCH) // SECOND


def milliseconds(time: datetime) -> int:
    """Return the whole milliseconds since 1970, rounded down."""
    return (time - EPOCH) // MILLISECOND


def utc_of_milliseconds(since_1970: int) -> datetime:
    """Return the time at whole milliseconds since 1970. Raises OverflowError beyond the year 9999."""
    return EPOCH + since_1970 * MILLISECOND


def utc(seconds: int) -> datetime:
    """Return the time at whole seconds since 1970. Raises OverflowError beyond the year 9999."""
    return EPOCH + seconds * SECOND


def stored_time(seconds: int) -> datetime:
    """Return the time of a row. A time beyond the year 9999 becomes the last second of that year.

    So one such row does not make its whole page unreadable.
    """
    try:
        return utc(seconds)
    except OverflowError:
        return LAST if seconds > 0 else EPOCH


def check_expiry(time: datetime, field: str) -> None:
    """Check that an expiry is before the year 9999. Raises InvalidRequest, naming the field."""
    if time >= EXPIRY_LIMIT:
        raise InvalidRequest(f"{field} must be before the year {EXPIRY_LIMIT.year}; omit it for no expiry")
