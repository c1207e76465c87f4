"""Events, over each kind of client: pages, and streams that come back."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import till
from tests.support.impostor import impostor
from tests.support.keys import make_key
from tests.support.nodes import simulated_node
from tests.support.shop import config
from tests.support.waiting import eventually
from till.events import Silence, Start
from till.v1.event_service_pb2 import WatchEventsResponse
from tilld.app import Running, Till
from tilld.event_log.repository import EventLog

SHOP = {"type": "shop"}


@pytest.fixture
async def guarded(tmp_path: Path, running: Running) -> AsyncIterator[Till]:
    """A Till of its own, so that its logs begin with the test. The shared one configures logging."""
    async with Till(config(tmp_path / "till", no_rest=True)) as own:
        yield own


async def test_events_begin_where_the_caller_says(connect: type[till.AsyncClient], guarded: Till) -> None:
    async with connect(str(guarded.running.grpc)) as client:
        new = client.events()
        first = asyncio.ensure_future(anext(new))
        await eventually(lambda: guarded.feed.streams)
        made = await client.create_invoice(5000, SHOP, label="one")
        created = await first
        canceled = await client.cancel_invoice(made)

        assert (created.sequence, created.type, created.username) == (1, "invoice.created", "anonymous")
        assert created.invoice == made
        assert created.cursor is None
        assert datetime.now(UTC) - created.timestamp < timedelta(seconds=20)
        assert (await anext(new)).invoice == canceled
        starts: list[tuple[Start, list[int]]] = [(0, [1, 2]), ("beginning", [1, 2]), (1, [2])]
        for after, sequences in starts:
            events = client.events(after)
            assert [(await anext(events)).sequence for _ in sequences] == sequences
            page = await client.list_events(after)
            assert [event.sequence for event in page.events] == sequences
            assert (page.next_after, page.next_cursor, page.has_more) == (2, None, False)
            assert page.log_began_at < created.timestamp
        assert (await client.list_events("now")).events == ()
        assert len((await client.list_events()).events) == 2
        assert len((await client.list_events(page_size=1)).events) == 1
        only = await client.list_events(types=["invoice.canceled"], metadata_type="shop")
        assert [event.invoice for event in only.events] == [canceled]
        assert (await client.list_events(metadata_type="bar")).events == ()


async def test_events_come_back_after_a_restart_with_a_payment(
    connect: type[till.AsyncClient], tmp_path: Path
) -> None:
    async with simulated_node(tmp_path) as node:
        settings = {"no_rest": True, "lightning_rpc": node.rpc_file, "grace_seconds": 0.1}
        first = Till(config(tmp_path / "till", **settings))
        await first.__aenter__()
        address = first.running.grpc
        changes: list[till.Connection] = []
        seen: list[str] = []
        async with connect(str(address)) as client:

            async def read() -> None:
                async for event in client.events(on_connection=changes.append):
                    seen.append(f"{event.sequence} {event.type}")
                    if event.sequence == 3:
                        break

            reading = asyncio.ensure_future(read())
            await eventually(lambda: first.feed.streams)
            invoice = await client.create_invoice(5000, SHOP)
            await eventually(lambda: seen)
            await first.__aexit__(None, None, None)
            await node.pay(invoice.bolt11)
            await eventually(lambda: changes)

            async with Till(config(tmp_path / "till", grpc=address, **settings)):
                await client.create_invoice(5000, SHOP)
                async with asyncio.timeout(20):
                    await reading

    assert seen[0] == "1 invoice.created"
    assert sorted(each[2:] for each in seen[1:]) == ["invoice.created", "invoice.paid"]
    assert [each[:2] for each in seen] == ["1 ", "2 ", "3 "]
    assert (changes[0].lost, changes[-1].lost) == (True, False)


async def test_removed_events_are_an_error_with_the_oldest_sequence(
    connect: type[till.AsyncClient], guarded: Till
) -> None:
    async with connect(str(guarded.running.grpc)) as client:
        await client.create_invoice(5000, SHOP)
        await client.create_invoice(5000, SHOP)
        await EventLog(guarded.store).remove(datetime.now(UTC) + timedelta(days=1))
        await client.create_invoice(5000, SHOP)

        for call in (client.list_events(1), anext(client.events(1))):
            with pytest.raises(till.EventsGone) as gone:
                await call
            assert gone.value.code == till.Code.EVENTS_GONE
            assert gone.value.oldest_sequence == 3
        assert (await anext(client.events(2))).sequence == 3


async def test_events_of_all_users_continue_at_a_cursor(
    connect: type[till.AsyncClient], guarded: Till, tmp_path: Path
) -> None:
    async def key(*options: str) -> str:
        return (await make_key(tmp_path / "till", *options))["authorization"].removeprefix("Bearer ")

    admin = await key("--username", "admin", "--scope", "admin", "--scope", "events:read")
    address = str(guarded.running.grpc)
    for username in ("one", "two"):
        async with connect(address, await key("--username", username)) as client:
            await client.create_invoice(5000, SHOP)

    async with connect(address, admin) as client:
        page = await client.list_events(all_users=True)
        first, second = page.events
        rest = await client.list_events(cursor=first.cursor, all_users=True)
        watched = await anext(client.events(cursor=first.cursor, all_users=True))

    assert [each.username for each in page.events] == ["one", "two"]
    assert (first.sequence, second.sequence) == (1, 1)
    assert rest.events == (second,)
    assert watched == second
    assert rest.next_cursor == second.cursor


async def test_a_stream_comes_back_behind_the_last_heartbeat(connect: type[till.AsyncClient]) -> None:
    """The impostor refuses an attempt that begins elsewhere, and sends an old event again."""
    async with impostor() as address, connect(address) as client:
        for ending in ("UNAVAILABLE", "OK", "E8"):
            events = client.events("beginning", types=["invoice.paid"], metadata_type=ending)

            assert [(await anext(events)).sequence for _ in range(3)] == [1, 2, 4]


async def test_a_final_error_ends_the_stream(connect: type[till.AsyncClient]) -> None:
    async with impostor() as address, connect(address) as client:
        events = client.events(0, types=["invoice.paid"], metadata_type="E3")
        seen = [(await anext(events)).sequence for _ in range(2)]

        with pytest.raises(till.Unauthenticated):
            await anext(events)

    assert seen == [1, 2]


@pytest.mark.parametrize("start", [-1, 2**64, "4711", "", True])
async def test_a_wrong_start_is_refused_at_once(client: till.AsyncClient, start: object) -> None:
    with pytest.raises(ValueError, match=r"after|range"):
        client.events(start)  # type: ignore[arg-type]


async def test_wrong_arguments_are_refused_at_once(client: till.AsyncClient) -> None:
    with pytest.raises(TypeError, match="after or cursor"):
        client.events(1, cursor="x", all_users=True)
    with pytest.raises(TypeError, match="types must be a list"):
        client.events(types="invoice.paid")


async def test_a_stream_ends_with_its_client(connect: type[till.AsyncClient], guarded: Till) -> None:
    client = connect(str(guarded.running.grpc))
    events = client.events()
    waiting = asyncio.ensure_future(anext(events))
    await eventually(lambda: guarded.feed.streams)

    await client.close()

    with pytest.raises(till.Error, match="closed"):
        await waiting


def test_silence_counts_only_while_the_caller_waits() -> None:
    cancelled = threading.Event()

    def responses() -> Iterator[WatchEventsResponse]:
        yield WatchEventsResponse()
        cancelled.wait(10)

    with Silence(cancelled.set, seconds=0.2) as silence:
        waiting = silence.during(responses())
        next(waiting)
        # Longer than the silence.
        time.sleep(0.5)
        assert not cancelled.is_set()
        begun = time.monotonic()
        assert next(waiting, None) is None

    assert silence.was_too_long
    assert 0.15 < time.monotonic() - begun < 5
