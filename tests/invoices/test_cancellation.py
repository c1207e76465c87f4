"""A canceled invoice cannot be paid, and a paid one cannot be canceled."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.nodes import SimulatedNode, simulated_node
from tests.support.samples import DAKK, an_order
from tests.support.till import CALM, Parts
from tests.support.waiting import eventually
from tilld.auth.caller import Caller
from tilld.errors import Conflict, NodeOffline, NotFound, OperatorError
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.totals import Totals
from tilld.lightningd.rpc import Pipeline
from tilld.upkeep.importer import Importing

# The races of one test run. CANCEL_RACES=10000 takes minutes.
RACES = int(os.environ.get("CANCEL_RACES", "100"))


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[Parts]:
    till = Parts(tmp_path, intervals=CALM)
    yield till
    await till.close()


@pytest.fixture
async def lightningd(tmp_path: Path) -> AsyncIterator[SimulatedNode]:
    async with simulated_node(tmp_path) as lightningd:
        yield lightningd


@pytest.fixture
async def rpc(lightningd: SimulatedNode) -> AsyncIterator[Pipeline]:
    """A connection to the node, as another program has it."""
    rpc = Pipeline(str(lightningd.rpc_file), 10)
    yield rpc
    await rpc.hang_up()


async def rows(rpc: Pipeline, invoice: Invoice) -> list[Any]:
    """Return the node's rows of an invoice."""
    found: list[Any] = (await rpc.listinvoices(payment_hash=invoice.payment_hash))["invoices"]
    return found


async def test_a_canceled_invoice_is_gone_at_the_node_and_stays_in_the_store(
    till: Parts, rpc: Pipeline
) -> None:
    """A second cancel succeeds, watchers are notified, and the label returns the canceled invoice."""
    order = an_order(label="order-1")
    invoice = (await till.invoicing.create(DAKK, order)).invoice
    watch = till.invoicing.watch(DAKK, invoice.invoice_id)
    await anext(watch)

    async with till.reading_events():
        canceled = await till.invoicing.cancel(DAKK, invoice.invoice_id)

        assert canceled == invoice._replace(status=Status.CANCELED) == await anext(watch)
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
    assert await rows(rpc, invoice) == []
    assert await till.invoicing.cancel(DAKK, invoice.invoice_id) == canceled
    assert (await till.invoicing.create(DAKK, order)).invoice == canceled
    assert await till.store.totals() == Totals(1, 0, 0)
    assert await till.store.cancellations(invoice.node_id) == []


async def test_a_paid_or_expired_invoice_cannot_be_canceled(till: Parts, lightningd: SimulatedNode) -> None:
    """Also if Till has not settled the payment yet. The error names the state."""
    paid, short = await till.create(), await till.create(expiry=1)
    await lightningd.pay(paid.bolt11)

    with pytest.raises(Conflict, match="the invoice is paid and cannot be canceled"):
        await till.invoicing.cancel(DAKK, paid.invoice_id)
    assert await till.status(paid) is Status.PAID
    async with till.following():
        with till.hub.subscribe(short.invoice_id) as changes:
            await changes.next()
    with pytest.raises(Conflict, match="the invoice is expired and cannot be canceled"):
        await till.invoicing.cancel(DAKK, short.invoice_id)


@pytest.mark.parametrize(
    "caller",
    [
        replace(DAKK, username="other"),
        replace(DAKK, type="other"),
        replace(DAKK, invoice_id="~" * 21),
    ],
)
async def test_only_who_sees_an_invoice_can_cancel_it(till: Parts, rpc: Pipeline, caller: Caller) -> None:
    invoice = await till.create()

    with pytest.raises(NotFound):
        await till.invoicing.cancel(caller, invoice.invoice_id)
    for nothing in ("", "~" * 21, "x", "é"):
        with pytest.raises(NotFound):
            await till.invoicing.cancel(DAKK, nothing)
    assert len(await rows(rpc, invoice)) == 1


async def test_an_imported_invoice_is_canceled_under_its_own_label(till: Parts, rpc: Pipeline) -> None:
    made = await rpc.invoice(1000, "another application's", "tea")
    await Importing(till.store, till.node, "dakk", "old", lost_store=False).run()
    invoice = await till.store.get_by_payment_hash(made["payment_hash"])
    assert invoice

    assert (await till.invoicing.cancel(DAKK, invoice.invoice_id)).status is Status.CANCELED
    assert await rows(rpc, invoice) == []


async def test_without_the_node_nothing_is_canceled(till: Parts, tmp_path: Path) -> None:
    async with simulated_node(tmp_path):
        invoice = await till.create()
    await eventually(lambda: not till.node.is_connected)

    with pytest.raises(NodeOffline):
        await till.invoicing.cancel(DAKK, invoice.invoice_id)
    assert await till.status(invoice) is Status.UNPAID


@pytest.mark.parametrize("lost", ["request", "reply"])
async def test_a_lost_reply_is_found_out(till: Parts, rpc: Pipeline, lost: str) -> None:
    """The node's state decides, so the cancel succeeds whether its first try arrived or not."""
    invoice = await till.create()
    call, lose = till.node.call, [lost]

    async def losing(method: str, params: dict[str, Any]) -> None:
        if method == "delinvoice" and lose:
            if lose.pop() == "reply":
                await call(method, params)
            raise TimeoutError
        await call(method, params)

    till.node.call = losing  # type: ignore[method-assign]

    assert (await till.invoicing.cancel(DAKK, invoice.invoice_id)).status is Status.CANCELED
    assert await rows(rpc, invoice) == []


@pytest.mark.parametrize("died", ["before", "after"])
async def test_a_cancellation_that_died_is_completed_by_the_nodes_state(
    till: Parts, rpc: Pipeline, died: str
) -> None:
    """Before the node was asked the invoice stays unpaid, afterwards it is canceled."""
    invoice = await till.create()
    await till.store.begin_cancel(invoice)
    if died == "after":
        await rpc.delinvoice(invoice.invoice_id, "unpaid")

    async with till.following() as follower:
        await eventually(lambda: follower.is_following)

        assert await till.store.cancellations(invoice.node_id) == []
        expected = Status.CANCELED if died == "after" else Status.UNPAID
        assert await till.status(invoice) is expected


async def test_an_invoice_is_paid_or_canceled_but_never_both(
    till: Parts, lightningd: SimulatedNode, rpc: Pipeline
) -> None:
    """The node, the store, the payer and the watcher agree after each race.

    In half of the races the first is done before the second begins, so both outcomes occur on any machine.
    """
    outcomes: set[Status] = set()
    async with till.following() as follower:
        await eventually(lambda: follower.is_following and follower.deletions.is_following)
        for number in range(RACES):
            invoice = await till.create()
            watching = asyncio.create_task(last_state(till, invoice))
            racers = [lightningd.pay(invoice.bolt11), till.invoicing.cancel(DAKK, invoice.invoice_id)]
            first, second = racers[:: 1 if number % 2 else -1]
            leader = asyncio.ensure_future(first)
            if number % 4 < 2:
                await asyncio.wait([leader])
            both = await asyncio.gather(leader, second, return_exceptions=True)
            paid, canceled = both[:: 1 if number % 2 else -1]
            watched = await watching
            found = await rows(rpc, invoice)

            outcomes.add(watched.status)
            assert watched == await till.store.get(invoice.invoice_id)
            if watched.status is Status.PAID:
                assert paid is None
                assert isinstance(canceled, Conflict)
                assert [row["status"] for row in found] == ["paid"]
            else:
                assert watched.status is Status.CANCELED
                assert isinstance(paid, OperatorError)
                assert canceled == watched
                assert found == []
    assert outcomes == {Status.PAID, Status.CANCELED}
    stored, counted = await till.store.audit()
    assert stored == counted


async def last_state(till: Parts, invoice: Invoice) -> Invoice:
    """Watch an invoice to its end, and return the last state."""
    states = [state async for state in till.invoicing.watch(DAKK, invoice.invoice_id)]
    return states[-1]
