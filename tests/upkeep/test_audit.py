"""The doctor finds differences between store and node, and settles what the node knows."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.nodes import SimulatedNode, simulated_node
from tests.support.samples import DAKK, an_invoice, an_order, expired, paid
from tests.support.till import CALM, Parts
from tilld.event_log.entry import Bounds
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.lightningd import Listed
from tilld.invoices.totals import Totals
from tilld.lightningd.rpc import Pipeline
from tilld.storage.statements import Bound
from tilld.upkeep.audit import LOOKS, Doctor, Report

PAGES = CALM._replace(settling_seconds=0, looked_up_at_once=2, node_page=3, store_page=2)


@pytest.fixture
async def till(tmp_path: Path, database_url: str) -> AsyncIterator[Parts]:
    till = Parts(tmp_path, database_url, intervals=PAGES)
    yield till
    await till.close()


@pytest.fixture
async def lightningd(tmp_path: Path) -> AsyncIterator[SimulatedNode]:
    async with simulated_node(tmp_path) as lightningd:
        yield lightningd


async def examine(till: Parts, *, repair: bool = False) -> Report:
    return await Doctor(till.store, till.node, PAGES).examine(repair=repair)


async def damage(till: Parts, statement: str) -> None:
    """Run a statement that only a corrupted store would see."""
    await till.store.write(lambda do: do.execute(Bound(statement)))


def found(report: Report) -> dict[str, str]:
    """Return the differences, by label."""
    return {each.label: each.what for each in report.differences}


async def test_without_differences_the_report_has_the_range_examined(
    till: Parts, lightningd: SimulatedNode
) -> None:
    """Reads in pages, and ignores invoices that other programs made."""
    rpc = Pipeline(str(lightningd.rpc_file), 10)
    await lightningd.pay((await rpc.invoice(1000, "foreign", "not ours"))["bolt11"])
    await rpc.hang_up()
    invoices = [await till.create() for _ in range(7)]
    async with till.following():
        await lightningd.pay(invoices[3].bolt11)
        await till.followed(invoices[0].node_id, 2)

    report = await examine(till)

    assert report.is_clean
    assert (report.node_id, report.created_index) == (invoices[0].node_id, 8)
    assert (report.updated_index, report.followed) == (2, 2)
    assert (report.invoices, report.first, report.last) == (
        7, invoices[0].created_at, invoices[-1].created_at
    )  # fmt: skip
    assert (report.deleted, report.of_other_nodes, report.settled) == (0, 0, [])


async def test_payments_that_the_node_knows_are_settled_with_repair(
    till: Parts, lightningd: SimulatedNode
) -> None:
    """Includes invoices that the store had already marked as expired; afterwards no difference is left."""
    open_here, over_here, fine = [await till.create() for _ in range(3)]
    await till.store.settle(over_here.node_id, [expired(over_here)])
    for invoice in (open_here, over_here):
        await lightningd.pay(invoice.bolt11)

    report = await examine(till)

    assert found(report) == {
        open_here.invoice_id: "unpaid here, paid at the node",
        over_here.invoice_id: "expired here, paid at the node",
    }
    assert await till.status(open_here) is Status.UNPAID

    repaired = await examine(till, repair=True)

    assert repaired.is_clean
    assert {each.invoice_id for each in repaired.settled} == {open_here.invoice_id, over_here.invoice_id}
    assert [await till.status(each) for each in (open_here, over_here, fine)] == [
        Status.PAID, Status.PAID, Status.UNPAID
    ]  # fmt: skip
    assert await till.store.totals() == Totals(3, 1, 10_000)
    # A repair is an event, too.
    entries = (await till.log.page("dakk", 3, 10)).entries
    assert [(each.type, each.subject) for each in entries[:1]] == [("invoice.expired", over_here.invoice_id)]
    assert sorted((each.type.value, each.subject) for each in entries[1:]) == sorted(
        ("invoice.paid", each.invoice_id) for each in (open_here, over_here)
    )


async def test_differences_that_cannot_be_repaired_are_reported_and_left_alone(
    till: Parts, lightningd: SimulatedNode
) -> None:
    """A payment that the node does not have, a deleted invoice, and a label with another payment request."""
    not_paid, gone, other = [await till.create() for _ in range(3)]
    await till.store.settle(not_paid.node_id, [paid(not_paid)])
    await till.node.rpc.delinvoice(gone.invoice_id, "unpaid")
    await damage(till, f"UPDATE invoices SET amount_msat = 1 WHERE invoice_id = '{other.invoice_id}'")

    report = await examine(till, repair=True)

    assert found(report) == {
        not_paid.invoice_id: "paid here, unpaid at the node",
        gone.invoice_id: "unpaid here, not at the node",
        other.invoice_id: "another payment request at the node",
    }
    assert await till.status(not_paid) is Status.PAID


async def test_a_paid_invoice_missing_in_the_store_is_a_difference(
    till: Parts, lightningd: SimulatedNode
) -> None:
    """Made by a lost store or another Till. An unpaid one may be left by a crash, for a retry to adopt."""
    orders = [an_order(label="order-1"), an_order(label="order-2")]
    issued = [await till.node.invoice(order.invoice_id("dakk", b"another"), order) for order in orders]
    assert (await examine(till)).is_clean
    await lightningd.pay(issued[0].bolt11)

    report = await examine(till)

    assert not report.is_clean
    assert [each.issued.payment_hash for each in report.missing] == [issued[0].payment_hash]
    assert report.unpaid == 1


async def test_deleted_invoices_and_those_of_other_nodes_are_counted(
    till: Parts, lightningd: SimulatedNode
) -> None:
    """Settled invoices that were deleted at the node, and invoices of an earlier node."""
    kept, deleted = await till.create(), await till.create()
    async with till.following():
        await lightningd.pay(deleted.bolt11)
        await till.followed(kept.node_id, 1)
    await till.node.rpc.delinvoice(deleted.invoice_id, "paid")
    await till.store.add(an_invoice())

    report = await examine(till)

    assert report.is_clean
    assert (report.invoices, report.deleted, report.of_other_nodes) == (2, 1, 1)


async def test_wrong_totals_are_recounted_with_repair(till: Parts, lightningd: SimulatedNode) -> None:
    invoice = await till.create()
    await lightningd.pay(invoice.bolt11)
    await examine(till, repair=True)
    await damage(till, "UPDATE tallies SET volume_msat = 7")

    report = await examine(till)

    assert not report.is_clean
    assert (report.totals, report.counted) == (
        {DAKK.creator: Totals(1, 0, 7)},
        {DAKK.creator: Totals(1, 0, 5000)},
    )
    assert (await examine(till, repair=True)).is_clean
    assert await till.store.totals() == Totals(1, 0, 5000)


async def test_invoices_settled_by_a_running_till_are_no_difference(
    till: Parts, lightningd: SimulatedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invoice that is paid after the store was read, and before the node is asked, is examined again."""
    invoice = await till.create()
    await lightningd.pay(invoice.bolt11)
    pages = till.store.pages

    async def meanwhile() -> AsyncIterator[tuple[list[Invoice], int]]:
        async with till.following():
            await till.followed(invoice.node_id, 1)
        async for page in pages():
            yield page

    monkeypatch.setattr(till.store, "pages", meanwhile)

    assert (await examine(till)).is_clean


@pytest.mark.parametrize("repair", [False, True])
async def test_a_payment_during_the_examination_is_no_difference(
    till: Parts, lightningd: SimulatedNode, monkeypatch: pytest.MonkeyPatch, repair: bool
) -> None:
    """The invoice is created after the listing, and paid between the reads of node and store."""
    invoices = [await till.create()]
    stored = till.store.get_by_payment_hashes
    pays: list[Invoice] = []

    async def paid_meanwhile(hashes: Sequence[str]) -> list[Invoice]:
        if pays:
            async with till.following():
                await lightningd.pay(pays.pop().bolt11)
                await till.followed(invoices[0].node_id, 1)
        return await stored(hashes)

    pages = till.store.pages

    async def ordered_meanwhile() -> AsyncIterator[tuple[list[Invoice], int]]:
        if len(invoices) == 1:
            invoices.append(await till.create())
            pays.append(invoices[1])
        async for page in pages():
            yield page

    monkeypatch.setattr(till.store, "pages", ordered_meanwhile)
    monkeypatch.setattr(till.store, "get_by_payment_hashes", paid_meanwhile)

    report = await examine(till, repair=repair)

    assert not pays
    assert (report.is_clean, report.settled) == (True, [])


@pytest.mark.parametrize("repair", [False, True])
async def test_many_differences_are_listed_in_pages_not_looked_up_singly(
    till: Parts, lightningd: SimulatedNode, monkeypatch: pytest.MonkeyPatch, repair: bool
) -> None:
    """Paid and deleted invoices: the number of calls depends on the pages, not on the differences."""
    invoices = [await till.create() for _ in range(12)]
    for invoice in invoices[:7]:
        await lightningd.pay(invoice.bolt11)
    for invoice in invoices[7:]:
        await till.node.rpc.call("delinvoice", {"label": invoice.invoice_id, "status": "unpaid"})
    pages = 0
    read = till.node.invoices

    async def counted(after: int) -> Listed:
        nonlocal pages
        pages += 1
        return await read(after)

    monkeypatch.setattr(till.node, "invoices", counted)
    monkeypatch.setattr(till.node, "find_by_payment_hash", None)

    report = await examine(till, repair=repair)

    lost = {each.invoice_id: "unpaid here, not at the node" for each in invoices[7:]}
    waiting = {each.invoice_id: "unpaid here, paid at the node" for each in invoices[:7]}
    assert found(report) == (lost if repair else lost | waiting)
    assert {each.invoice_id for each in report.settled} == (set(waiting) if repair else set())
    # Pages of at most three invoices, and an empty one at the end.
    assert pages == 4 * (1 + LOOKS)


async def test_preimages_that_an_earlier_version_did_not_store_are_added(
    till: Parts, lightningd: SimulatedNode
) -> None:
    """They are no difference: each payment is stored."""
    invoices = [await till.create() for _ in range(5)]
    async with till.following():
        for invoice in invoices[:4]:
            await lightningd.pay(invoice.bolt11)
        await till.followed(invoices[0].node_id, 4)
    settled = await till.store.get(invoices[0].invoice_id)
    await damage(till, f"UPDATE invoices SET payment_preimage = NULL WHERE id != '{invoices[3].id}'")

    before = await examine(till)
    repaired = await examine(till, repair=True)

    assert (before.is_clean, before.without_preimage) == (True, 3)
    assert (repaired.is_clean, repaired.without_preimage) == (True, 3)
    assert (await examine(till)).without_preimage == 0
    assert await till.store.get(invoices[0].invoice_id) == settled
    assert settled
    assert settled.payment
    preimage = settled.payment.payment_preimage or ""
    assert sha256(bytes.fromhex(preimage)).hexdigest() == settled.payment_hash


async def logs(till: Parts) -> Report:
    """Add three events for each of two users, remove the first one, and examine."""
    for username in ("dakk", "shop") * 3:
        await till.store.add(an_invoice(username))
    till.store.removal_batch = 1
    assert await till.log.remove(datetime.max.replace(tzinfo=UTC)) == 1
    return await examine(till)


async def test_the_event_logs_are_complete(till: Parts, lightningd: SimulatedNode) -> None:
    """Also without the removed events, and without any."""
    assert (await examine(till)).is_clean

    report = await logs(till)

    assert report.is_clean
    assert [(each.username, each.expected, each.found, each.events) for each in report.logs] == [
        ("", Bounds(6, 1), Bounds(6, 1), 5),
        ("dakk", Bounds(3, 1), Bounds(3, 1), 2),
        ("shop", Bounds(3, 0), Bounds(3, 0), 3),
    ]
    till.store.removal_batch = 10
    await till.log.remove(datetime.max.replace(tzinfo=UTC))
    assert (await examine(till)).is_clean


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "DELETE FROM events WHERE username = 'shop' AND sequence = 2",
            [
                "the event log of all users should have the events 2 to 6, and has 4: 2 to 6",
                "the event log of shop should have the events 1 to 3, and has 2: 1 to 3",
            ],
        ),
        (
            "UPDATE event_logs SET sequence = 4 WHERE username = 'shop'",
            ["the event log of shop should have the events 1 to 4, and has 3: 1 to 3"],
        ),
        (
            "DELETE FROM event_logs WHERE username = 'shop'",
            ["the event log of shop should have the events none, and has 3: 1 to 3"],
        ),
        (
            "UPDATE event_logs SET removed = 0 WHERE username = 'dakk'",
            ["the event log of dakk should have the events 1 to 3, and has 2: 2 to 3"],
        ),
    ],
)
async def test_a_missing_event_is_a_difference_that_no_repair_removes(
    till: Parts, lightningd: SimulatedNode, statement: str, found: list[str]
) -> None:
    """An invented event would be no better than a gap that readers notice."""
    assert (await logs(till)).is_clean
    await damage(till, statement)

    for repair in (False, True):
        report = await examine(till, repair=repair)

        assert not report.is_clean
        assert [str(each) for each in report.incomplete_logs] == found
