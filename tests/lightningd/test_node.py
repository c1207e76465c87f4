"""The node interface, against the simulated lightningd and a real one."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from lightningd_simulator.bolts import bolt11
from tests.support.nodes import LIGHTNINGD, RealNode, SimulatedNode, real_node, simulated_node
from tests.support.samples import an_order
from tests.support.scripted_node import (
    GETINFO,
    Reply,
    Request,
    answering,
    error,
    replacing,
    result,
    scripted_node,
)
from tests.support.waiting import eventually
from tilld.config import USUAL
from tilld.errors import Internal, NodeOffline, TillError, TookTooLong
from tilld.formats.amounts import MAX_AMOUNT_MSAT
from tilld.formats.times import utc
from tilld.invoices.invoice import InvoiceUpdate, Payment, Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.lightningd.errors import MayExist
from tilld.lightningd.node import NodeReplaced
from tilld.lightningd.rpc import Pipeline

HASTY = USUAL._replace(node_call_seconds=0.1)


@pytest.fixture(
    scope="module",
    params=[
        "simulated",
        pytest.param(
            "real",
            marks=[
                pytest.mark.lightningd,
                pytest.mark.skipif(not LIGHTNINGD, reason="LIGHTNINGD does not name a real lightningd"),
            ],
        ),
    ],
)
async def lightningd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SimulatedNode | RealNode]:
    start: dict[str, Callable[[Path], AbstractAsyncContextManager[SimulatedNode | RealNode]]] = {
        "simulated": simulated_node,
        "real": real_node,
    }
    async with start[request.param](tmp_path_factory.mktemp("node")) as lightningd:
        yield lightningd


@pytest.fixture
async def node(lightningd: SimulatedNode | RealNode) -> AsyncIterator[InvoiceNode]:
    node = InvoiceNode(lightningd.rpc_file)
    yield node
    await node.close()


@pytest.fixture
async def paged(lightningd: SimulatedNode | RealNode) -> AsyncIterator[InvoiceNode]:
    """The same node, read in pages of two rows."""
    node = InvoiceNode(lightningd.rpc_file, intervals=USUAL._replace(node_page=2))
    yield node
    await node.close()


@pytest.fixture
def new_id() -> Callable[[], str]:
    """Return a function that returns unused ids."""
    number = time.time_ns()

    def next_id() -> str:
        nonlocal number
        number += 1
        return f"{number:~>21}"

    return next_id


async def test_info_identifies_the_node(node: InvoiceNode) -> None:
    info = await node.info()

    assert len(info.id) == 66
    assert info.network == "regtest"
    assert info.version.startswith("v2")
    assert await node.identity() == info.id


@pytest.mark.parametrize(
    ("fields", "amount_msat", "description"),
    [
        ({"description": "a coffee"}, 5000, "a coffee"),
        ({"amount_msat": None}, None, ""),
        ({"amount_msat": 1}, 1, ""),
        ({"amount_msat": 2**64 // 10}, 2**64 // 10, ""),
        ({"amount_msat": MAX_AMOUNT_MSAT}, MAX_AMOUNT_MSAT, ""),
        ({"description": 'é☕😀 "quoted" \\ back\tslash\nline'}, 5000, 'é☕😀 "quoted" \\ back\tslash\nline'),
        ({"description": "\x7f"}, 5000, "\x7f"),
        ({"description": "é" * 319 + "x"}, 5000, "é" * 319 + "x"),
        ({"expiry": 365 * 86400}, 5000, ""),
    ],
)
async def test_an_invoice_asks_for_what_was_ordered(
    node: InvoiceNode,
    new_id: Callable[[], str],
    fields: dict[str, Any],
    amount_msat: int | None,
    description: str,
) -> None:
    """The node has signed the bolt11, and its fields are those of the order."""
    order = an_order(**fields)
    invoice_id = new_id()

    issued = await node.invoice(invoice_id, order)

    decoded = bolt11.read(issued.bolt11)
    assert decoded.amount_msat == amount_msat
    assert (decoded.description or "") == description
    assert decoded.expiry == order.expiry
    assert decoded.payment_hash == issued.payment_hash
    assert decoded.payee == issued.node_id == await node.identity()
    # lightningd reads its clock once for the bolt11 and once for the expiry.
    assert issued.expires_at.timestamp() - (decoded.created_at + order.expiry) in (0, 1)


async def test_an_invoice_has_the_hash_of_a_long_description(
    node: InvoiceNode, new_id: Callable[[], str]
) -> None:
    """The node keeps the whole description."""
    invoice_id = new_id()

    issued = await node.invoice(invoice_id, an_order(description="é" * 320))

    decoded = bolt11.read(issued.bolt11)
    assert decoded.description_hash == hashlib.sha256(("é" * 320).encode()).hexdigest()
    assert await node.description(issued.payment_hash) == "é" * 320


async def test_a_label_in_use_may_exist_and_is_found(node: InvoiceNode, new_id: Callable[[], str]) -> None:
    """A retry adopts the invoice of the first try."""
    invoice_id = new_id()
    order = an_order(description="a coffee")
    issued = await node.invoice(invoice_id, order)

    with pytest.raises(MayExist):
        await node.invoice(invoice_id, order)
    found = await node.find(invoice_id)

    assert found
    assert found.issued == issued
    assert (found.label, found.amount_msat) == (invoice_id, 5000)
    assert (found.seen.payment_hash, found.seen.status) == (issued.payment_hash, Status.UNPAID)
    assert await node.find_by_payment_hash(issued.payment_hash) == found
    assert await node.find(new_id()) is None


async def test_a_payment_is_an_update(
    node: InvoiceNode, new_id: Callable[[], str], lightningd: SimulatedNode | RealNode
) -> None:
    """The update has the received amount and the time."""
    invoice_id = new_id()
    issued = await node.invoice(invoice_id, an_order(amount_msat=None))
    before = await node.latest("updated")
    waiting = asyncio.create_task(node.wait_for_update(await node.identity(), before))
    await node.latest("updated")

    await lightningd.pay(issued.bolt11, 1234)
    latest = await waiting
    updates = await node.updates(before, latest)

    assert (updates.updated_index, updates.more) == (latest, False)
    [seen] = updates.items
    assert (seen.payment_hash, seen.status) == (issued.payment_hash, Status.PAID)
    assert seen.payment
    assert seen.payment.amount_received_msat == 1234
    assert abs(seen.payment.paid_at.timestamp() - time.time()) < 60


async def test_an_expiry_is_an_update(node: InvoiceNode, new_id: Callable[[], str]) -> None:
    after = await node.latest("updated")
    issued = await node.invoice(new_id(), an_order(expiry=1))

    seen: dict[str, InvoiceUpdate] = {}
    while issued.payment_hash not in seen:
        latest = await node.wait_for_update(await node.identity(), after)
        updates = await node.updates(after, latest)
        seen |= {each.payment_hash: each for each in updates.items}
        after = updates.updated_index

    assert (seen[issued.payment_hash].status, seen[issued.payment_hash].payment) == (Status.EXPIRED, None)


async def test_updates_of_foreign_invoices_and_gaps_are_read(
    node: InvoiceNode, new_id: Callable[[], str], lightningd: SimulatedNode | RealNode
) -> None:
    """Updates include foreign invoices, and deleted rows leave a gap."""
    before = await node.latest("updated")
    rpc = Pipeline(str(lightningd.rpc_file), 10)
    foreign = await rpc.invoice(1000, f"foreign-{new_id()}", "not ours")
    deleted = new_id()
    gone = await node.invoice(deleted, an_order())
    issued = await node.invoice(new_id(), an_order())
    for request in (foreign["bolt11"], issued.bolt11, gone.bolt11):
        await lightningd.pay(request)
    await rpc.delinvoice(deleted, "paid")
    await rpc.hang_up()

    latest = await node.latest("updated")
    updates = await node.updates(before, latest)

    assert latest == before + 3
    assert [seen.payment_hash for seen in updates.items] == [foreign["payment_hash"], issued.payment_hash]
    assert (updates.updated_index, updates.more) == (latest, False)


async def test_all_invoices_are_listed_in_pages(
    node: InvoiceNode, paged: InvoiceNode, new_id: Callable[[], str], lightningd: SimulatedNode | RealNode
) -> None:
    """The list includes foreign invoices, each with its status."""
    before = await node.latest("created")
    rpc = Pipeline(str(lightningd.rpc_file), 10)
    foreign = await rpc.invoice(1000, f"foreign-{new_id()}", "not ours")
    await rpc.hang_up()
    issued = [await node.invoice(new_id(), an_order(amount_msat=None)) for _ in range(2)]
    await lightningd.pay(issued[1].bolt11, 1234)

    listed = [await paged.invoices(before)]
    while (await paged.invoices(listed[-1].created_index)).invoices:
        listed.append(await paged.invoices(listed[-1].created_index))

    found = [each for page in listed for each in page.invoices]
    assert [each.issued.payment_hash for each in found] == [
        foreign["payment_hash"], *(each.payment_hash for each in issued)
    ]  # fmt: skip
    assert [each.amount_msat for each in found] == [1000, None, None]
    assert [each.seen.status for each in found] == [Status.UNPAID, Status.UNPAID, Status.PAID]
    assert [each.is_labelled_by_till for each in found] == [False, True, True]
    assert found[2].seen.payment
    assert found[2].seen.payment.amount_received_msat == 1234
    assert listed[-1].created_index == await node.latest("created")


async def test_updates_come_in_pages(
    node: InvoiceNode, paged: InvoiceNode, new_id: Callable[[], str], lightningd: SimulatedNode | RealNode
) -> None:
    """A full page has `more` set."""
    before = await node.latest("updated")
    issued = [await node.invoice(new_id(), an_order()) for _ in range(5)]
    for each in issued:
        await lightningd.pay(each.bolt11)
    latest = await node.latest("updated")

    seen, more, after = [], True, before
    while more:
        updates = await paged.updates(after, latest)
        seen += [each.payment_hash for each in updates.items]
        more, after = updates.more, updates.updated_index

    assert seen == [each.payment_hash for each in issued]
    assert after == latest


async def test_without_a_socket_the_node_is_offline_immediately(tmp_path: Path) -> None:
    node = InvoiceNode(tmp_path / "rpc")

    for call in (node.info(), node.invoice("~" * 21, an_order()), node.find("x"), node.updates(0, 1)):
        with pytest.raises(NodeOffline):
            await call


async def test_a_stopped_node_ends_waits_and_is_reconnected(tmp_path: Path) -> None:
    async with simulated_node(tmp_path):
        node = InvoiceNode(tmp_path / "rpc")
        identity = await node.identity()
        waiting = asyncio.create_task(node.wait_for_update(await node.identity(), 0))
        await node.latest("updated")
    with pytest.raises(NodeOffline):
        await waiting
    with pytest.raises(NodeOffline):
        await node.info()
    async with simulated_node(tmp_path):
        assert await node.identity() == identity
        await node.close()


async def test_a_lost_reply_may_exist(tmp_path: Path) -> None:
    """The node may have received the call, so the caller must look it up first."""
    async with scripted_node(tmp_path / "rpc", answering()):
        node = InvoiceNode(tmp_path / "rpc", intervals=HASTY)
        with pytest.raises(MayExist):
            await node.invoice("~" * 21, an_order())
        await node.close()


PAID = {
    "label": "~" * 21, "bolt11": "lnbcrt1", "payment_hash": "ab" * 32, "expires_at": 2_000_000_000,
    "created_index": 1, "status": "paid", "pay_index": 1, "amount_received_msat": "5000msat",
    "paid_at": 1_900_000_000,
}  # fmt: skip


async def test_a_payment_is_read_in_the_format_of_older_versions(tmp_path: Path) -> None:
    async with scripted_node(
        tmp_path / "rpc", answering(listinvoices=lambda request: result(request, {"invoices": [PAID]}))
    ):
        node = InvoiceNode(tmp_path / "rpc")
        found = await node.find("~" * 21)
        await node.close()
    assert found
    assert found.seen.payment == Payment(1, 5000, utc(1_900_000_000))


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        (lambda request: error(request, -32602, "LIGHTNING_DIR/secret"), Internal),
        (lambda request: error(request, -1, "whatever"), Internal),
        (lambda request: result(request, {}), Internal),
        (lambda request: result(request, {"invoices": "none"}), Internal),
        (lambda request: result(request, {"invoices": [{"label": "~" * 21}]}), Internal),
        (lambda request: result(request, None), Internal),
        (lambda request: result(request, {"invoices": [PAID | {"pay_index": True}]}), Internal),
        (lambda request: result(request, {"invoices": [PAID | {"payment_hash": 1}]}), Internal),
        (lambda request: result(request, {"invoices": [PAID | {"label": "\ud800"}]}), Internal),
        (lambda request: result(request, {"invoices": [PAID | {"amount_received_msat": 1.0}]}), Internal),
        (lambda request: result(request, {"invoices": [PAID | {"amount_received_msat": 2**63}]}), Internal),
        (
            lambda request: result(request, {"invoices": [PAID | {"amount_received_msat": "1e9999999msat"}]}),
            Internal,
        ),
        # The reply of a real lightningd to the longest expiry that it accepts.
        (
            lambda request: result(request, {"invoices": [PAID | {"expires_at": 2**60 + 1_795_217_785}]}),
            Internal,
        ),
        (lambda request: None, TookTooLong),
    ],
)
async def test_an_unexpected_reply_is_an_internal_error_without_details(
    tmp_path: Path, reply: Reply, raised: type[TillError]
) -> None:
    async with scripted_node(tmp_path / "rpc", answering(listinvoices=reply)):
        node = InvoiceNode(tmp_path / "rpc", intervals=HASTY)
        with pytest.raises(raised) as told:
            await node.find("~" * 21)
        await node.close()
    assert "secret" not in told.value.message


async def test_a_hanging_node_ends_waits(tmp_path: Path) -> None:
    """Without the liveness check the wait would last until cancelled."""
    hangs = asyncio.Event()

    def getinfo(request: Request) -> bytes | None:
        return None if hangs.is_set() else result(request, GETINFO)

    async with scripted_node(tmp_path / "rpc", answering(getinfo=getinfo)):
        node = InvoiceNode(tmp_path / "rpc", intervals=HASTY._replace(liveness_seconds=0.05))
        await node.info()
        waiting = asyncio.create_task(node.wait_for_update(await node.identity(), 0))
        hangs.set()
        with pytest.raises(TookTooLong):
            await waiting
        assert not node.is_connected
        await node.close()


async def test_an_invoice_of_a_node_that_was_replaced_is_looked_up(tmp_path: Path) -> None:
    """Either of the two nodes may have created it."""
    issued = {"payment_hash": "ab" * 32, "expires_at": 2_000_000_000, "bolt11": "lnbcrt1"}
    async with scripted_node(tmp_path / "rpc", replacing(invoice=lambda request: result(request, issued))):
        node = InvoiceNode(tmp_path / "rpc")
        with pytest.raises(MayExist):
            await node.invoice("~" * 21, an_order())
        await node.close()


async def test_a_wait_for_updates_of_another_node_fails(tmp_path: Path) -> None:
    """The index of the other node may be far behind, so that the wait would not end."""
    latest = replacing(wait=lambda request: result(request, {"updated": 7}))

    async def answer(request: Request) -> bytes | None:
        return await latest(request) if request["params"].get("nextvalue", 0) == 0 else None

    async with scripted_node(tmp_path / "rpc", answer):
        node = InvoiceNode(tmp_path / "rpc")
        node_id = await node.identity()
        assert await node.latest("updated") == 7
        with pytest.raises(NodeReplaced):
            await node.wait_for_update(node_id, 7)
        await node.close()


async def test_a_hanging_node_times_out(tmp_path: Path) -> None:
    """Also for reads that use the `wait` command."""
    async with scripted_node(tmp_path / "rpc", answering()):
        node = InvoiceNode(tmp_path / "rpc", intervals=HASTY)
        with pytest.raises(TookTooLong):
            await node.latest("updated")
        await node.close()


async def test_concurrent_callers_share_getinfo_for_a_second(tmp_path: Path) -> None:
    """A cancelled caller does not disturb the others; a later call, or a new connection, asks again."""
    asked, may_answer = 0, asyncio.Event()

    async def answer(request: Request) -> bytes | None:
        nonlocal asked
        asked += 1
        await may_answer.wait()
        return result(request, GETINFO | {"num_peers": asked})

    async with scripted_node(tmp_path / "rpc", answer):
        node = InvoiceNode(tmp_path / "rpc")
        asking = [asyncio.create_task(node.recent_info(10)) for _ in range(3)]
        await eventually(lambda: asked == 1)
        asking[0].cancel()
        may_answer.set()
        told = await asyncio.gather(*asking[1:], node.recent_info(10))
        assert [info.num_peers for info in told] == [1, 1, 1]

        await node.close()
        assert (await node.recent_info(10)).num_peers == 2
        await node.close()
        later = InvoiceNode(tmp_path / "rpc", intervals=USUAL._replace(info_seconds=0))
        assert [(await later.recent_info(10)).num_peers for _ in range(2)] == [3, 4]
    with pytest.raises(NodeOffline):
        await later.recent_info(10)
    await later.close()
