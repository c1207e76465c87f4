"""Old invoices without a payment are removed; everything that was paid stays, and so do the totals."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.nodes import simulated_node
from tests.support.samples import DAKK, NODE_ID, NOON, an_invoice, expired, paid
from tests.support.till import CALM, Parts
from tilld.formats.members import Member
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status
from tilld.invoices.totals import Totals
from tilld.lists.repository import ListStore
from tilld.lists.terms import InvoiceFilter, ListTerms
from tilld.upkeep.audit import Doctor
from tilld.upkeep.importer import Importing
from tilld.upkeep.retention import Retention

DAYS = 30
METADATA = '{"type":"shop","order_id":"1234"}'


@pytest.fixture
async def till(tmp_path: Path, database_url: str) -> AsyncIterator[Parts]:
    till = Parts(tmp_path, database_url, intervals=CALM._replace(removal_batch=2, removal_pause_seconds=0))
    yield till
    await till.close()


def removal(till: Parts, after: timedelta) -> Retention:
    return Retention(till.store, DAYS, lambda: NOON + timedelta(days=DAYS) + after, till.intervals)


async def one_of_each(till: Parts) -> dict[Status, Invoice]:
    """Add invoices that expire at noon, one in each state, and return them."""
    invoices = {
        status: await till.store.add(an_invoice(label=f"order-{status}")._replace(metadata=METADATA))
        for status in Status
    }
    canceled = InvoiceUpdate(invoices[Status.CANCELED].payment_hash, Status.CANCELED, None)
    await till.store.settle(
        NODE_ID, [paid(invoices[Status.PAID]), expired(invoices[Status.EXPIRED]), canceled]
    )
    return invoices


async def test_only_ended_invoices_are_removed_when_their_time_is_over(till: Parts) -> None:
    invoices = await one_of_each(till)
    before = await till.store.totals()

    assert await removal(till, timedelta(0)).remove() == 0
    assert await removal(till, timedelta(seconds=1)).remove() == 2
    assert await removal(till, timedelta(days=9999)).remove() == 0

    left = {status for status, each in invoices.items() if await till.store.get(each.invoice_id)}
    assert left == {Status.PAID, Status.UNPAID}
    assert await till.store.totals() == before == Totals(4, 1, 5000)
    stored, counted = await till.store.audit()
    assert stored == counted


async def test_a_removed_invoice_is_in_no_index(till: Parts) -> None:
    await one_of_each(till)
    await removal(till, timedelta(seconds=1)).remove()

    for wanted in (InvoiceFilter(), InvoiceFilter(member=Member("order_id", "1234"))):
        found, _ = await ListStore(till.store).page("dakk", ListTerms.checked(wanted), None)
        assert {each.status for each in found} == {Status.PAID, Status.UNPAID}
    [(members,)] = till.store.database.execute_sql("SELECT COUNT(*) FROM invoice_members").fetchall()
    assert members == 2


async def test_many_are_removed_in_batches(till: Parts) -> None:
    """Across creators; a recount of the totals includes the removed ones."""
    for number in range(7):
        invoice = await till.store.add(an_invoice("dakk" if number % 2 else "shop"))
        await till.store.settle(NODE_ID, [expired(invoice)])

    assert await removal(till, timedelta(days=1)).remove() == 7

    await till.store.recount()
    assert await till.store.totals() == Totals(7, 0, 0)
    assert await till.store.totals("dakk") == Totals(3, 0, 0)


async def test_the_doctor_misses_no_removed_invoice_and_an_import_brings_none_back(
    till: Parts, tmp_path: Path
) -> None:
    """The node still has them."""
    async with simulated_node(tmp_path):
        async with till.following():
            invoice = await till.create(expiry=1)
            with till.hub.subscribe(invoice.invoice_id) as changes:
                assert (await changes.next()).status is Status.EXPIRED
        later = invoice.expires_at + timedelta(days=DAYS, seconds=1)
        assert await Retention(till.store, DAYS, lambda: later, till.intervals).remove() == 1

        assert (await Doctor(till.store, till.node, till.intervals).examine(repair=False)).is_clean
        again = Importing(
            till.store,
            till.node,
            DAKK.username,
            "shop",
            lost_store=True,
            expired_since=Retention.beginning(DAYS, lambda: later),
        )
        await again.run()
        assert (again.imported.added, again.imported.passed_over) == (0, 1)
        assert await till.store.totals() == Totals(1, 0, 0)
