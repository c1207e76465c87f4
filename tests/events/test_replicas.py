"""The event log of several processes on one database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.support.event_log import all_entries
from tests.support.samples import DAKK, NODE_ID, an_invoice, paid
from tests.support.till import Parts
from tilld.events.terms import EventTerms, Place

WRITERS, INVOICES = 3, 60


@pytest.fixture
async def tills(tmp_path: Path, database_url: str) -> AsyncIterator[list[Parts]]:
    """Tills with connections and threads of their own, as in several processes."""
    tills = [Parts(tmp_path, database_url) for _ in range(WRITERS)]
    yield tills
    for till in tills:
        await till.close()


async def write(till: Parts, username: str) -> None:
    """Create invoices one after the other, and settle each."""
    for _ in range(INVOICES):
        invoice = await till.store.add(an_invoice(username))
        await till.store.settle(NODE_ID, [paid(invoice)])


@pytest.mark.parametrize("username", ["", "dakk"])
async def test_commits_have_the_order_of_sequences(tills: list[Parts], username: str) -> None:
    """A reader that continues after the last event it has seen never skips one that commits later."""
    seen: list[int] = []

    async def read() -> None:
        while True:
            page = await tills[0].log.page(username, seen[-1] if seen else 0, 1000)
            seen.extend(each.sequence if username else each.position for each in page.entries)
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    # Two of three write to one log.
    await asyncio.gather(*map(write, tills, ["dakk", "another", "dakk"]))
    total = len(await all_entries(tills[1].store, username))
    async with asyncio.timeout(10):
        while len(seen) < total:
            await asyncio.sleep(0)
    reading.cancel()

    assert total == (4 if username else 6) * INVOICES
    assert seen == list(range(1, total + 1))


async def test_a_payment_settled_by_two_replicas_is_one_event(tills: list[Parts]) -> None:
    invoices = [await tills[0].store.add(an_invoice()) for _ in range(20)]
    for invoice in invoices:
        await asyncio.gather(*(till.store.settle(NODE_ID, [paid(invoice)]) for till in tills))

    types = [each.type for each in await all_entries(tills[0].store)]

    assert types == ["invoice.created"] * 20 + ["invoice.paid"] * 20


async def test_readers_at_the_other_replicas_are_told(tills: list[Parts]) -> None:
    """Readers of events of a create, which the node reports to nobody; watchers of the invoice's end.

    They ask twice a second; the time-outs leave room for a busy machine.
    """
    assert tills[1].intervals.log_seconds <= 0.5
    writer, reader = tills[:2]
    invoice = await writer.store.add(an_invoice())
    watch = reader.invoicing.watch(DAKK, invoice.invoice_id)
    terms = EventTerms.checked(Place.NOW)
    async with reader.reading_events(), aclosing(reader.events.watch(DAKK, terms, 3600)) as pages:
        await anext(pages)
        await anext(watch)
        async with asyncio.timeout(10):
            created = await writer.store.add(an_invoice())
            [event] = (await anext(pages)).events
        async with asyncio.timeout(10):
            await writer.store.settle(NODE_ID, [paid(invoice)])
            ended = await anext(watch)

    assert event.data == created
    assert ended == invoice.updated(paid(invoice))
