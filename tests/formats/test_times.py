"""Times are whole seconds, exact until the end of the year 9999."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilld.errors import InvalidRequest
from tilld.formats.times import EPOCH, LAST, check_expiry, stored_time, unix_seconds, utc


@given(st.datetimes(EPOCH.replace(tzinfo=None)).map(lambda time: time.replace(tzinfo=UTC)))
def test_a_time_is_stored_without_its_fraction(time: datetime) -> None:
    """This includes the last second, which a float rounds up to the year 10000."""
    assert utc(unix_seconds(time)) == time.replace(microsecond=0)


def test_the_last_microsecond_stays_in_its_year() -> None:
    assert unix_seconds(datetime.max.replace(tzinfo=UTC)) == unix_seconds(LAST) == 253_402_300_799


@given(st.integers())
def test_any_number_in_a_row_can_be_read(seconds: int) -> None:
    assert stored_time(seconds) <= LAST


@pytest.mark.parametrize("time", [LAST, datetime.max.replace(tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)])
def test_an_expiry_at_the_end_of_time_is_refused(time: datetime) -> None:
    with pytest.raises(InvalidRequest, match="expires_at must be before the year 9999"):
        check_expiry(time, "expires_at")
    check_expiry(datetime(9999, 1, 1, tzinfo=UTC) - timedelta(seconds=1), "expires_at")
