"""A Till that sends webhooks, a clock in the test's hand, and a scripted receiver."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.support.clock_in_hand import ClockInHand
from tests.support.webhooks import Process, Receiver, open_process
from tilld.formats.times import utc_now


@pytest.fixture
def clock() -> ClockInHand:
    """A clock ahead of the system's, by which events are recorded."""
    return ClockInHand(utc_now().replace(microsecond=0) + timedelta(days=1))


@pytest.fixture
def receiver() -> Receiver:
    """A receiver that accepts everything."""
    return Receiver()


@pytest.fixture
async def till(database_url: str, clock: ClockInHand, receiver: Receiver) -> AsyncIterator[Process]:
    """A Till that sends webhooks, on each database."""
    async with open_process(database_url, clock, receiver) as process, process.sending():
        yield process


@pytest.fixture
async def idle(database_url: str, clock: ClockInHand, receiver: Receiver) -> AsyncIterator[Process]:
    """A Till that sends no webhooks, on each database."""
    async with open_process(database_url, clock, receiver) as process:
        yield process
