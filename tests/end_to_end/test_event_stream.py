"""The stream of events over REST, as server-sent events through the real Envoy."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.browser import ORIGIN
from tests.support.chromium import CHROMIUM, open_page
from tests.support.event_stream import STREAM, events, kinds, streaming
from tests.support.keys import make_key
from tests.support.processes import output
from tests.support.shop import Shop, config, open_shop
from tests.support.waiting import eventually
from tilld.event_log.repository import EventLog
from tilld.formats.times import utc_now


@pytest.fixture
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A Till with a log of its own."""
    async with open_shop(config(tmp_path_factory.mktemp("stream"), cors_origin=(ORIGIN,))) as shop:
        yield shop


async def test_a_stream_has_the_backlog_and_then_each_event(shop: Shop) -> None:
    """The envelope is that of a list. Without a place, the stream begins now."""
    first = await shop.create()
    async with streaming(shop, "?after=beginning") as stream, streaming(shop) as later:
        assert await anext(stream) == {"retry": "2000"}
        assert await anext(later) == {"retry": "2000"}
        assert await anext(later) == {"": "heartbeat", "id": "1"}
        backlog = await events(stream, 1)

        await shop.pay(first["payreq"])

        live = await events(stream, 1)
        assert kinds(await events(later, 1)) == kinds(live) == [(2, "invoice.paid")]
    listed = (await shop.rest.get("/lightning/events")).json()
    assert backlog + live == listed["events"]
    await eventually(lambda: shop.till.feed.streams == 0)


@pytest.mark.parametrize("form", ["header", "query"])
async def test_a_stream_resumes_behind_the_last_event_id(shop: Shop, form: str) -> None:
    """It has precedence over `after`, and a real header over the parameter."""
    for _ in range(3):
        await shop.create()
    query, headers = {
        "header": ("?after=0&lastEventId=1", {"last-event-id": "2"}),
        "query": ("?after=0&lastEventId=2", None),
    }[form]

    async with streaming(shop, query, headers) as stream:
        assert kinds(await events(stream, 1)) == [(3, "invoice.created")]
    async with streaming(shop, "?after=2", {"last-event-id": ""}) as stream:
        assert kinds(await events(stream, 1)) == [(3, "invoice.created")]


async def test_heartbeats_advance_a_filtered_stream(shop: Shop) -> None:
    """An `id` without data: an EventSource sets the last event id, and dispatches nothing."""
    invoice = await shop.create()
    async with streaming(shop, "?after=0&types=invoice.paid") as stream:
        await anext(stream)
        assert await anext(stream) == {"": "heartbeat", "id": "1"}
        await shop.create()
        async with asyncio.timeout(10):
            while (await anext(stream))["id"] != "2":
                pass
        await shop.pay(invoice["payreq"])
        assert kinds(await events(stream, 1)) == [(3, "invoice.paid")]


BAD_STARTS: list[tuple[str, dict[str, str], str]] = [
    ("?after=2", {}, "after is beyond the newest event, whose sequence is 1"),
    ("", {"last-event-id": "2"}, "Last-Event-ID is beyond the newest event, whose sequence is 1"),
    ("", {"last-event-id": "now"}, "Last-Event-ID must be the sequence of an event"),
    ("?lastEventId=-1", {}, "Last-Event-ID must be the sequence of an event"),
    ("?lastEventId=1%0d%0ax:y", {}, "lastEventId must be the id of an event of this stream"),
    ("?after=", {}, "after must be the sequence of an event, or beginning or now"),
    ("?after=1&after=1", {}, "after is repeated; send it once"),
    ("?types=paid", {}, "types has 'paid'"),
    ("?all_users=1", {}, "all_users must be true or false"),
    (
        "?wait=1",
        {},
        "unknown parameter 'wait'; the parameters are after, types, metadata_type, all_users,",
    ),
    ("?token=watch_x", {}, "unknown parameter 'token'"),
]


async def test_a_bad_start_is_an_error_before_the_stream(shop: Shop) -> None:
    await shop.create()

    for query, headers, message in BAD_STARTS:
        reply = await shop.rest.get(STREAM + query, headers=headers)
        assert (reply.status_code, reply.json()["error"]) == (400, "E1"), query
        assert reply.json()["message"].startswith(message), query
    head = await shop.rest.head(STREAM)
    assert (head.status_code, head.headers["allow"], head.content) == (405, "GET", b"")


async def test_an_admin_streams_all_users_by_cursors(tmp_path: Path) -> None:
    """The id of a message is its cursor. A stream ends when its key is revoked."""
    async with open_shop(config(tmp_path)) as shop:
        key = await make_key(tmp_path, "--username=boss", "--scope=admin", "--scope=events:read")
        shops = [
            await make_key(tmp_path, f"--username={name}", "--scope=invoices:create") for name in ("a", "b")
        ]

        async def create(number: int) -> None:
            body = {"msat": 1, "metadata": {"type": "t"}}
            reply = await shop.rest.post("/lightning/invoice/create", json=body, headers=shops[number])
            assert reply.status_code == 200

        async with streaming(shop, "?after=beginning&all_users=true", key) as stream:
            await anext(stream)
            start = (await anext(stream))["id"]
            await create(0)
            first = await anext(stream)
            while "data" not in first:
                first = await anext(stream)
        await create(1)
        async with streaming(shop, "?all_users=true", key | {"last-event-id": first["id"]}) as stream:
            await anext(stream)
            second = await anext(stream)
        found = [json.loads(each["data"]) for each in (first, second)]
        assert [(each["username"], each["sequence"]) for each in found] == [("a", 1), ("b", 1)]
        assert [each["cursor"] for each in found] == [first["id"], second["id"]]

        assert await EventLog(shop.till.store).remove(utc_now() + timedelta(hours=1)) == 2
        async with streaming(shop, f"?all_users=true&lastEventId={start}", key) as stream:
            await anext(stream)
            gap = await anext(stream)
            assert (gap["event"], json.loads(gap["data"])) == ("gap", {"after": start})
            assert gap["id"] == second["id"]

            key_id = key["authorization"].split("_")[1]
            code, _ = await output("key", "revoke", key_id, "--data-dir", str(tmp_path), cwd=tmp_path)
            assert code == 0
            async with asyncio.timeout(10):
                rest = [each async for each in stream]
        assert not [each for each in rest if "data" in each]
        assert (await shop.rest.get(STREAM, headers=key)).status_code == 401


async def test_pages_of_allowed_origins_may_read_it(shop: Shop) -> None:
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "GET",
        "access-control-request-headers": "last-event-id",
    }
    allowed = await shop.rest.options(STREAM, headers=asked)
    reply = await shop.rest.get(f"{STREAM}?after=x", headers={"origin": ORIGIN})

    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "last-event-id" in allowed.headers["access-control-allow-headers"]
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (400, ORIGIN)


SOURCE = """
new Promise((resolve, reject) => {
  const found = [];
  const source = new EventSource("/lightning/events/stream?after=0&types=invoice.created");
  source.onmessage = ({data, lastEventId}) => {
    found.push([JSON.parse(data).type, lastEventId]);
    if (found.length === 3) { source.close(); resolve(found); }
  };
  source.addEventListener("gap", ({data, lastEventId}) => found.push([data, lastEventId]));
  source.onerror = () => reject(new Error("the stream failed"));
  setTimeout(() => reject(new Error(JSON.stringify(found))), 10000);
})
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, which is not installed")
async def test_an_event_source_of_a_browser_gets_all_events(shop: Shop, tmp_path: Path) -> None:
    """`onmessage` gets every event, and the listener of `gap` the gap."""
    for _ in range(2):
        await shop.create()
    shop.till.store.removal_batch = 1
    assert await EventLog(shop.till.store).remove(utc_now() + timedelta(hours=1)) == 1
    async with open_page(tmp_path / "profile") as page:
        await page.call("Page.navigate", url=f"{shop.rest.base_url}/docs")
        running = asyncio.create_task(page.run(SOURCE))
        await eventually(lambda: shop.till.feed.streams == 1 or running.done())
        await shop.create()
        found = await running

    assert found == [['{"after":0,"oldest":2}', "1"], ["invoice.created", "2"], ["invoice.created", "3"]]
