"""Ids that are created."""

import time
from datetime import UTC, datetime

import pytest

from tilld.formats.ids import internal_id, is_id


def test_internal_ids_of_one_second_are_in_the_order_of_creation(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the microseconds of the local clock. Two of the same microsecond differ."""
    times = [1_999_999, 2_000_000, 2_000_999, 2_001_000, 2_999_999_999, 2_999_999_999]
    clock = iter(times)
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    ids = [internal_id(datetime(2026, 11, 26, tzinfo=UTC)) for _ in times]

    assert len(set(ids)) == len(ids)
    assert all(map(is_id, ids))
    assert [each[:13] for each in ids] == sorted(each[:13] for each in ids)
    assert [int(each[8:13], 16) for each in ids] == [1999, 2000, 2000, 2001, 999_999, 999_999]
