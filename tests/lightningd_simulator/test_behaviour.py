"""The node over time: expiry, waits, pages, and the requests that crash it."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lightningd_simulator import Simulator
from lightningd_simulator.invoice_ledger import Created, Deleted, Ledger, Paid
from lightningd_simulator.rpc.answers import NodeAborted
from tests.support.clock import Clock
from tests.support.rpc import Rpc, connected


async def create(rpc: Rpc, label: str, amount_msat: int | str = 1000, **more: object) -> str:
    made = await rpc.result("invoice", amount_msat=amount_msat, label=label, description="d", **more)
    return str(made["bolt11"])


async def test_getinfo_says_that_the_node_is_simulated(node: Simulator, rpc: Rpc) -> None:
    """The version and the alias show that the node has no real money."""
    info = await rpc.result("getinfo")

    assert info["version"] == "v26.06.6-simulated"
    assert info["alias"] == "till-simulated"
    assert info["network"] == "regtest"
    assert info["id"] == node.node_id


def nearly_a_full_second() -> Callable[[], float]:
    """Return a running clock that is now a tenth of a second before the next full second."""
    ahead = -time.time() % 1 - 0.1
    return lambda: time.time() + ahead


async def test_an_invoice_expires_by_itself(tmp_path: Path) -> None:
    """A wait on `updated` returns soon after the expiry, without any other request."""
    clock = nearly_a_full_second()
    async with Simulator(tmp_path / "rpc", clock=clock) as node, connected(node.rpc_file) as rpc:
        await create(rpc, "short", expiry=1)

        told = await rpc.result("wait", subsystem="invoices", indexname="updated", nextvalue=1)

        told_at = clock()
        [invoice] = (await rpc.result("listinvoices", label="short"))["invoices"]
        assert told["invoices"] == {"status": "expired"}
        assert invoice["status"] == "expired"
        assert 0 <= told_at - invoice["expires_at"] < 0.5


async def test_the_timer_follows_the_earliest_expiry(tmp_path: Path) -> None:
    """An expiry earlier than all others is applied first."""
    async with Simulator(tmp_path / "rpc", clock=nearly_a_full_second()) as node:
        async with connected(node.rpc_file) as rpc:
            await create(rpc, "never", expiry=2**60 - 1)
            await create(rpc, "long", expiry=3600)
            await create(rpc, "short", expiry=1)

            await rpc.result("wait", subsystem="invoices", indexname="updated", nextvalue=1)

            statuses = [invoice["status"] for invoice in (await rpc.result("listinvoices"))["invoices"]]
            assert statuses == ["unpaid", "unpaid", "expired"]


@pytest.mark.parametrize(
    ("after", "code", "message"),
    [
        (1, 203, "Destination said it doesn't know invoice: incorrect_or_unknown_payment_details"),
        (2, 207, "Invoice expired 1 seconds ago"),
        (61, 207, "Invoice expired 60 seconds ago"),
    ],
)
async def test_paying_an_expired_invoice_fails_as_in_xpay_c(
    node: Simulator, clock: Clock, rpc: Rpc, after: int, code: int, message: str
) -> None:
    """lightningd v26.06.6, plugins/xpay/xpay.c: by the payer's clock, in whole seconds."""
    clock.now = float(int(clock.now))
    bolt11 = await create(rpc, "expires", expiry=1)
    clock.now += after
    node.expire_due()

    assert (await rpc.call("xpay", {"invstring": bolt11}))["error"] == {"code": code, "message": message}


async def test_an_expiry_does_not_end_waitanyinvoice(node: Simulator, clock: Clock, rpc: Rpc) -> None:
    """waitanyinvoice keeps waiting, and returns the next payment."""
    await create(rpc, "expires", expiry=1)
    bolt11 = await create(rpc, "paid")
    waiting = await rpc.start("waitanyinvoice", lastpay_index=0)

    clock.now += 2
    node.expire_due()
    await rpc.result("xpay", invstring=bolt11)

    assert (await rpc.reply_to(waiting))["result"]["label"] == "paid"


async def test_a_paid_invoice_does_not_expire(node: Simulator, clock: Clock, rpc: Rpc) -> None:
    bolt11 = await create(rpc, "x", expiry=1)
    await rpc.result("xpay", invstring=bolt11)

    clock.now += 2
    node.expire_due()

    [invoice] = (await rpc.result("listinvoices", label="x"))["invoices"]
    assert (invoice["status"], invoice["updated_index"]) == ("paid", 1)


async def test_all_waits_on_an_index_are_answered(node: Simulator) -> None:
    """Two waits on one index, on two connections, get the same reply."""
    async with connected(node.rpc_file) as one, connected(node.rpc_file) as other:
        waits = {"subsystem": "invoices", "indexname": "created", "nextvalue": 2}
        first, second = await one.start("wait", **waits), await other.start("wait", **waits)

        await create(one, "a")
        bolt11 = await create(one, "b")

        told = {"status": "unpaid", "label": "b", "bolt11": bolt11}
        expected = {"subsystem": "invoices", "created": 2, "details": told, "invoices": told}
        assert (await one.reply_to(first))["result"] == expected
        assert (await other.reply_to(second))["result"] == expected


async def test_a_wait_ends_with_its_connection(node: Simulator, rpc: Rpc) -> None:
    """A wait whose connection is closed does not disturb the others."""
    async with connected(node.rpc_file) as other:
        await other.start("waitanyinvoice")
    waiting = await rpc.start("waitanyinvoice")

    await rpc.result("xpay", invstring=await create(rpc, "x"))

    assert (await rpc.reply_to(waiting))["result"]["label"] == "x"


async def test_deleted_invoices_leave_gaps(rpc: Rpc) -> None:
    """Indexes are not reused, and lists and waitanyinvoice skip deleted invoices."""
    for label in ("a", "b", "c", "d"):
        await rpc.result("xpay", invstring=await create(rpc, label))

    await rpc.result("delinvoice", label="b", status="paid")
    await rpc.result("delinvoice", label="d", status="paid")
    await create(rpc, "e")

    for index, expected in (("created", [1, 3, 5]), ("updated", [1, 3])):
        listed = (await rpc.result("listinvoices", index=index, start=1))["invoices"]
        assert [invoice[f"{index}_index"] for invoice in listed] == expected
    assert (await rpc.result("waitanyinvoice", lastpay_index=1))["label"] == "c"
    gone = await rpc.result("wait", subsystem="invoices", indexname="deleted", nextvalue=0)
    assert gone == {"subsystem": "invoices", "deleted": 2}


async def test_updates_can_be_followed_by_pages(rpc: Rpc) -> None:
    """Pages of the updated index contain each change once and in order, and then end."""
    for number in range(25):
        await rpc.result("xpay", invstring=await create(rpc, f"l-{number}"))

    start, labels = 1, []
    while page := (await rpc.result("listinvoices", index="updated", start=start, limit=10))["invoices"]:
        assert len(page) <= 10
        labels += [invoice["label"] for invoice in page]
        start = page[-1]["updated_index"] + 1

    assert labels == [f"l-{number}" for number in range(25)]


def test_a_page_is_found_where_it_starts() -> None:
    """Pages of a large ledger reach its end, across a gap and a repeated change."""
    ledger = Ledger()
    for number in range(1, 20_001):
        ledger.apply(Created(f"l-{number}", f"ln-{number}", f"{number}", "", 1, "d", 2**40))
    for number in range(1, 20_001):
        ledger.apply(Paid(number, 1, 0))
    ledger.apply(Deleted(7000))

    start, found = 0, list[int]()
    while page := list(ledger.updated_since(start, 100)):
        found += [invoice.created_index for invoice in page]
        start = page[-1].updated_index + 1

    assert found == [*range(1, 7000), *range(7001, 20_001)]


async def test_paying_again_changes_nothing(rpc: Rpc) -> None:
    """pay repeats its reply, xpay fails; there is one payment."""
    bolt11 = await create(rpc, "x")

    first = await rpc.result("pay", bolt11=bolt11)
    again = await rpc.result("pay", bolt11=bolt11)
    refused = await rpc.call("xpay", {"invstring": bolt11})

    assert {**again, "created_at": first["created_at"]} == first
    assert refused["error"]["code"] == 219
    paid = await rpc.result("wait", subsystem="invoices", indexname="updated", nextvalue=0)
    assert paid["updated"] == 1


@pytest.mark.parametrize("expiry", [2**60, 2**64 - 1, -1])
async def test_a_huge_expiry_crashes_the_node(expiry: int, tmp_path: Path) -> None:
    """Like a real node: no reply, all connections end, the socket is dead, and the state is kept."""
    rpc_file, state = tmp_path / "rpc", tmp_path / "state"
    async with Simulator(rpc_file, state) as node:
        async with connected(rpc_file) as rpc, connected(rpc_file) as other:
            await create(rpc, "before")
            waiting = await other.start("waitanyinvoice")

            rpc.send("invoice", {"amount_msat": 1, "label": "before", "description": "d", "expiry": expiry})

            with pytest.raises(asyncio.IncompleteReadError):
                await rpc.next_reply()
            with pytest.raises(asyncio.IncompleteReadError):
                await other.reply_to(waiting)
            with pytest.raises(NodeAborted):
                await node.ended()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_unix_connection(rpc_file)

    async with Simulator(rpc_file, state), connected(rpc_file) as rpc:
        listed = (await rpc.result("listinvoices"))["invoices"]
        assert [invoice["label"] for invoice in listed] == ["before"]


async def test_stop_answers_and_ends(node: Simulator, rpc: Rpc) -> None:
    """The reply comes before the end; as with a real node, the socket file stays."""
    assert await rpc.result("stop") == {"result": "Shutdown complete"}

    await node.ended()
    with pytest.raises(asyncio.IncompleteReadError):
        await rpc.next_reply()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_unix_connection(node.rpc_file)


async def test_many_concurrent_clients(node: Simulator) -> None:
    """300 connections each create an invoice, and get its payment from a wait."""

    async def sell(rpc: Rpc, amount_msat: int) -> int:
        bolt11 = await create(rpc, f"many-{amount_msat}", amount_msat)
        waiting = await rpc.start("waitinvoice", label=f"many-{amount_msat}")
        await rpc.result("xpay", invstring=bolt11)
        paid = (await rpc.reply_to(waiting))["result"]
        assert paid["amount_received_msat"] == amount_msat
        return int(paid["pay_index"])

    async with AsyncExitStack() as stack:
        # One after another, since the listen backlog is as short as a real node's.
        clients = [await stack.enter_async_context(connected(node.rpc_file)) for _ in range(300)]

        pay_indexes = await asyncio.gather(*(sell(rpc, number) for number, rpc in enumerate(clients, 1)))

    assert sorted(pay_indexes) == list(range(1, 301))
