"""Many small writes, one commit."""

import asyncio
from contextlib import suppress
from typing import Never

import pytest

from tilld.config import USUAL
from tilld.errors import Unavailable
from tilld.storage.group_commit import MAX_BATCH, GroupCommit


async def test_what_arrives_during_a_commit_makes_one_batch() -> None:
    """A lone item is committed at once."""
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
    """A group that waits for as long as it takes, and what it has committed."""
    batches = []

    async def commit(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    return GroupCommit(commit, USUAL._replace(gather_seconds=60)), batches


async def test_a_batch_waits_for_what_is_on_its_way() -> None:
    """Until it is there, or does not come any more."""
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


async def test_what_begins_when_all_are_there_is_waited_for_too() -> None:
    """Who is busy has more calls in the loop than it knows of."""
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


async def test_a_batch_waits_a_moment_only() -> None:
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
    """Only the bad item's caller hears of it."""

    async def commit(items: list[str]) -> list[str]:
        if "bad" in items:
            raise ValueError
        return items

    group = GroupCommit(commit)

    results = await asyncio.gather(*map(group.add, ["a", "bad", "b"]), return_exceptions=True)

    assert results[::2] == ["a", "b"]
    assert isinstance(results[1], ValueError)


async def test_a_caller_who_leaves_does_not_disturb_the_others() -> None:
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


async def test_when_the_store_is_away_all_hear_of_it_at_once() -> None:
    """One after another, each would wait for it anew."""
    tries = []

    async def commit(items: list[int]) -> Never:
        tries.append(len(items))
        raise Unavailable

    group: GroupCommit[int, int] = GroupCommit(commit)

    results = await asyncio.gather(*map(group.add, range(10)), return_exceptions=True)

    assert all(isinstance(each, Unavailable) for each in results)
    assert tries == [10]
