"""Group commit: many small writes share one commit."""

import asyncio
from contextlib import suppress
from typing import Never

import pytest

from tilld.config import USUAL
from tilld.errors import Unavailable
from tilld.storage.group_commit import MAX_BATCH, GroupCommit


async def test_items_that_arrive_during_a_commit_make_one_batch() -> None:
    """A lone item is committed immediately."""
    batches = []
    started, go_on = asyncio.Event(), asyncio.Event()

    async def commit(items: list[int]) -> list[int]:
        batches.append(items)
        started.set()
        await go_on.wait()
        return [item * 10 for item in items]

    group = GroupCommit(commit)
    first = asyncio.create_task(group.add(1))
    await started.wait()
    rest = [asyncio.create_task(group.add(item)) for item in (2, 3, 4)]
    await asyncio.sleep(0)
    go_on.set()

    assert await asyncio.gather(first, *rest) == [10, 20, 30, 40]
    assert batches == [[1], [2, 3, 4]]


def patient() -> tuple[GroupCommit[int, int], list[list[int]]]:
    """Return a group that waits up to 60 s, and the list of its commits."""
    batches = []

    async def commit(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    return GroupCommit(commit, USUAL._replace(gather_seconds=60)), batches


async def test_a_batch_waits_for_expected_items() -> None:
    """Until an item arrives, or its expectation ends."""
    group, batches = patient()
    with group.expecting(), suppress(ValueError):
        with group.expecting():
            first = asyncio.create_task(group.add(1))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not batches
        second = asyncio.create_task(group.add(2))
        await asyncio.sleep(0)
        assert not batches
        raise ValueError

    assert [await first, await second] == [1, 2]
    assert batches == [[1, 2]]


async def test_a_batch_waits_for_items_expected_in_the_next_turn() -> None:
    """A busy process has calls in the event loop that are not expected yet."""
    group, batches = patient()

    async def next_one() -> int:
        with group.expecting():
            await asyncio.sleep(0)
        return await group.add(2)

    with group.expecting():
        first = asyncio.create_task(group.add(1))
        for _ in range(3):
            await asyncio.sleep(0)
        second = asyncio.create_task(next_one())

    assert [await first, await second] == [1, 2]
    assert batches == [[1, 2]]


async def test_the_wait_of_a_batch_has_a_limit() -> None:
    async def commit(items: list[int]) -> list[int]:
        return items

    group = GroupCommit(commit, USUAL._replace(gather_seconds=0.001))
    with group.expecting():
        assert await group.add(1) == 1


async def test_batches_have_a_limit() -> None:
    sizes = []

    async def commit(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return items

    group = GroupCommit(commit)

    await asyncio.gather(*map(group.add, range(2 * MAX_BATCH + 1)))

    assert sizes == [MAX_BATCH, MAX_BATCH, 1]


async def test_a_failed_batch_is_retried_one_by_one() -> None:
    """Only the caller of the bad item gets the error."""

    async def commit(items: list[str]) -> list[str]:
        if "bad" in items:
            raise ValueError
        return items

    group = GroupCommit(commit)

    results = await asyncio.gather(*map(group.add, ["a", "bad", "b"]), return_exceptions=True)

    assert results[::2] == ["a", "b"]
    assert isinstance(results[1], ValueError)


async def test_a_cancelled_caller_does_not_disturb_the_others() -> None:
    go_on = asyncio.Event()

    async def commit(items: list[str]) -> list[str]:
        await go_on.wait()
        return items

    group = GroupCommit(commit)
    leaving = asyncio.create_task(group.add("leaving"))
    staying = asyncio.create_task(group.add("staying"))
    await asyncio.sleep(0)
    leaving.cancel()
    go_on.set()

    assert await staying == "staying"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_an_unavailable_store_fails_the_whole_batch() -> None:
    """Retrying the items one by one would wait for the store once for each."""
    tries = []

    async def commit(items: list[int]) -> Never:
        tries.append(len(items))
        raise Unavailable

    group: GroupCommit[int, int] = GroupCommit(commit)

    results = await asyncio.gather(*map(group.add, range(10)), return_exceptions=True)

    assert all(isinstance(each, Unavailable) for each in results)
    assert tries == [10]
