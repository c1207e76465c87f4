"""Importing adds the node's earlier invoices once, and Till follows them."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Never

import pytest

from tests.support.nodes import SimulatedNode, simulated_node
from tests.support.samples import DAKK, an_order
from tests.support.till import CALM, Parts
from tilld.errors import NodeOffline
from tilld.event_log.entry import Bounds
from tilld.formats.ids import is_invoice_id
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.totals import Totals
from tilld.lightningd.rpc import Pipeline
from tilld.upkeep.importer import Imported, Importing


@pytest.fixture
async def till(tmp_path: Path, database_url: str) -> AsyncIterator[Parts]:
    till = Parts(tmp_path, database_url, intervals=CALM._replace(node_page=3))
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


def importing(till: Parts, *, lost_store: bool = False) -> Importing:
    return Importing(till.store, till.node, "dakk", "imported", lost_store=lost_store)


async def imported(till: Parts, *, lost_store: bool = False) -> Imported:
    """Import everything, and return the counts."""
    work = importing(till, lost_store=lost_store)
    await work.run()
    return work.imported


async def test_foreign_invoices_are_imported(till: Parts, lightningd: SimulatedNode, rpc: Pipeline) -> None:
    """The import keeps label, times, amount and status."""
    unpaid = await rpc.invoice(1000, "order/1", "a coffee", 600)
    any_amount = await rpc.invoice("any", "order/2", "")
    await rpc.invoice(5, "order/3", "é" * 400, deschashonly=True)
    await lightningd.pay(any_amount["bolt11"], 1234)

    done = await imported(till)

    assert done == Imported(created_index=3, added=3, there_before=0, passed_over=0)
    first, second, third = [await till.store.get_by_label("dakk", f"order/{n}") for n in (1, 2, 3)]
    assert first
    assert second
    assert second.payment
    assert third
    assert (first.bolt11, first.payment_hash) == (unpaid["bolt11"], unpaid["payment_hash"])
    assert (first.amount_msat, first.description, first.metadata) == (1000, "a coffee", '{"type":"imported"}')
    assert (first.expires_at - first.created_at).total_seconds() == 600
    assert first.expires_at.timestamp() == unpaid["expires_at"]
    assert (first.status, second.status) == (Status.UNPAID, Status.PAID)
    assert (second.amount_msat, second.payment.amount_received_msat, second.description) == (None, 1234, None)
    assert third.description == "é" * 400
    assert is_invoice_id(first.invoice_id)
    assert await till.store.totals() == Totals(3, 2, 1234)


async def test_a_second_time_changes_nothing(till: Parts, lightningd: SimulatedNode, rpc: Pipeline) -> None:
    """Invoices made by Till stay unchanged too."""
    ours = await till.create(label="order-1")
    for number in range(5):
        await lightningd.pay((await rpc.invoice(1000, f"foreign-{number}", ""))["bolt11"])
    await imported(till)
    before = [page async for page in till.store.pages()], await till.store.totals()

    done = await imported(till)

    assert done == Imported(created_index=6, added=0, there_before=6, passed_over=0)
    assert ([page async for page in till.store.pages()], await till.store.totals()) == before
    assert await till.store.get(ours.invoice_id) == ours


async def test_an_interrupted_import_is_resumed(
    till: Parts, lightningd: SimulatedNode, rpc: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page is stored completely or not at all."""
    for number in range(8):
        await rpc.invoice(1000, f"foreign-{number}", "")
    adopt = till.store.adopt
    pages = []

    async def failing(invoices: Sequence[Invoice]) -> list[Invoice]:
        pages.append(invoices)
        if len(pages) == 2:
            raise NodeOffline
        return await adopt(invoices)

    monkeypatch.setattr(till.store, "adopt", failing)
    work = importing(till)
    with pytest.raises(NodeOffline):
        await work.run()
    monkeypatch.undo()
    assert work.imported == Imported(created_index=3, added=3)

    assert await imported(till) == Imported(created_index=8, added=5, there_before=3)


async def test_an_import_is_one_event(till: Parts, lightningd: SimulatedNode, rpc: Pipeline) -> None:
    """It has the number of imported invoices; what happens to these later has events as usual."""
    first = await rpc.invoice(1000, "foreign-0", "")
    for number in range(1, 8):
        await lightningd.pay((await rpc.invoice(1000, f"foreign-{number}", ""))["bolt11"])

    await imported(till)
    await imported(till)

    assert await events(till) == [("invoices.imported", "8")]
    async with till.following():
        await lightningd.pay(first["bolt11"])
        await till.followed(await till.node.identity(), 8)
    assert await events(till) == [("invoices.imported", "8"), ("invoice.paid", "")]


@pytest.mark.parametrize("seam", ["adopt", "settle", "end_import"])
async def test_an_interrupted_import_is_one_event_with_the_next_run(
    till: Parts, lightningd: SimulatedNode, rpc: Pipeline, monkeypatch: pytest.MonkeyPatch, seam: str
) -> None:
    """It counts the invoices of both runs: readers list them once."""
    for number in range(8):
        await rpc.invoice(1000, f"foreign-{number}", "")
    proceed, calls = getattr(till.store, seam), 0

    async def failing(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2 or seam == "end_import":
            raise NodeOffline
        return await proceed(*given)

    with monkeypatch.context() as patch:
        patch.setattr(till.store, seam, failing)
        with pytest.raises(NodeOffline):
            await imported(till)
    assert await events(till) == []

    await imported(till)

    assert await events(till) == [("invoices.imported", "8")]


async def test_an_import_of_nothing_is_no_event(till: Parts, lightningd: SimulatedNode) -> None:
    await imported(till)

    assert await events(till) == []
    assert await till.log.bounds("dakk") == Bounds()


async def events(till: Parts) -> list[tuple[str, str]]:
    """Return the types and the details of the user's events."""
    return [(each.type.value, each.detail) for each in (await till.log.page("dakk", 0, 100)).entries]


async def test_an_invoice_left_by_a_crash_stays_for_the_retry(till: Parts, lightningd: SimulatedNode) -> None:
    """A retry of the create still gets its invoice; an import before it does not claim the invoice."""
    order = an_order(label="order-1")
    issued = await till.node.invoice(order.invoice_id("dakk", till.store.secret), order)

    await imported(till)
    invoice = (await till.invoicing.create(DAKK, order)).invoice

    assert (invoice.bolt11, invoice.label, invoice.username) == (issued.bolt11, "order-1", "dakk")


async def test_an_interrupted_import_is_settled_by_the_next_run(
    till: Parts, lightningd: SimulatedNode, rpc: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The follower had passed the payment, and no sweep looks at an invoice before its expiry."""
    foreign = await rpc.invoice(1000, "foreign", "")
    adopt = till.store.adopt

    async def paid_and_killed(invoices: Sequence[Invoice]) -> Never:
        await lightningd.pay(foreign["bolt11"])
        await adopt(invoices)
        raise NodeOffline

    monkeypatch.setattr(till.store, "adopt", paid_and_killed)
    with pytest.raises(NodeOffline):
        await imported(till)
    monkeypatch.setattr(till.store, "adopt", adopt)

    await imported(till)

    invoice = await till.store.get_by_label("dakk", "foreign")
    assert invoice
    assert invoice.status is Status.PAID


async def test_imported_invoices_are_followed(till: Parts, lightningd: SimulatedNode, rpc: Pipeline) -> None:
    """A payment reaches store and watcher like any other."""
    foreign = await rpc.invoice(1000, "foreign", "")
    await imported(till)
    invoice = await till.store.get_by_payment_hash(foreign["payment_hash"])
    assert invoice

    async with till.following():
        with till.hub.subscribe(invoice.invoice_id) as changes:
            await lightningd.pay(foreign["bolt11"])

            assert (await changes.next()).status is Status.PAID


async def test_a_payment_in_the_middle_is_not_lost(
    till: Parts, lightningd: SimulatedNode, rpc: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payment comes after the listing, and passes the follower before the store has the invoice."""
    foreign = await rpc.invoice(1000, "foreign", "")
    adopt = till.store.adopt

    async def paid_before(invoices: Sequence[Invoice]) -> list[Invoice]:
        async with till.following():
            await lightningd.pay(foreign["bolt11"])
            await till.followed(await till.node.identity(), 1)
        return await adopt(invoices)

    monkeypatch.setattr(till.store, "adopt", paid_before)
    await imported(till)

    invoice = await till.store.get_by_label("dakk", "foreign")
    assert invoice
    assert invoice.status is Status.PAID
    assert await till.store.totals() == Totals(1, 0, 1000)


async def test_a_lost_store_gets_its_invoices_back_under_their_ids(
    till: Parts, lightningd: SimulatedNode
) -> None:
    """Callers keep these ids; everything else that the store knew is lost."""
    order = an_order(label="order-1", description="a coffee")
    invoice_id = order.invoice_id("dakk", b"the secret of the store that was lost")
    issued = await till.node.invoice(invoice_id, order)

    assert (await imported(till)).passed_over == 1
    assert (await imported(till, lost_store=True)).added == 1

    invoice = await till.store.get(invoice_id)
    assert invoice
    assert (invoice.bolt11, invoice.description, invoice.label) == (issued.bolt11, "a coffee", None)


async def test_invoices_that_the_store_cannot_hold_are_skipped_and_logged(
    till: Parts, lightningd: SimulatedNode, rpc: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    """A label already in use, an amount above the limit, an expiry beyond the calendar."""
    await till.create(label="order-1")
    await rpc.invoice(1000, "order-1", "")
    await rpc.invoice(2**63, "riches", "")
    await rpc.invoice(1000, "patience", "", 2**50)
    await rpc.invoice(1000, "control\ncharacter", "")

    done = await imported(till)

    assert (done.added, done.there_before, done.passed_over) == (1, 1, 3)
    told = capsys.readouterr().out
    assert "label=order-1" in told
    assert "label=riches" in told
    assert told.count("its label is in use in the store") == 1
