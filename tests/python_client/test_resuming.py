"""Lost connections: watches resume, and a create makes one invoice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import till
from tests.support.nodes import simulated_node
from tests.support.shop import config
from tests.support.waiting import eventually
from till.v1.invoice_service_pb2 import CreateInvoiceRequest
from tilld.app import Running, Till
from tilld.config import Address

SHOP = {"type": "shop"}
# The payment request of an invoice alone is longer.
STATE_BYTES = 300


class Proxy:
    """Forwards bytes to a server; it can drop replies, and cut or reject connections."""

    address: str

    def __init__(self, target: Address) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self._loses_replies = False
        self._longest = 0
        self.refuses = False
        self.refused = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            self.refused += 1
            writer.transport.abort()
            return
        other_reader, other_writer = await asyncio.open_connection(*self._target)
        self._writers += [writer, other_writer]
        await asyncio.gather(
            self._pass_on(reader, other_writer, lambda data: True),
            self._pass_on(other_reader, writer, self._passes_reply),
        )

    async def until_told(self) -> None:
        """Wait until a state was forwarded since the last cut; no other message is as long."""
        await eventually(lambda: self._longest > STATE_BYTES)

    def _passes_reply(self, data: bytes) -> bool:
        self._longest = max(self._longest, len(data))
        return not self._loses_replies

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: Callable[[bytes], bool]
    ) -> None:
        try:
            while data := await reader.read(65536):
                if passes(data):
                    writer.write(data)
        except ConnectionError:
            pass
        writer.close()

    def lose_replies(self) -> None:
        """Drop all replies from now on."""
        self._loses_replies = True

    def cut(self) -> None:
        """Cut all connections; later ones work."""
        self._loses_replies = False
        self._longest = 0
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def proxy(running: Running) -> AsyncIterator[Proxy]:
    proxy = Proxy(running.grpc)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.address = "{}:{}".format(*server.sockets[0].getsockname())
    yield proxy
    server.close()
    proxy.cut()


async def lose_reply(
    proxy: Proxy, client: till.AsyncClient, direct: till.AsyncClient, creating: Awaitable[Any]
) -> tuple[Any, int]:
    """Lose the reply of a create; return its result, and the number of invoices created."""
    before = (await client.info()).invoices
    proxy.lose_replies()
    waiting = asyncio.ensure_future(creating)

    async def is_made() -> bool:
        return (await direct.info()).invoices > before

    async with asyncio.timeout(10):
        while not await is_made():
            await asyncio.sleep(0.01)
    proxy.cut()
    results = await asyncio.gather(waiting, return_exceptions=True)
    return results[0], (await direct.info()).invoices - before


async def test_a_create_whose_reply_is_lost_makes_one_invoice(
    connect: type[till.AsyncClient], proxy: Proxy, address: str
) -> None:
    async with connect(proxy.address) as client, till.AsyncClient(address) as direct:
        invoice, made = await lose_reply(proxy, client, direct, client.create_invoice(5000, SHOP))

        assert made == 1
        assert await direct.get_invoice(invoice.invoice_id) == invoice


async def test_a_raw_call_is_not_retried_by_default(
    connect: type[till.AsyncClient], proxy: Proxy, address: str
) -> None:
    request = CreateInvoiceRequest(amount_msat=5000, metadata='{"type": "shop"}')
    async with connect(proxy.address) as client, till.AsyncClient(address) as direct:
        lost, made = await lose_reply(
            proxy, client, direct, client.call(client.invoices.CreateInvoice, request)
        )

        assert made == 1
        assert isinstance(lost, till.ConnectionLost)


async def test_a_cut_watch_resumes_without_repeating_a_state(
    connect: type[till.AsyncClient], proxy: Proxy, pay: Callable[..., Awaitable[None]]
) -> None:
    async with connect(proxy.address) as client:
        invoice = await client.create_invoice(5000, SHOP)
        seen = []
        paying: list[asyncio.Future[None]] = []

        async def pay_when_told() -> None:
            await proxy.until_told()
            await pay(invoice)

        async for state in client.watch(invoice):
            seen.append(state.status)
            if len(seen) == 1:
                proxy.cut()
                paying.append(asyncio.ensure_future(pay_when_told()))
        await asyncio.gather(*paying)

    assert seen == ["unpaid", "paid"]


async def test_a_watch_resumes_after_a_restart_with_a_payment(
    connect: type[till.AsyncClient], tmp_path: Path
) -> None:
    async with simulated_node(tmp_path) as node:
        settings = {"no_rest": True, "lightning_rpc": node.rpc_file, "grace_seconds": 0.1}
        first = Till(config(tmp_path / "till", **settings))
        await first.__aenter__()
        address = first.running.grpc
        async with connect(str(address)) as client:
            invoice = await client.create_invoice(5000, SHOP)
            seen = []

            async def watch() -> None:
                async for state in client.watch(invoice):
                    seen.append(state.status)

            watching = asyncio.ensure_future(watch())
            await eventually(lambda: seen == ["unpaid"])
            await first.__aexit__(None, None, None)
            await node.pay(invoice.bolt11)
            assert not watching.done()

            async with Till(config(tmp_path / "till", grpc=address, **settings)):
                async with asyncio.timeout(20):
                    await watching

    assert seen == ["unpaid", "paid"]


async def test_a_call_is_retried_until_till_is_back(connect: type[till.AsyncClient], proxy: Proxy) -> None:
    proxy.refuses = True
    async with connect(proxy.address) as client:
        asking = asyncio.ensure_future(client.info())
        await eventually(lambda: proxy.refused > 1)
        proxy.refuses = False

        assert (await asking).online


async def test_a_watch_ends_with_its_client(connect: type[till.AsyncClient], address: str) -> None:
    """gRPC reports it like a Till that cancels the call, after which a watch would resume."""
    client = connect(address)
    invoice = await client.create_invoice(5000, SHOP)
    states = client.watch(invoice)
    await anext(states)
    rest = asyncio.ensure_future(anext(states))

    await client.close()

    with pytest.raises(till.Error, match="closed"):
        await rest


async def test_a_watch_that_waits_to_reconnect_ends_with_its_client(
    connect: type[till.AsyncClient], proxy: Proxy
) -> None:
    losses: list[till.Connection] = []
    client = connect(proxy.address)
    invoice = await client.create_invoice(5000, SHOP)
    states = client.watch(invoice, on_connection=losses.append)
    await anext(states)
    rest = asyncio.ensure_future(anext(states))
    proxy.refuses = True
    proxy.cut()
    await eventually(lambda: len(losses) > 1)

    await client.close()

    with pytest.raises(till.Error, match="closed"):
        await rest


async def test_a_watch_reports_its_connection(connect: type[till.AsyncClient], proxy: Proxy) -> None:
    changes: list[till.Connection] = []
    async with connect(proxy.address) as client:
        invoice = await client.create_invoice(5000, SHOP)
        states = client.watch(invoice, on_connection=changes.append)
        await anext(states)
        rest = asyncio.ensure_future(anext(states))
        proxy.refuses = True
        proxy.cut()
        await eventually(lambda: len(changes) > 1)
        proxy.refuses = False
        await eventually(lambda: not changes[-1].lost)
        rest.cancel()

    *losses, back = changes
    assert [change.attempt for change in losses] == list(range(1, len(losses) + 1))
    assert all(isinstance(change.error, till.ConnectionLost) for change in losses)
    assert back == till.Connection(lost=False, attempt=len(losses), error=None)
