"""tilld is killed at each point of a delivery; after its restart each event has arrived, unchanged."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc.aio
import pytest

from tests.support.killed import program
from tests.support.nodes import SimulatedNode, simulated_node
from tests.support.processes import TILLD, Process, tilld
from tests.support.receiver import Delivery, Receiver, receiver
from tests.support.webhook_deliveries import released, taken
from till.v1 import event_service_pb2, invoice_service_pb2
from till.v1 import webhook_service_pb2 as pb
from till.v1.event_service_pb2_grpc import EventServiceStub
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from till.v1.webhook_pb2 import DELIVERY_STATE_PENDING, DELIVERY_STATE_SUCCEEDED
from till.v1.webhook_service_pb2_grpc import WebhookServiceStub


class Till:
    """A tilld process, and a caller."""

    def __init__(self, process: Process, channel: grpc.aio.Channel) -> None:
        self._process = process
        self.events: Any = EventServiceStub(channel)
        self.invoices: Any = InvoiceServiceStub(channel)
        self.webhooks: Any = WebhookServiceStub(channel)

    def kill(self, *_: Delivery) -> None:
        """Kill the process."""
        self._process.process.kill()

    def arm(self, *_: Delivery) -> None:
        """Let the process be killed when it next reaches its point."""
        self._process.process.send_signal(signal.SIGUSR1)

    async def is_killed(self) -> None:
        """Wait until the process was killed."""
        async with asyncio.timeout(20):
            assert await self._process.process.wait() == -signal.SIGKILL

    async def create(self, **fields: Any) -> Any:
        """Create an invoice."""
        request = invoice_service_pb2.CreateInvoiceRequest(
            amount_msat=5000, metadata='{"type":"shop"}', **fields
        )
        return await self.invoices.CreateInvoice(request)

    async def delivered(self, webhook_id: str, sequence: int, state: int, attempts: int = 1) -> Any:
        """Wait until the delivery of an event has a state after so many attempts; return the delivery."""
        async with asyncio.timeout(20):
            while True:
                listed = await self.webhooks.ListDeliveries(pb.ListDeliveriesRequest(id=webhook_id))
                for each in listed.deliveries:
                    if (each.sequence, each.state) == (sequence, state) and each.attempts >= attempts:
                        return each
                await asyncio.sleep(0.02)

    async def end(self) -> None:
        """Stop the process."""
        assert await self._process.end(signal.SIGTERM) == 0, self._process.out


@asynccontextmanager
async def a_till(node: SimulatedNode, database: str, point: str | None = None) -> AsyncIterator[Till]:
    """Run tilld as a process; with a point, the process can be armed to be killed there."""
    arguments = (
        "run",
        "--no-rest",
        "--grpc=127.0.0.1:0",
        "--webhook-allow=localhost",
        f"--lightning-rpc={node.rpc_file}",
        f"--database={database}",
        f"--data-dir={node.rpc_file.parent / 'till'}",
    )
    run = (sys.executable, "-m", *program(point)) if point else TILLD
    async with tilld(*arguments, cwd=Path.cwd(), program=run) as process:
        address = await process.says(r"gRPC +(127\.0\.0\.1:\d+)\n")
        async with grpc.aio.insecure_channel(address) as channel:
            yield Till(process, channel)


class Watched(NamedTuple):
    """A webhook that receives the payment of an invoice, the second event of the user."""

    id: str
    secret: str
    bolt11: str


async def of_user(till: Till, hook: Receiver) -> Watched:
    """Create a webhook for all events, to which the create of an invoice was delivered."""
    created = await till.webhooks.CreateWebhook(pb.CreateWebhookRequest(url=hook.url))
    invoice = (await till.create()).invoice
    await till.delivered(created.webhook.id, 1, DELIVERY_STATE_SUCCEEDED)
    return Watched(created.webhook.id, created.secret, invoice.bolt11)


async def of_invoice(till: Till, hook: Receiver) -> Watched:
    """Create an invoice with a webhook."""
    created = await till.create(webhook_url=hook.url)
    return Watched(created.webhook.id, created.webhook.secret, created.invoice.bolt11)


KINDS = {"user": of_user, "invoice": of_invoice}
# When the progress of a user's webhook is stored, and when the attempt of an invoice's.
STORED = {"user": "when the place in line is stored", "invoice": "when an attempt is stored"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[SimulatedNode]:
    """A node that outlives tilld."""
    async with simulated_node(tmp_path) as node:
        yield node


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    """A receiver that accepts everything."""
    async with receiver() as hook:
        yield hook


async def check_after_restart(
    node: SimulatedNode, database: str, hook: Receiver, watched: Watched, kind: str, arrivals: int
) -> None:
    """Restart tilld, and check that the payment arrived so often, and that all else arrived once."""
    await released(database)
    async with a_till(node, database) as till:
        await till.delivered(watched.id, 2, DELIVERY_STATE_SUCCEEDED)
        if kind == "user":
            await till.create()
            await till.delivered(watched.id, 3, DELIVERY_STATE_SUCCEEDED)
        log = (await till.events.ListEvents(event_service_pb2.ListEventsRequest(after=0))).events
        await till.end()
    expected = [event for event in log if kind == "user" or event.sequence == 2]
    deliveries = hook.all()
    assert [(event["id"], event["sequence"]) for event in taken(deliveries, watched.secret)] == [
        (event.id, event.sequence) for event in expected
    ]
    times = Counter(delivery.headers["webhook-id"] for delivery in deliveries)
    assert times == {event.id: arrivals if event.sequence == 2 else 1 for event in expected}


@pytest.mark.parametrize("kind", KINDS)
async def test_killed_before_the_post(
    kind: str, node: SimulatedNode, hook: Receiver, database_url: str
) -> None:
    """The event is in the log, and nothing was sent."""
    async with a_till(node, database_url, "between an event and its webhook") as till:
        watched = await KINDS[kind](till, hook)
        till.arm()
        await node.pay(watched.bolt11)
        await till.is_killed()

    await check_after_restart(node, database_url, hook, watched, kind, arrivals=1)


async def killed_after_arrival(
    kind: str,
    node: SimulatedNode,
    hook: Receiver,
    database: str,
    point: str | None,
    arrived: Callable[[Till], Callable[[Delivery], None]],
) -> Watched:
    """Let the receiver kill or arm tilld when the payment has arrived."""
    async with a_till(node, database, point) as till:
        watched = await KINDS[kind](till, hook)
        hook.arrived = arrived(till)
        await node.pay(watched.bolt11)
        await till.is_killed()
    hook.arrived = lambda _: None
    return watched


@pytest.mark.parametrize("kind", KINDS)
async def test_killed_before_the_answer(
    kind: str, node: SimulatedNode, hook: Receiver, database_url: str
) -> None:
    watched = await killed_after_arrival(kind, node, hook, database_url, None, lambda till: till.kill)

    await check_after_restart(node, database_url, hook, watched, kind, arrivals=2)


@pytest.mark.parametrize("kind", KINDS)
async def test_killed_before_the_answer_is_stored(
    kind: str, node: SimulatedNode, hook: Receiver, database_url: str
) -> None:
    point = "between the answer and the store"
    watched = await killed_after_arrival(kind, node, hook, database_url, point, lambda till: till.arm)

    await check_after_restart(node, database_url, hook, watched, kind, arrivals=2)


@pytest.mark.parametrize("kind", KINDS)
async def test_killed_after_the_answer_is_stored(
    kind: str, node: SimulatedNode, hook: Receiver, database_url: str
) -> None:
    """Nothing is sent again."""
    watched = await killed_after_arrival(kind, node, hook, database_url, STORED[kind], lambda till: till.arm)

    await check_after_restart(node, database_url, hook, watched, kind, arrivals=1)


@pytest.mark.parametrize("kind", KINDS)
async def test_killed_while_a_failed_delivery_is_repeated(
    kind: str, node: SimulatedNode, hook: Receiver, database_url: str
) -> None:
    """The caller asks for the repeat, since the schedule's first one comes after 5 s."""
    async with a_till(node, database_url) as till:
        watched = await KINDS[kind](till, hook)
        hook.answers = [(500, {})]
        await node.pay(watched.bolt11)
        failed = await till.delivered(watched.id, 2, DELIVERY_STATE_PENDING)
        hook.arrived = till.kill
        await till.webhooks.RedeliverEvent(pb.RedeliverEventRequest(id=watched.id, event_id=failed.event_id))
        await till.is_killed()
    hook.arrived = lambda _: None

    await check_after_restart(node, database_url, hook, watched, kind, arrivals=3)


async def test_a_rotation_survives_a_kill(node: SimulatedNode, hook: Receiver, database_url: str) -> None:
    """Both secrets sign the event that tilld was sending, and those after the restart."""
    async with a_till(node, database_url) as till:
        watched = await of_user(till, hook)
        rotation = await till.webhooks.RotateSecret(pb.RotateSecretRequest(id=watched.id))
        hook.arrived = till.kill
        await node.pay(watched.bolt11)
        await till.is_killed()
    hook.arrived = lambda _: None
    [first, second] = hook.all()
    await released(database_url)
    async with a_till(node, database_url) as till:
        await till.create()
        await till.delivered(watched.id, 3, DELIVERY_STATE_SUCCEEDED)
        await till.end()

    assert [event["sequence"] for event in taken([first], watched.secret)] == [1]
    later = taken([second, *hook.all()], watched.secret, rotation.secret)
    assert [event["sequence"] for event in later] == [2, 3]
