"""Time zones by their names, and callers' times in them."""

from datetime import UTC, datetime, timedelta

import pytest

from tilld.errors import InvalidRequest
from tilld.formats.time_zones import time_in, time_zone


def test_no_name_is_utc() -> None:
    assert time_zone("", "tz") is UTC


@pytest.mark.parametrize("name", ["UTC", "Europe/Rome", "America/Argentina/Buenos_Aires", "Etc/GMT-14"])
def test_a_name_of_iana_is_a_time_zone(name: str) -> None:
    assert str(time_zone(name, "tz")) == name


@pytest.mark.parametrize(
    "name",
    [
        "Europe/Atlantis", "Europe", "America/Argentina", "europe/rome", "CET ", "+01:00", "posixrules",
        "right/UTC", "/etc/passwd", "../../etc/passwd", "Europe/../UTC", "Europe//Rome", "Rome\0", "Röme",
        "\ud800", "A" * 33, "A/" * 4000,
    ],
)  # fmt: skip
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="tz must be the name of a time zone"):
        time_zone(name, "tz")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-26T12:00:00Z", "2026-11-26T12:00:00+00:00"),
        ("2026-11-26t12:00:00z", "2026-11-26T12:00:00+00:00"),
        ("2026-11-26 12:00:00+01:00", "2026-11-26T11:00:00+00:00"),
        ("2026-11-26T12:00:00 01:00", "2026-11-26T11:00:00+00:00"),
        ("2026-11-26T12:00:00.5-05:30", "2026-11-26T17:30:00.500000+00:00"),
        ("2026-11-26T12:00:00.123456789Z", "2026-11-26T12:00:00.123456+00:00"),
        ("2026-11-26", "2026-11-25T23:00:00+00:00"),
        ("2026-07-01", "2026-06-30T22:00:00+00:00"),
        ("2024-02-29", "2024-02-28T23:00:00+00:00"),
    ],
)
def test_a_time_or_a_date(text: str, instant: str) -> None:
    assert time_in(time_zone("Europe/Rome", "tz"), text, "x") == datetime.fromisoformat(instant)


def test_a_day_begins_where_midnight_is_skipped() -> None:
    """Chile turned its clocks forward at midnight: the day began at 01:00."""
    zone = time_zone("America/Santiago", "tz")

    begun = time_in(zone, "2025-09-07", "x")

    assert begun.astimezone(zone).hour == 1
    assert (begun - timedelta(seconds=1)).astimezone(zone).day == 6


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "0", "1795275577", "2026", "2026-11", "20261126", "2026-W48-4", "2026-330", "2026-13-01",
        "2026-02-29", "2026-11-26T", "2026-11-26T12:00:00", "2026-11-26T12:00Z", "2026-11-26T25:00:00Z",
        "2026-11-26T12:00:60Z", "2026-11-26T12:00:00+24:00", "2026-11-26T12:00:00+0100", "\uff12026-11-26",
        "2026-11-26\n", "0001-01-01", "0000-01-01", "9999-01-02", "9999-12-31T23:59:59-23:59",
        "2026-11-26T12:00:00." + "1" * 8000,
    ],
)  # fmt: skip
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="^created_from must be "):
        time_in(time_zone("Asia/Tokyo", "tz"), text, "created_from")
