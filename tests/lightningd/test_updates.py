"""Following an index of the node: each page of updates is settled together with the cursor."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.nodes import SimulatedNode, simulated_node
from tests.support.samples import an_order
from tests.support.waiting import eventually
from tilld.errors import Unavailable
from tilld.invoices.invoice import InvoiceUpdate
from tilld.invoices.lightningd import InvoiceNode
from tilld.lightningd.updates import IndexFollower, Updates


class Shelf:
    """A store in memory, which fails on request."""

    def __init__(self) -> None:
        self.cursor = 0
        self.settled: list[tuple[str, int]] = []
        self.fails = False

    async def find_cursor(self, _: str) -> int:
        return self.cursor

    async def settle(self, _: str, items: Sequence[InvoiceUpdate], updated_index: int) -> None:
        if self.fails:
            raise Unavailable
        self.settled += [(item.payment_hash, updated_index) for item in items]
        self.cursor = updated_index


@pytest.fixture
async def lightningd(tmp_path: Path) -> AsyncIterator[SimulatedNode]:
    async with simulated_node(tmp_path) as lightningd:
        yield lightningd


@pytest.fixture
async def node(lightningd: SimulatedNode) -> AsyncIterator[InvoiceNode]:
    node = InvoiceNode(lightningd.rpc_file)
    yield node
    await node.close()


@pytest.fixture
def pay(lightningd: SimulatedNode, node: InvoiceNode) -> Callable[[int], Awaitable[str]]:
    """Return a function that creates and pays an invoice, and returns its payment hash."""

    async def pay(number: int) -> str:
        issued = await node.invoice(f"invoice-{number}", an_order())
        await lightningd.pay(issued.bolt11)
        return issued.payment_hash

    return pay


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def follower(node: InvoiceNode, shelf: Shelf) -> IndexFollower[InvoiceUpdate]:
    return IndexFollower(node, "invoices", shelf.find_cursor, node.updates, shelf.settle)


@asynccontextmanager
async def following(
    follower: IndexFollower[InvoiceUpdate],
    node: InvoiceNode,
    begin: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(follower.follow(await node.identity(), begin))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [([], (9, False)), ([3, 5], (9, False)), ([3, 4, 5], (5, True)), ([3, 10], (10, False))],
)
def test_a_page_that_is_not_full_reaches_to_the_known_index(
    indexes: list[int], expected: tuple[int, bool]
) -> None:
    """Deleted rows leave gaps; without this rule the wait would return immediately, again and again."""
    page = Updates.page([(f"item {index}", index) for index in indexes], after=2, upto=9, size=3)

    assert (page.updated_index, page.more) == expected
    assert page.items == [f"item {index}" for index in indexes]


async def test_the_lag_is_the_number_of_unsettled_updates(
    follower: IndexFollower[InvoiceUpdate],
    node: InvoiceNode,
    shelf: Shelf,
    pay: Callable[[int], Awaitable[str]],
) -> None:
    shelf.fails = True
    paid = [await pay(number) for number in range(2)]

    async with following(follower, node) as task:
        with pytest.raises(Unavailable):
            await task
    assert (follower.lag, follower.is_following) == (2, False)
    shelf.fails = False

    async with following(follower, node):
        await eventually(lambda: follower.is_following and follower.lag == 0 and shelf.cursor == 2)
    assert shelf.settled == [(payment_hash, 2) for payment_hash in paid]


async def test_updates_that_another_process_settled_are_read_too(
    follower: IndexFollower[InvoiceUpdate],
    node: InvoiceNode,
    shelf: Shelf,
    pay: Callable[[int], Awaitable[str]],
) -> None:
    """Watchers in this process still need to be notified."""
    async with following(follower, node):
        await eventually(lambda: follower.is_following)
    paid = await pay(1)
    shelf.cursor = 1

    async with following(follower, node):
        await eventually(lambda: shelf.settled == [(paid, 1)])


async def test_begin_runs_before_the_first_page(
    follower: IndexFollower[InvoiceUpdate],
    node: InvoiceNode,
    shelf: Shelf,
    pay: Callable[[int], Awaitable[str]],
) -> None:
    await pay(1)
    before = []

    async def begin() -> None:
        before.append((list(shelf.settled), follower.is_following))

    async with following(follower, node, begin):
        await eventually(lambda: shelf.settled)

    assert before == [([], False)]


async def test_a_node_that_has_forgotten_updates_is_read_again_after_a_failure(
    follower: IndexFollower[InvoiceUpdate],
    node: InvoiceNode,
    shelf: Shelf,
    pay: Callable[[int], Awaitable[str]],
) -> None:
    """Otherwise the node's index would pass the old cursor, and updates would be missed."""
    shelf.cursor, shelf.fails = 2, True
    paid = [await pay(1)]

    async with following(follower, node) as task:
        with pytest.raises(Unavailable):
            await task
    paid += [await pay(number) for number in (2, 3)]
    shelf.fails = False

    async with following(follower, node):
        await eventually(lambda: [payment_hash for payment_hash, _ in shelf.settled] == paid)
