"""Old events and old invoices without a payment are removed; paid invoices and the totals stay."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.nodes import simulated_node
from tests.support.plans import plan
from tests.support.samples import DAKK, NODE_ID, NOON, an_invoice, expired, paid
from tests.support.shop import config
from tests.support.till import CALM, Parts
from tilld.app import Till
from tilld.event_log.entry import ALL_USERS, Bounds
from tilld.event_log.repository import EventLog
from tilld.event_log.sql import EventSQL
from tilld.formats.members import Member
from tilld.formats.times import milliseconds
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status
from tilld.invoices.repository import Store
from tilld.invoices.sql import InvoiceSQL
from tilld.invoices.totals import Totals
from tilld.lists.repository import ListStore
from tilld.lists.terms import InvoiceFilter, ListTerms
from tilld.storage.database import open_database
from tilld.storage.statements import Bound
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
    """Return the removal of unpaid invoices, so long after the end of their days."""
    later = NOON + timedelta(days=DAYS) + after
    return Retention("unpaid invoices", till.store.remove_unpaid, DAYS, lambda: later, till.intervals)


def removal_of_events(till: Parts, now: datetime) -> Retention:
    return Retention("events", till.log.remove, DAYS, lambda: now, till.intervals)


async def forget(till: Parts) -> None:
    """Remove all events."""
    while await till.log.remove(datetime.max.replace(tzinfo=UTC)):
        pass


async def execute(store: Store, statement: str) -> None:
    """Run a statement."""
    await store.write(lambda do: do.execute(Bound(statement)))


async def record(till: Parts, *times: datetime) -> None:
    """Set the times at which the events were recorded."""
    for position, time in enumerate(times, 1):
        set_time = f"UPDATE events SET recorded_at = {milliseconds(time)}"
        await execute(till.store, f"{set_time} WHERE position = {position}")


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
    await forget(till)
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
    await forget(till)
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
    await forget(till)

    assert await removal(till, timedelta(days=1)).remove() == 7

    await till.store.recount()
    assert await till.store.totals() == Totals(7, 0, 0)
    assert await till.store.totals("dakk") == Totals(3, 0, 0)


async def test_an_invoice_stays_while_its_end_is_in_the_log(till: Parts) -> None:
    """The event has only a reference to it. Events of its creation come first, and go first."""
    invoices = await one_of_each(till)
    late = await till.store.add(an_invoice())
    await till.store.settle(NODE_ID, [expired(late)])
    always = timedelta(days=9999)
    page = await till.log.page("dakk", 0, 100)
    assert [each.type for each in page.entries] == [
        *["invoice.created"] * 4, "invoice.paid", "invoice.expired", "invoice.canceled",
        "invoice.created", "invoice.expired",
    ]  # fmt: skip
    left = []

    for _ in range(5):
        assert await till.log.remove(datetime.max.replace(tzinfo=UTC))
        removed = await removal(till, always).remove()
        left.append((removed, (await till.log.bounds("dakk")).removed))

    assert left == [(0, 2), (0, 4), (1, 6), (1, 8), (1, 9)]
    assert await till.store.get(invoices[Status.PAID].invoice_id)
    assert await till.store.get(late.invoice_id) is None


async def test_an_invoice_that_expired_long_before_its_event_stays(till: Parts) -> None:
    """Till was offline when it expired: the oldest event that is left is younger than the expiry."""
    await till.store.settle(NODE_ID, [expired(await till.store.add(an_invoice()))])
    await record(till, NOON + timedelta(days=1), NOON + timedelta(days=1))

    assert await removal(till, timedelta(days=9999)).remove() == 0


async def test_old_events_are_removed_from_the_front(till: Parts) -> None:
    """Those behind a younger one stay even if the clock was set back, so that no sequence is missing."""
    for username in ("dakk", "shop", "dakk", "dakk", "shop"):
        await till.store.add(an_invoice(username))
    old, young = NOON - timedelta(milliseconds=1), NOON
    await record(till, old, old, old, young, old)
    now = NOON + timedelta(days=DAYS)

    assert await removal_of_events(till, now).remove() == 3
    assert await removal_of_events(till, now).remove() == 0

    names = (ALL_USERS, "dakk", "shop")
    assert [await till.log.bounds(each) for each in names] == [Bounds(5, 3), Bounds(3, 2), Bounds(2, 1)]
    pages = [await till.log.page(each, (await till.log.bounds(each)).removed, 10) for each in names]
    assert [(page.first, page.last, len(page.entries)) for page in pages] == [(4, 5, 2), (3, 3, 1), (2, 2, 1)]


async def test_replicas_remove_each_event_once(till: Parts, tmp_path: Path, database_url: str) -> None:
    """While others are recorded."""
    another = Parts(tmp_path, database_url, intervals=till.intervals)
    for _ in range(9):
        await till.store.add(an_invoice())
    await record(till, *[NOON] * 9)
    now = NOON + timedelta(days=DAYS, seconds=1)

    adding = asyncio.gather(*(each.store.add(an_invoice()) for each in (till, another) * 5))

    removed = await asyncio.gather(*(removal_of_events(each, now).remove() for each in (till, another)))

    await adding
    assert sum(removed) == 9
    assert await till.log.bounds("dakk") == Bounds(19, 9)
    assert all(each.is_complete for each in await till.log.audit())
    await another.close()


async def test_all_events_may_go_and_sequences_go_on(till: Parts) -> None:
    await till.store.add(an_invoice())
    await forget(till)

    await till.store.add(an_invoice())

    assert await till.log.bounds("dakk") == Bounds(2, 1)
    assert [(each.position, each.sequence) for each in (await till.log.page("dakk", 1, 10)).entries] == [
        (2, 2)
    ]


async def test_till_removes_events_after_thirty_days(tmp_path: Path, database_url: str) -> None:
    """The default; younger events stay."""
    store = Store(open_database(database_url))
    log = EventLog(store)
    for days in (31, 31, 29):
        await store.add(an_invoice())
        last = (await log.bounds(ALL_USERS)).newest
        set_time = f"UPDATE events SET recorded_at = recorded_at - {days * 86_400_000}"
        await execute(store, f"{set_time} WHERE position = {last}")

    async with Till(config(tmp_path, database=database_url, no_rest=True)), asyncio.timeout(10):
        while (await log.bounds(ALL_USERS)).removed < 2:
            await asyncio.sleep(0.01)

    assert await log.bounds("dakk") == Bounds(3, 2)
    await store.close()


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
        await forget(till)
        assert await till.store.remove_unpaid(later - timedelta(days=DAYS)) == 1

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


# Ended invoices in the order of their expiry; each but the first thousand has its end in the log.
INVOICES = """INSERT INTO invoices (id, invoice_id, username, key_id, metadata, type, node_id, payment_hash,
    bolt11, created_at, expires_at, status)"""
EVENTS = "INSERT INTO events SELECT i, 'another', i, 'evt_' || i, 'invoice.expired',"
SERIES = "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 30000)"
MANY = {
    False: f"""{INVOICES} SELECT lpad(to_hex(i), 24, '0'), lpad(i::text, 21, '0'), 'another', '', '', 'shop',
        '', lpad(i::text, 64, '0'), 'lnbc', i, i, 'expired' FROM generate_series(1, 30000) AS i;
    {EVENTS} lpad(i::text, 21, '0'), '', i * 1000::bigint FROM generate_series(1001, 30000) AS i;
    ANALYZE""",
    True: f"""{SERIES} {INVOICES} SELECT printf('%024x', i), printf('%021d', i), 'another', '', '', 'shop',
        '', printf('%064d', i), 'lnbc', i, i, 'expired' FROM numbers;
    {SERIES} {EVENTS} printf('%021d', i), '', i * 1000 FROM numbers WHERE i > 1000;
    ANALYZE""",
}


async def test_removals_read_no_whole_table(till: Parts) -> None:
    """Nor the invoices whose end is in the log, which may be nearly all."""
    for statement in MANY[till.store.is_local].split(";"):
        await execute(till.store, statement)
    events, invoices = EventSQL(till.store.database), InvoiceSQL(till.store.database)

    for removal_or_read in (
        invoices.remove_unpaid(before=30_000, limit=200),
        events.after_position(after=1000, limit=200),
        events.remove(position=1200),
    ):
        found = await plan(till.store, removal_or_read)
        assert not re.search(r"SCAN|Seq Scan|TEMP B-TREE|Hash (Anti|Left) Join", found), found
    assert await removal(till, timedelta(days=9999)).remove() == 1000
