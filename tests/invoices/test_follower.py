"""The follower misses no update of the node about Till's invoices."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.nodes import simulated_node
from tests.support.samples import DAKK, NODE_ID, an_invoice, an_order, paid
from tests.support.scripted_node import OTHER_ID, Request, replacing, result, scripted_node
from tests.support.till import CALM, Parts
from tests.support.waiting import eventually
from tilld.config import Intervals
from tilld.invoices.invoice import NODE_NEEDS_TO_EXPIRE, Invoice, Status
from tilld.storage.nodes import NodeStore


@pytest.fixture
def intervals() -> Intervals:
    return CALM


@pytest.fixture
async def till(tmp_path: Path, intervals: Intervals) -> AsyncIterator[Parts]:
    till = Parts(tmp_path, intervals=intervals)
    yield till
    await till.close()


def with_intervals(**others: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("intervals", [CALM._replace(**others)], ids=["others"])


async def test_a_payment_reaches_the_store_and_the_watcher(till: Parts, tmp_path: Path) -> None:
    """The store comes first, so that a notified watcher can read the payment."""
    async with simulated_node(tmp_path) as lightningd, till.following():
        invoice = await till.create()
        with till.hub.subscribe(invoice.invoice_id) as changes:
            await lightningd.pay(invoice.bolt11)
            changed = await changes.next()

        assert changed == await till.store.get(invoice.invoice_id)
        assert changed.payment
        assert changed.payment.amount_received_msat == 5000


@with_intervals(node_page=3)
async def test_updates_during_a_stop_are_caught_up(till: Parts, tmp_path: Path) -> None:
    """Payments and expiries during a stop of Till, in pages."""
    async with simulated_node(tmp_path) as lightningd:
        async with till.following():
            early = await till.create()
            with till.hub.subscribe(early.invoice_id) as changes:
                await lightningd.pay(early.bolt11)
                await changes.next()
        invoices = [await till.create() for _ in range(10)]
        short = await till.create(expiry=1)
        for invoice in invoices[:7]:
            await lightningd.pay(invoice.bolt11)
        latest = await till.node.wait_for_update(early.node_id, 8)

        async with till.following():
            await till.followed(early.node_id, latest)

            assert await till.status(short) is Status.EXPIRED
            assert [await till.status(invoice) for invoice in invoices] == [Status.PAID] * 7 + [
                Status.UNPAID
            ] * 3
            assert await till.status(early) is Status.PAID
            assert (await till.store.totals()).volume_msat == 8 * 5000


async def test_following_continues_when_the_node_is_back(till: Parts, tmp_path: Path) -> None:
    """No restart is needed, and expiries during the outage are applied."""
    async with till.following() as follower:
        async with simulated_node(tmp_path) as lightningd:
            await eventually(lambda: follower.is_following)
            invoice = await till.create()
            short = await till.create(expiry=1)
        await eventually(lambda: not follower.is_following)

        async with simulated_node(tmp_path) as lightningd:
            with (
                till.hub.subscribe(invoice.invoice_id) as changes,
                till.hub.subscribe(short.invoice_id) as over,
            ):
                await lightningd.pay(invoice.bolt11)

                assert (await changes.next()).status is Status.PAID
                assert (await over.next()).status is Status.EXPIRED
            assert follower.is_following


async def test_another_node_has_a_cursor_of_its_own(
    till: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its updates leave the first node's invoices unchanged, and the change of node is logged as an error."""
    async with till.following() as follower:
        async with simulated_node(tmp_path) as lightningd:
            first = [await till.create() for _ in range(3)]
            await eventually(lambda: follower.is_following)
            for invoice in first[:2]:
                with till.hub.subscribe(invoice.invoice_id) as changes:
                    await lightningd.pay(invoice.bolt11)
                    await changes.next()
        (tmp_path / "node.jsonl").rename(tmp_path / "first.jsonl")
        await eventually(lambda: not follower.is_following)

        async with simulated_node(tmp_path) as lightningd:
            second = await till.create()
            with till.hub.subscribe(second.invoice_id) as changes:
                await lightningd.pay(second.bolt11)
                assert (await changes.next()).status is Status.PAID
            assert await till.status(first[2]) is Status.UNPAID
            assert await NodeStore(till.store).updated_index(second.node_id, "invoices") == 1
            assert await NodeStore(till.store).updated_index(first[0].node_id, "invoices") == 2
    [told] = [line for line in capsys.readouterr().out.splitlines() if "[error" in line]
    assert "node id has changed" in told
    assert f"before={first[0].node_id}" in told
    assert f"node_id={second.node_id}" in told


async def test_watchers_are_notified_of_what_another_till_settled(till: Parts, tmp_path: Path) -> None:
    """The update that settled the invoice is before the cursor of the node."""
    async with simulated_node(tmp_path) as lightningd:
        invoice = await till.create()
        await lightningd.pay(invoice.bolt11)
        with till.hub.subscribe(invoice.invoice_id) as changes:
            await NodeStore(till.store).remember(await till.node.info(), datetime.now(UTC))
            await till.store.settle(invoice.node_id, [paid(invoice)], 1)

            async with till.following():
                assert (await changes.next()).status is Status.PAID


@with_intervals(sweep_seconds=0.05)
async def test_watchers_are_notified_of_what_the_doctor_settled(till: Parts, tmp_path: Path) -> None:
    """The doctor runs in another process."""
    async with simulated_node(tmp_path), till.following() as follower:
        invoice = await till.create()
        await eventually(lambda: follower.is_following)
        with till.hub.subscribe(invoice.invoice_id) as changes:
            await till.store.settle(invoice.node_id, [paid(invoice)])

            assert (await changes.next()).status is Status.PAID


async def test_updates_of_another_node_are_not_settled(till: Parts, tmp_path: Path) -> None:
    """Also if the other node took over the socket between two calls: its invoices are not the first one's."""
    invoice = await till.store.add(an_invoice())
    row = {
        "payment_hash": invoice.payment_hash, "status": "paid", "pay_index": 1, "amount_received_msat": 5000,
        "paid_at": 1, "updated_index": 1,
    }  # fmt: skip
    latest = replacing(wait=lambda request: result(request, {"updated": 1}))

    async def answer(request: Request) -> bytes | None:
        if request["method"] == "listinvoices":
            return result(request, {"invoices": [row]})
        return await latest(request) if request["params"].get("nextvalue", 0) == 0 else None

    async with scripted_node(tmp_path / "rpc", answer), till.following():
        await till.followed(OTHER_ID, 1)

    assert await till.status(invoice) is Status.UNPAID
    assert await NodeStore(till.store).updated_index(NODE_ID, "invoices") == 0


async def test_a_node_that_has_forgotten_updates_is_read_from_the_start(till: Parts, tmp_path: Path) -> None:
    """A node restored from an old backup reuses update numbers that were already followed."""
    async with simulated_node(tmp_path) as lightningd:
        info = await till.node.info()
        await NodeStore(till.store).remember(info, datetime.now(UTC))
        await till.store.settle(info.id, [], 100)
        invoice = await till.create()

        async with till.following():
            with till.hub.subscribe(invoice.invoice_id) as changes:
                await lightningd.pay(invoice.bolt11)
                assert (await changes.next()).status is Status.PAID


@with_intervals(sweep_seconds=0.05)
async def test_an_expiry_that_came_before_its_invoice_is_swept_up(till: Parts, tmp_path: Path) -> None:
    """The follower saw the update before the store had the invoice."""
    till.late = NODE_NEEDS_TO_EXPIRE
    async with simulated_node(tmp_path), till.following():
        order = an_order(expiry=1)
        invoice_id = order.invoice_id("dakk", till.store.secret)
        issued = await till.node.invoice(invoice_id, order)
        await till.node.wait_for_update(await till.node.identity(), 0)
        await till.followed(issued.node_id, 1)

        with till.hub.subscribe(invoice_id) as changes:
            await till.store.add(Invoice.opened(invoice_id, DAKK.creator, order, issued))

            assert (await changes.next()).status is Status.EXPIRED


@pytest.mark.parametrize(
    ("late", "status"), [(timedelta(0), Status.CANCELED), (timedelta(hours=2), Status.EXPIRED)]
)
async def test_an_open_invoice_that_the_node_has_lost_is_closed(
    till: Parts, tmp_path: Path, late: timedelta, status: Status
) -> None:
    """As canceled before its expiry, and as expired afterwards: lightningd deletes expired invoices."""
    async with simulated_node(tmp_path):
        invoice = await till.create()
        await till.node.rpc.delinvoice(invoice.invoice_id, "unpaid")
        till.late = late
        with till.hub.subscribe(invoice.invoice_id) as changes:
            async with till.following():
                assert (await changes.next()).status is status


async def test_a_failure_does_not_end_the_following(
    till: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after an unexpected exception."""
    failures = [RuntimeError("no idea what that was")]
    settle = till.store.settle

    async def failing(*arguments: Any) -> list[Invoice]:
        if failures:
            raise failures.pop()
        return await settle(*arguments)

    monkeypatch.setattr(till.store, "settle", failing)
    async with simulated_node(tmp_path) as lightningd, till.following():
        invoice = await till.create()
        with till.hub.subscribe(invoice.invoice_id) as changes:
            await lightningd.pay(invoice.bolt11)

            assert (await changes.next()).status is Status.PAID


@with_intervals(node_page=2, quiet_seconds=0)
async def test_a_long_catch_up_logs_its_progress(
    till: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log event has the rate."""
    async with simulated_node(tmp_path) as lightningd:
        invoices = [await till.create() for _ in range(5)]
        for invoice in invoices:
            await lightningd.pay(invoice.bolt11)

        async with till.following():
            await till.followed(invoices[0].node_id, 5)

    told = [line for line in capsys.readouterr().out.splitlines() if "catching up" in line]
    assert len(told) == 2
    assert "done=2" in told[0]
    assert "of=5" in told[0]
    assert "per_second=" in told[0]


async def test_an_invoice_deleted_at_the_node_is_canceled_at_once(till: Parts, tmp_path: Path) -> None:
    """Its watchers are notified. Paid and expired invoices keep their state."""
    async with simulated_node(tmp_path) as lightningd, till.following() as follower:
        await eventually(lambda: follower.deletions.is_following)
        kept, paid, short = await till.create(), await till.create(), await till.create(expiry=1)
        for invoice in (paid, short):
            with till.hub.subscribe(invoice.invoice_id) as changes:
                if invoice is paid:
                    await lightningd.pay(invoice.bolt11)
                await changes.next()
        gone = [await till.create() for _ in range(3)]
        for invoice in (paid, short, *gone):
            with till.hub.subscribe(invoice.invoice_id) as changes:
                status = await till.status(invoice)
                await till.node.call("delinvoice", {"label": invoice.invoice_id, "status": status})
                if invoice in gone:
                    assert (await changes.next()).status is Status.CANCELED

        assert [await till.status(each) for each in (kept, paid, short)] == [
            Status.UNPAID, Status.PAID, Status.EXPIRED
        ]  # fmt: skip
        assert (await till.store.totals()).open_invoices == 1


async def test_a_burst_of_deletions_is_described_by_the_node(till: Parts, tmp_path: Path) -> None:
    """Cancellations that run concurrently must not look up all open invoices, again and again."""
    async with simulated_node(tmp_path), till.following():
        first, *others = [await till.create() for _ in range(41)]
        with till.hub.subscribe(first.invoice_id) as changes:
            await till.node.call("delinvoice", {"label": first.invoice_id, "status": "unpaid"})
            # Now the waits for the next deletions are in flight.
            assert (await changes.next()).status is Status.CANCELED
        till.node.find_by_payment_hash = None  # type: ignore[assignment,method-assign]
        with till.hub.subscribe(others[29].invoice_id) as changes:
            await asyncio.gather(
                *(
                    till.node.call("delinvoice", {"label": invoice.invoice_id, "status": "unpaid"})
                    for invoice in others[:30]
                )
            )
            assert (await changes.next()).status is Status.CANCELED

        assert (await till.store.totals()).open_invoices == 10


async def test_many_deletions_are_found_by_looking_up_all_open_invoices(till: Parts, tmp_path: Path) -> None:
    """Also those during a stop of Till, which lightningd does not describe."""
    async with simulated_node(tmp_path):
        early, kept = [await till.create() for _ in range(120)], await till.create()
        for invoice in early[:60]:
            await till.node.call("delinvoice", {"label": invoice.invoice_id, "status": "unpaid"})
        async with till.following() as follower:
            await eventually(lambda: follower.deletions.is_following and not follower.deletions.lag)
            assert (await till.store.totals()).open_invoices == 61
            with till.hub.subscribe(early[-1].invoice_id) as changes:
                await asyncio.gather(
                    *(
                        till.node.call("delinvoice", {"label": invoice.invoice_id, "status": "unpaid"})
                        for invoice in early[60:]
                    )
                )
                assert (await changes.next()).status is Status.CANCELED
            async with asyncio.timeout(5):
                while (await till.store.totals()).open_invoices > 1:
                    await asyncio.sleep(0.01)

        assert await till.status(kept) is Status.UNPAID
        cursor = await NodeStore(till.store).updated_index(kept.node_id, "deleted invoices")
        assert cursor == 120 == await till.node.latest("deleted")
