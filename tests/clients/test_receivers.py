"""The receiver of webhooks in each language, as docs/guides/webhooks has it."""

import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.agent import program
from tests.support.processes import Process
from tests.support.shop import Shop, config, open_shop
from till import webhooks

# Beyond what the public libraries tolerate, which is 300.
TOO_OLD_SECONDS = 310
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")

pytestmark = pytest.mark.timeout(120, func_only=True)


class Receiver:
    """A running receiver."""

    def __init__(self, url: str, secret: str, running: Process) -> None:
        self.url = url
        self.secret = secret
        self._running = running

    def signed(self, body: bytes, event_id: str = "evt_1", age_seconds: int = 0) -> dict[str, str]:
        """Return the headers of a delivery. `age_seconds` is the age of its timestamp."""
        timestamp = int(time.time()) - age_seconds
        return {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": webhooks.sign(self.secret, event_id, timestamp, body),
        }

    async def gets(self, body: bytes, headers: dict[str, str]) -> int:
        """Post a delivery. Return the status of the response."""
        async with httpx.AsyncClient(timeout=10) as http:
            return (await http.post(self.url, content=body, headers=headers)).status_code

    async def ships(self, label: str) -> None:
        """Wait until an order is shipped."""
        await self._running.says(rf"Ship ({re.escape(label)})\n")

    async def shipped(self) -> list[str]:
        """End the receiver. Return the labels of all orders that it has shipped."""
        async with asyncio.timeout(10):
            await self._running.end(signal.SIGTERM)
        lines = self._running.out.splitlines()
        return [line.removeprefix("Ship ") for line in lines if line.startswith("Ship ")]


@asynccontextmanager
async def receiving(client: str, secret: str) -> AsyncIterator[Receiver]:
    """Run the receiver of a client."""
    async with program(client, "--receiver", TILL_WEBHOOK_SECRET=secret, PORT="0") as running:
        url = await running.says(r"Waiting for events at (http://127\.0\.0\.1:\d+/till)\n")
        yield Receiver(url, secret, running)


@pytest.fixture
async def receiver(client: str) -> AsyncIterator[Receiver]:
    async with receiving(client, webhooks.new_secret()) as running:
        yield running


def event(label: str, event_type: str = "invoice.paid") -> bytes:
    """Return the body of an event, written as no JSON library does by itself."""
    data = {"label": label, "description": "a café"}
    members = {"id": "evt_1", "sequence": 1, "type": event_type, "data": data}
    return json.dumps(members, separators=(" ,", " : "), ensure_ascii=False).encode()


async def test_an_order_is_shipped_once(receiver: Receiver) -> None:
    order = event("order-1")

    assert await receiver.gets(order, receiver.signed(order, "evt_1", age_seconds=60)) == 204
    assert await receiver.gets(order, receiver.signed(order, "evt_1")) == 204
    another = event("order-2")
    assert await receiver.gets(another, receiver.signed(another, "evt_2")) == 204

    assert await receiver.shipped() == ["order-1", "order-2"]


async def test_what_till_has_not_signed_is_rejected(receiver: Receiver) -> None:
    order = event("order-1")
    good = receiver.signed(order)
    unsigned = [{name: value for name, value in good.items() if name != missing} for missing in HEADERS]
    stranger = {
        "webhook-signature": webhooks.sign(
            webhooks.new_secret(), "evt_1", int(good["webhook-timestamp"]), order
        )
    }

    assert await receiver.gets(event("order-2"), good) == 400
    assert await receiver.gets(order, good | {"webhook-id": "evt_2"}) == 400
    assert await receiver.gets(order, good | stranger) == 400
    assert await receiver.gets(order, good | {"webhook-signature": "v1,"}) == 400
    assert [await receiver.gets(order, headers) for headers in unsigned] == [400, 400, 400]

    # The event was not seen before, so it still counts.
    assert await receiver.gets(order, good) == 204
    assert await receiver.shipped() == ["order-1"]


async def test_a_recorded_delivery_is_rejected_later(receiver: Receiver) -> None:
    order = event("order-1")

    assert await receiver.gets(order, receiver.signed(order, age_seconds=TOO_OLD_SECONDS)) == 400
    assert await receiver.gets(order, receiver.signed(order, age_seconds=-TOO_OLD_SECONDS)) == 400

    assert await receiver.shipped() == []


async def test_one_of_several_signatures_suffices(receiver: Receiver) -> None:
    order = event("order-1")
    headers = receiver.signed(order)
    new = webhooks.sign(webhooks.new_secret(), "evt_1", int(headers["webhook-timestamp"]), order)
    both = headers | {"webhook-signature": f"{new} {headers['webhook-signature']}"}

    assert await receiver.gets(order, both) == 204

    assert await receiver.shipped() == ["order-1"]


async def test_other_events_are_taken(receiver: Receiver) -> None:
    for number, event_type in enumerate(("ping", "invoice.created", "invoice.expired", "type_of.the.future")):
        other = event("order-1", event_type)
        assert await receiver.gets(other, receiver.signed(other, f"evt_{number}")) == 204

    assert await receiver.shipped() == []


async def sells(shop: Shop, receiver: Receiver, label: str) -> None:
    """Take a payment for an order, and wait until it is shipped."""
    metadata = {"type": "shop", "cup": "ø"}
    created = await shop.create(label=label, description="a\nb", metadata=metadata)
    await shop.pay(created["payreq"])
    await receiver.ships(label)


async def test_till_sends_each_paid_order_signed_by_both_secrets(client: str, tmp_path: Path) -> None:
    async with open_shop(config(tmp_path, webhook_allow=("127.0.0.1",))) as shop:

        async def webhook(method: str, path: str, **body: Any) -> Any:
            reply = await shop.rest.request(method, f"/lightning/webhooks{path}", json=body)
            assert reply.status_code == 200, reply.text
            return reply.json()

        # The secret is needed before the receiver has an address.
        created = await webhook("POST", "", url="http://127.0.0.1:1/till")
        path = f"/{created['id']}"
        async with receiving(client, created["secret"]) as receiver:
            await webhook("PATCH", path, url=receiver.url)
            assert (await webhook("POST", f"{path}/test"))["status"] == 204
            await sells(shop, receiver, "order-17")

            rotated = await webhook("POST", f"{path}/rotate")
            assert rotated["secret"] != created["secret"]
            await sells(shop, receiver, "order-18")

            # These arrive before the next order, and are known.
            await webhook("POST", f"{path}/replay", after=0)
            await sells(shop, receiver, "order-19")

            assert await receiver.shipped() == ["order-17", "order-18", "order-19"]
