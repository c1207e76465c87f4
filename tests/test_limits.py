"""What each key may have: no other key suffers from one that takes all it can."""

import asyncio
import math
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.nodes import simulated_node
from tests.parts import Parts
from tests.samples import ANOTHER, DAKK, PLENTY, an_order
from tilld.errors import TooMany
from tilld.limits import WATCHES_OF_A_TOKEN, Allowance, Limits

GREEDY = replace(DAKK, key_id="greedy")
MODEST = replace(ANOTHER, key_id="modest")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def creates(limits, caller):
    with limits.creating(caller, open_invoices=0):
        pass


def until_refused(limits, caller):
    """How many creates pass, and after how many seconds the next one may be tried."""
    for count in range(1000):
        try:
            creates(limits, caller)
        except TooMany as refused:
            return count, refused.retry_seconds
    return math.inf, 0


@pytest.mark.parametrize(("rate", "burst", "pause"), [(4, 4, 0.25), (1, 1, 1), (0.5, 1, 2)])
def test_creates_of_a_second_pass_at_once_and_then_one_by_one(clock, rate, burst, pause):
    """Who waits as long as it was told gets through; who waits for long has saved no more than a second's."""
    limits = Limits(Allowance(creates_per_second=rate), clock)

    assert until_refused(limits, GREEDY) == (burst, pause)
    assert until_refused(limits, MODEST) == (burst, pause)
    clock.now += pause
    assert until_refused(limits, GREEDY) == (1, pause)
    clock.now += 3600
    assert until_refused(limits, GREEDY) == (burst, pause)


def test_open_invoices_and_those_on_their_way_are_counted_together(clock):
    limits = Limits(replace(PLENTY, open_invoices=3), clock)

    with limits.creating(GREEDY, 1), limits.creating(GREEDY, 1):
        with pytest.raises(TooMany, match="3 of the key's invoices are open"):
            creates_with(limits, GREEDY, 1)
        creates_with(limits, MODEST, 2)
    creates_with(limits, GREEDY, 2)
    with pytest.raises(TooMany):
        creates_with(limits, GREEDY, 3)


def creates_with(limits, caller, open_invoices):
    with limits.creating(caller, open_invoices):
        pass


def test_watches_are_counted_for_each_key_and_token(clock):
    limits = Limits(replace(PLENTY, watches=30), clock)
    token = replace(GREEDY, invoice_id="x" * 21)

    with ExitStack() as open_watches:
        for _ in range(WATCHES_OF_A_TOKEN):
            open_watches.enter_context(limits.watching(token))
        with pytest.raises(TooMany, match="by this token"):
            open_watches.enter_context(limits.watching(token))
        for _ in range(30 - WATCHES_OF_A_TOKEN):
            open_watches.enter_context(limits.watching(GREEDY))
        with pytest.raises(TooMany, match="30 of the key's watches"):
            open_watches.enter_context(limits.watching(GREEDY))
        open_watches.enter_context(limits.watching(MODEST))
    with limits.watching(token):
        pass
    assert not limits._watches
    assert not limits._watches_by_token


@pytest.fixture
async def lightningd(tmp_path):
    async with simulated_node(tmp_path) as node:
        yield node


@pytest.fixture
async def till(tmp_path, database_url, lightningd):
    parts = Parts(tmp_path, database_url, allowance=replace(PLENTY, creates_per_second=20, open_invoices=5))
    yield parts
    await parts.close()


async def test_a_greedy_key_gets_its_share_and_no_other_suffers(till):
    """Of its flood a few reach the node and the store; the modest one's invoices are all made meanwhile."""
    flood = [till.invoicing.create(GREEDY, an_order()) for _ in range(500)]
    modest = [till.invoicing.create(MODEST, an_order()) for _ in range(5)]

    *made, last = await asyncio.gather(*flood, *modest, return_exceptions=True)

    refused = [each for each in made[:500] if isinstance(each, TooMany)]
    assert len(refused) == 495
    assert not [each for each in (*made[500:], last) if isinstance(each, Exception)]
    assert await till.node.latest("created") == 10
    assert await till.store.totals() == (10, 10, 0)


async def test_what_is_paid_makes_room(till, lightningd):
    async with till.following():
        first, *_ = [await till.invoicing.create(GREEDY, an_order()) for _ in range(5)]
        with pytest.raises(TooMany):
            await till.invoicing.create(GREEDY, an_order())

        await lightningd.pay(first.bolt11)
        await till.followed(await till.node.identity(), 1)

        await till.invoicing.create(GREEDY, an_order())


async def test_the_retry_of_an_order_is_no_new_one(till):
    orders = [an_order(label=f"order-{number}") for number in range(5)]
    made = [await till.invoicing.create(GREEDY, order) for order in orders]

    again = [await till.invoicing.create(GREEDY, order) for order in orders]

    assert again == made
