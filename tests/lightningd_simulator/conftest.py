"""Fixtures: a simulated node with a clock that the test moves, and a connection to the node."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lightningd_simulator import Simulator
from tests.support.clock import Clock
from tests.support.rpc import Rpc, connected


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def node(tmp_path: Path, clock: Clock) -> AsyncIterator[Simulator]:
    async with Simulator(tmp_path / "rpc", clock=clock) as simulator:
        yield simulator


@pytest.fixture
async def rpc(node: Simulator) -> AsyncIterator[Rpc]:
    async with connected(node.rpc_file) as connection:
        yield connection
