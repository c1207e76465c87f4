"""Lists and streams of events over REST whose events were removed, or whose Till stops."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.support.event_stream import STREAM, events, kinds, messages, streaming
from tests.support.shop import Shop, config, open_shop
from tests.support.waiting import eventually
from tilld.event_log.repository import EventLog
from tilld.formats.times import utc_now

EVENTS = "/lightning/events"


@pytest.fixture
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A Till with a log of its own."""
    async with open_shop(config(tmp_path_factory.mktemp("events"))) as shop:
        yield shop


async def test_removed_events_are_a_gap_not_an_error(shop: Shop) -> None:
    """An EventSource would give up after an error. The stream continues with the oldest event left."""
    for _ in range(3):
        await shop.create()
    cursor = (await shop.rest.get("/lightning/events?after=now")).json()["next"]
    shop.till.store.removal_batch = 2
    assert await EventLog(shop.till.store).remove(utc_now() + timedelta(hours=1)) == 2

    for query, headers, after in (("?after=1", None, 1), ("", {"last-event-id": "0"}, 0)):
        async with streaming(shop, query, headers) as stream:
            assert await anext(stream) == {"retry": "2000"}
            gap = await anext(stream)
            assert gap == {"event": "gap", "id": "2", "data": f'{{"after":{after},"oldest":3}}'}
            assert kinds(await events(stream, 1)) == [(3, "invoice.created")]
    async with streaming(shop, "?after=beginning") as stream:
        assert kinds(await events(stream, 1)) == [(3, "invoice.created")]
    async with streaming(shop, f"?after={cursor}") as stream:
        await anext(stream)
        assert await anext(stream) == {"": "heartbeat", "id": "3"}


async def test_events_that_were_removed_are_an_error(shop: Shop) -> None:
    """The error names the oldest event left; the beginning is there, and 0 is not the beginning."""
    for _ in range(3):
        await shop.create()
    shop.till.store.removal_batch = 2
    assert await EventLog(shop.till.store).remove(utc_now() + timedelta(hours=1)) == 2

    for after in (0, 1):
        reply = await shop.rest.get(EVENTS, params={"after": after})
        assert reply.status_code == 410
        assert reply.json() == {
            "error": "E16",
            "message": "events after this sequence were removed; the oldest one left is 3: "
            "continue after 2, and list what may have changed before",
            "oldest_sequence": 3,
        }
        assert not [name for name in reply.headers if name.startswith(("x-error", "grpc"))]
    for left in ("2", "beginning"):
        page = (await shop.rest.get(EVENTS, params={"after": left})).json()
        assert [each["sequence"] for each in page["events"]] == [3]


async def test_a_long_poll_ends_when_till_stops(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with httpx.AsyncClient(timeout=10) as client:
        async with open_shop(config(tmp_path_factory.mktemp("stopping"))) as shop:
            asking = asyncio.create_task(client.get(f"{shop.rest.base_url}{EVENTS}?wait=60"))
            await eventually(lambda: shop.till.feed.streams == 1)

        reply = await asking
        assert (reply.status_code, reply.json()["error"]) == (503, "E8")


async def test_a_stream_ends_when_till_stops(tmp_path: Path) -> None:
    """The end is clean, so an EventSource reconnects; what happened meanwhile follows."""
    async with httpx.AsyncClient(timeout=10) as client:
        async with open_shop(config(tmp_path)) as shop:
            await shop.create()
            begun = client.stream("GET", f"{shop.rest.base_url}{STREAM}?after=0")
            reply = await begun.__aenter__()
            stream = messages(reply)
            [event] = await events(stream, 1)
        assert not [each async for each in stream if "data" in each]
        await begun.__aexit__(None, None, None)
    async with open_shop(config(tmp_path)) as shop:
        await shop.create()
        async with streaming(shop, "", {"last-event-id": str(event["sequence"])}) as stream:
            assert kinds(await events(stream, 1)) == [(2, "invoice.created")]
