"""Two nodes, and a Till that pays out on the first."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.clock import Clock
from tests.support.node_pair import Pair, pair_of_nodes
from tests.support.payouts import PayingTill
from tests.support.rpc import Rpc, connected


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Yield two nodes: Till's own, and one that collects."""
    clock = Clock()
    clock.now = time.time()
    async with pair_of_nodes(tmp_path, clock) as both:
        (tmp_path / "rpc").symlink_to(both.rpc_file("a"))
        yield both


@pytest.fixture
async def ours(pair: Pair) -> AsyncIterator[Rpc]:
    async with connected(pair.rpc_file("a")) as rpc:
        yield rpc


@pytest.fixture
async def theirs(pair: Pair) -> AsyncIterator[Rpc]:
    async with connected(pair.rpc_file("b")) as rpc:
        yield rpc


@pytest.fixture
async def till(tmp_path: Path, database_url: str, pair: Pair) -> AsyncIterator[PayingTill]:
    till = PayingTill(tmp_path, database_url)
    yield till
    await till.close()
