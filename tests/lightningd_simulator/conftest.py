"""A simulated node for a test, with a clock that the test moves."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lightningd_simulator import Simulator
from tests.lightningd_simulator.rpc import Rpc, connected


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_795_217_785.25

    def __call__(self) -> float:
        return self.now


class RunningClock(Clock):
    """The time."""

    def __call__(self) -> float:
        return time.time()


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
