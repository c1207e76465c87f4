"""The indexes that lists are paged by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_simulator.indexes import Index


@given(
    steps=st.lists(st.integers(1, 700), min_size=1, max_size=40),
    removed=st.sets(st.integers(0, 39)),
    start=st.integers(-1, 30_000),
)
def test_a_page_is_what_was_added_and_not_removed(steps: list[int], removed: set[int], start: int) -> None:
    """In the order of the numbers, whatever the gaps; also when more is added after that."""
    index = Index[str]()
    kept: dict[int, str] = {}
    number = 0
    for position, step in enumerate(steps):
        number += step
        index.add(number, f"#{number}")
        if position in removed:
            index.remove(number)
        else:
            kept[number] = f"#{number}"

    assert list(index.since(start)) == [key for number, key in kept.items() if number >= start]


@pytest.mark.timeout(20)
def test_a_gap_costs_the_same_however_many_there_are() -> None:
    """A node that replays its journal makes one for each change: half a million took minutes as one list."""
    index = Index[int]()
    for number in range(600_000):
        index.add(number, number)
    for number in range(600_000):
        index.remove(number)

    assert list(index.since(0)) == []
