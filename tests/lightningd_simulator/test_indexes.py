"""The indexes for paging through lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_simulator.indexes import Index


@given(
    steps=st.lists(st.integers(1, 700), min_size=1, max_size=40),
    removed=st.sets(st.integers(0, 39)),
    start=st.integers(-1, 30_000),
)
def test_a_page_has_what_was_added_and_not_removed(steps: list[int], removed: set[int], start: int) -> None:
    """In numeric order, across gaps, and also while entries are added later."""
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
def test_the_cost_of_a_gap_is_constant() -> None:
    """Replaying a journal makes a gap for each change; half a million took minutes with one list."""
    index = Index[int]()
    for number in range(600_000):
        index.add(number, number)
    for number in range(600_000):
        index.remove(number)

    assert list(index.since(0)) == []
