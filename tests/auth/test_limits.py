"""The limits of each key: a key at its limit does not affect other keys."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.nodes import SimulatedNode, simulated_node
from tests.support.samples import ANOTHER, DAKK, PLENTY, an_order
from tests.support.till import Parts
from tilld.auth.caller import Caller
from tilld.auth.limits import (
    COUNTED_SECONDS,
    FLOOD_SECONDS,
    REFUSALS_AT_ONCE,
    TESTS_AT_ONCE,
    WATCHES_OF_A_TOKEN,
    Limits,
)
from tilld.errors import TooMany
from tilld.invoices.totals import Totals

GREEDY = replace(DAKK, key_id="greedy")
MODEST = replace(ANOTHER, key_id="modest")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limits_of(clock: Clock, **allowance: Any) -> Limits:
    return Limits(replace(PLENTY, **allowance), clock, clock.sleep)


async def waits(limits: Limits, clock: Clock, caller: Caller) -> list[float]:
    """Return how long each concurrent create waits for its turn, until the first refusal."""
    waited: list[float] = []
    while True:
        before = clock.now
        turn = limits.turn(caller)
        try:
            await turn
        except TooMany:
            return waited
        waited.append(clock.now - before)
        # All creates arrive at the same time.
        clock.now = before


@pytest.mark.parametrize(("rate", "at_once", "pause"), [(4, 4, 0.25), (1, 1, 1), (0.5, 1, 2)])
async def test_a_burst_passes_immediately_and_the_rest_at_the_rate(
    clock: Clock, rate: float, at_once: int, pause: float
) -> None:
    """A create that would wait for more than a second is refused.

    A pause saves at most one second's burst.
    """
    limits = limits_of(clock, creates_per_second=rate)
    in_turn = [each for number in range(1, 9) if (each := number * pause) <= 1]

    assert await waits(limits, clock, GREEDY) == [0] * at_once + in_turn
    assert await waits(limits, clock, MODEST) == [0] * at_once + in_turn
    clock.now += 3600
    assert await waits(limits, clock, GREEDY) == [0] * at_once + in_turn


async def test_a_retry_after_the_delay_succeeds(clock: Clock) -> None:
    limits = limits_of(clock, creates_per_second=0.5)
    await limits.turn(GREEDY)
    with pytest.raises(TooMany) as refused:
        await limits.turn(GREEDY)

    clock.now += refused.value.retry_seconds

    await limits.turn(GREEDY)


async def refusals(limits: Limits, clock: Clock, number: int) -> list[float]:
    """Return how long each of `number` concurrent refusals takes."""
    began, took = clock.now, []
    for _ in range(number):
        clock.now = began
        with pytest.raises(TooMany):
            await limits.turn(GREEDY)
        took.append(clock.now - began)
    return took


# Rounding may make one of the immediate refusals slow.
AT_ONCE = REFUSALS_AT_ONCE - 1


async def test_a_refusal_is_immediate(clock: Clock) -> None:
    """A caller who waits as advised, and all tills of a shop at the same moment, get it without delay."""
    limits = limits_of(clock, creates_per_second=0.01)
    await limits.turn(GREEDY)

    assert await refusals(limits, clock, AT_ONCE) == [0] * AT_ONCE


async def test_a_flood_of_refusals_is_slowed_down_and_leaves_nothing_behind(clock: Clock) -> None:
    """A client that retries without a pause would use the whole processor."""
    limits = limits_of(clock, creates_per_second=0.01)
    await limits.turn(GREEDY)

    took = await refusals(limits, clock, 5000)
    clock.now += 1

    shortest, longest = FLOOD_SECONDS
    slow = [round(each, 6) for each in took[REFUSALS_AT_ONCE:]]
    assert shortest <= min(slow) < max(slow) <= longest
    assert await refusals(limits, clock, 1) == [0]


async def test_tests_of_webhooks_are_limited_for_each_key(clock: Clock) -> None:
    """Each makes Till send a request: a burst, then one a second."""
    limits = limits_of(clock)
    for _ in range(TESTS_AT_ONCE):
        await limits.may_test(GREEDY)

    with pytest.raises(TooMany, match="too many tests of webhooks") as refused:
        await limits.may_test(GREEDY)
    assert 0 < refused.value.retry_seconds <= 1
    await limits.may_test(MODEST)
    clock.now += refused.value.retry_seconds
    await limits.may_test(GREEDY)
    with pytest.raises(TooMany):
        await limits.may_test(GREEDY)


def counted(open_invoices: int) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        return open_invoices

    return count


async def creates(limits: Limits, caller: Caller, open_invoices: int) -> None:
    async with limits.creating(caller, counted(open_invoices)):
        pass


async def test_open_invoices_and_creates_in_flight_are_counted_together(clock: Clock) -> None:
    limits = limits_of(clock, open_invoices=3)

    async with limits.creating(GREEDY, counted(1)), limits.creating(GREEDY, counted(1)):
        with pytest.raises(TooMany, match="too many open invoices .3 per key"):
            await creates(limits, GREEDY, 1)
        await creates(limits, MODEST, 2)
    await creates(limits, GREEDY, 2)
    with pytest.raises(TooMany):
        await creates(limits, GREEDY, 3)


async def test_the_count_of_open_invoices_is_cached(clock: Clock) -> None:
    """Between two counts each new invoice adds one."""
    limits = limits_of(clock, open_invoices=100)
    counts = 0

    async def count() -> int:
        nonlocal counts
        counts += 1
        return 10

    for _ in range(90):
        async with limits.creating(GREEDY, count):
            pass
    assert counts == 1
    await clock.sleep(COUNTED_SECONDS)
    async with limits.creating(GREEDY, count):
        pass
    assert counts == 2


async def test_final_invoices_make_room_immediately(clock: Clock) -> None:
    """Before a refusal the open invoices are counted again."""
    limits = limits_of(clock, open_invoices=3)
    for open_invoices in range(3):
        await creates(limits, GREEDY, open_invoices)

    await creates(limits, GREEDY, 2)


async def test_watches_are_counted_for_each_key_and_token(clock: Clock) -> None:
    limits = limits_of(clock, watches=30)
    token = replace(GREEDY, invoice_id="x" * 21)

    async def watch(caller: Caller) -> None:
        await limits.may_watch(caller)
        open_watches.enter_context(limits.watching(caller))

    with ExitStack() as open_watches:
        for _ in range(WATCHES_OF_A_TOKEN):
            await watch(token)
        with pytest.raises(TooMany, match="20 per watch token"):
            await watch(token)
        for _ in range(30 - WATCHES_OF_A_TOKEN):
            await watch(GREEDY)
        with pytest.raises(TooMany, match="too many watches .30 per key"):
            await watch(GREEDY)
        await watch(MODEST)
        open_watches.close()
        await watch(token)
    assert not limits.busy


@pytest.fixture
async def lightningd(tmp_path: Path) -> AsyncIterator[SimulatedNode]:
    async with simulated_node(tmp_path) as node:
        yield node


@pytest.fixture
async def till(tmp_path: Path, database_url: str, lightningd: SimulatedNode) -> AsyncIterator[Parts]:
    parts = Parts(tmp_path, database_url, allowance=replace(PLENTY, creates_per_second=20, open_invoices=5))
    yield parts
    await parts.close()


async def test_a_greedy_key_gets_only_its_share(till: Parts) -> None:
    """The modest key's creates succeed while the flood waits.

    Few creates of the flood reach node and store.
    """
    flood = [asyncio.create_task(till.invoicing.create(GREEDY, an_order())) for _ in range(300)]

    for _ in range(5):
        await till.invoicing.create(MODEST, an_order())

    assert sum(not each.done() for each in flood) >= 100
    refused = [each for each in await asyncio.gather(*flood, return_exceptions=True) if is_too_many(each)]
    assert len(refused) == 295
    assert await till.node.latest("created") == 10
    assert await till.store.totals() == Totals(10, 10, 0)


def is_too_many(outcome: object) -> bool:
    return isinstance(outcome, TooMany)


async def test_a_payment_makes_room(till: Parts, lightningd: SimulatedNode) -> None:
    async with till.following():
        first, *_ = [(await till.invoicing.create(GREEDY, an_order())).invoice for _ in range(5)]
        with pytest.raises(TooMany):
            await till.invoicing.create(GREEDY, an_order())

        await lightningd.pay(first.bolt11)
        await till.followed(await till.node.identity(), 1)

        await till.invoicing.create(GREEDY, an_order())


async def test_a_retried_order_does_not_count_again(till: Parts) -> None:
    orders = [an_order(label=f"order-{number}") for number in range(5)]
    made = [(await till.invoicing.create(GREEDY, order)).invoice for order in orders]

    again = [(await till.invoicing.create(GREEDY, order)).invoice for order in orders]

    assert again == made
