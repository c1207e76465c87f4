"""Turns at a rate-limited resource: keys share it fairly, and a cancelled call frees its place."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tilld.auth.turns import Turns
from tilld.errors import TooMany


@pytest.fixture
async def turns() -> AsyncIterator[Turns]:
    """One turn immediately, then 100 turns a second."""
    turns = Turns(1, 100)
    yield turns
    await turns.stop()


async def start(turns: Turns, key: str, calls: int, served: list[str]) -> list[asyncio.Task[None]]:
    """Start calls of a key; each appends its key to `served` when it gets its turn."""

    async def call() -> None:
        await turns.take(key, 60, "wait")
        served.append(key)

    tasks = [asyncio.create_task(call()) for _ in range(calls)]
    await asyncio.sleep(0)
    return tasks


async def test_each_key_gets_its_share(turns: Turns) -> None:
    """A second key is served next, even after 400 earlier calls of the first key."""
    served: list[str] = []
    greedy = await start(turns, "greedy", 400, served)
    modest = await start(turns, "modest", 2, served) + await start(turns, "third", 1, served)

    await asyncio.gather(*modest)

    assert served.count("greedy") <= 4
    for task in greedy:
        task.cancel()
    await asyncio.wait(greedy)


async def test_a_long_queue_refuses_only_calls_of_its_own_key(turns: Turns) -> None:
    served: list[str] = []
    greedy = await start(turns, "greedy", 400, served)

    with pytest.raises(TooMany, match=r"^slow down$") as refused:
        await turns.take("greedy", 2, "slow down")
    await turns.take("modest", 2, "slow down")

    assert 3 < refused.value.retry_seconds < 5
    for task in greedy:
        task.cancel()
    await asyncio.wait(greedy)


async def test_a_cancelled_call_frees_its_place(turns: Turns) -> None:
    served: list[str] = []
    gone = await start(turns, "greedy", 400, served)
    for task in gone:
        task.cancel()
    await asyncio.wait(gone)

    await turns.take("greedy", 0.1, "slow down")

    assert turns.waiting == 0
    assert "greedy" not in served[1:]


async def test_a_call_without_a_turn_in_time_is_refused(turns: Turns) -> None:
    """More keys have joined since the call began to wait."""
    sleeps: list[asyncio.Event] = []

    async def never(_seconds: float) -> None:
        sleeps.append(asyncio.Event())
        await sleeps[-1].wait()

    slow = Turns(1, 100, sleep=never)
    await slow.take("key", 1, "slow down")

    with pytest.raises(TooMany, match="slow down"):
        await slow.take("key", 0.05, "slow down")

    assert slow.waiting == 0
    await slow.stop()
