"""Live watches of an invoice over both protocols."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import httpx
import pytest

from tests.support.shop import HEARTBEAT_SECONDS, Shop
from tests.support.waiting import eventually
from till.v1 import invoice_pb2 as pb
from till.v1.invoice_service_pb2 import WatchInvoiceRequest


@asynccontextmanager
async def watching(shop: Shop, created: Any, **headers: str) -> AsyncIterator[AsyncIterator[list[str]]]:
    """Yield the events of an invoice as they arrive, each as a list of its lines."""
    path = f"/lightning/invoice/{created['invoiceid']}/watch"
    async with shop.rest.stream("GET", path, headers=headers) as reply:
        assert (reply.status_code, reply.headers["content-type"]) == (200, "text/event-stream")
        yield blocks(reply)


async def blocks(reply: httpx.Response) -> AsyncIterator[list[str]]:
    lines = []
    async for line in reply.aiter_lines():
        if line:
            lines.append(line)
        else:
            yield lines
            lines = []


def state(block: list[str]) -> tuple[str, str]:
    """Return the id and the status of an event."""
    event_id, data = block
    assert event_id.startswith("id: ")
    assert data.startswith("data: ")
    return event_id.removeprefix("id: "), json.loads(data.removeprefix("data: "))["status"]


async def test_a_payment_is_seen_live(each_shop: Shop) -> None:
    """The current state arrives immediately, then the change; then the stream ends."""
    created = await each_shop.create()
    async with watching(each_shop, created) as events:
        assert await anext(events) == ["retry: 2000"]
        assert state(await anext(events)) == ("1", "unpaid")

        await each_shop.pay(created["payreq"])

        rest = [block async for block in events if block != [": heartbeat"]]
        assert [state(block) for block in rest] == [("2", "paid")]


async def test_the_data_equals_the_rest_response(shop: Shop) -> None:
    """The documented JSON is on one line, even if the metadata has line breaks."""
    reply = await shop.rest.post(
        "/lightning/invoice/create", content=b'{"msat":1,"metadata":{\r\n"type":\n"shop"}}'
    )
    async with watching(shop, reply.json()) as events:
        await anext(events)
        _, data = await anext(events)
    read = await shop.rest.get(f"/lightning/invoice/{reply.json()['invoiceid']}")

    assert data == f"data: {read.text}"


async def test_an_expiry_is_seen_live(shop: Shop) -> None:
    created = await shop.create(expiry=1)
    async with watching(shop, created) as events:
        states = [state(block) async for block in events if len(block) == 2]

    assert states in ([("1", "unpaid"), ("2", "expired")], [("2", "expired")])


async def test_silence_is_filled_with_heartbeats(shop: Shop) -> None:
    created = await shop.create()
    async with watching(shop, created) as events:
        await anext(events)
        await anext(events)
        async with asyncio.timeout(10 * HEARTBEAT_SECONDS):
            assert [await anext(events) for _ in range(2)] == [[": heartbeat"]] * 2


async def test_a_final_invoice_is_sent_once(shop: Shop) -> None:
    """An EventSource that reconnects with the last id gets 204."""
    created = await shop.create()
    await shop.pay(created["payreq"])
    await shop.outcome(created)

    read = await shop.rest.get(f"/lightning/invoice/{created['invoiceid']}")
    async with watching(shop, created) as events:
        assert [block async for block in events] == [["retry: 2000"], ["id: 2", f"data: {read.text}"]]
    again = await shop.rest.get(
        f"/lightning/invoice/{created['invoiceid']}/watch", headers={"last-event-id": "2"}
    )
    assert (again.status_code, again.content) == (204, b"")


async def test_all_watchers_of_both_protocols_see_a_payment(shop: Shop) -> None:
    created = await shop.create()
    request = WatchInvoiceRequest(invoice_id=created["invoiceid"])
    calls = [shop.invoices.WatchInvoice(request) for _ in range(20)]
    first = [await call.read() for call in calls]
    outcomes = [asyncio.create_task(shop.outcome(created)) for _ in range(20)]

    await shop.pay(created["payreq"])

    assert {each.invoice.status for each in first} == {pb.INVOICE_STATUS_UNPAID}
    for call in calls:
        assert (await call.read()).invoice.status == pb.INVOICE_STATUS_PAID
        assert await call.read() is grpc.aio.EOF
    assert {(await outcome)["status"] for outcome in outcomes} == {"paid"}


@pytest.mark.parametrize("leave", ["rest", "grpc"])
async def test_a_watcher_who_leaves_leaves_nothing_behind(shop: Shop, leave: str) -> None:
    """The server notices the disconnect and removes the watcher."""
    created = await shop.create()
    if leave == "rest":
        async with watching(shop, created) as events:
            await anext(events)
            await eventually(lambda: shop.till.hub.watchers == 1)
    else:
        call = shop.invoices.WatchInvoice(WatchInvoiceRequest(invoice_id=created["invoiceid"]))
        await call.read()
        await eventually(lambda: shop.till.hub.watchers == 1)
        call.cancel()

    await eventually(lambda: shop.till.hub.watchers == 0)
