"""Exports: the invoices of a list as CSV, whole or failed, on every database."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.samples import ANOTHER, DAKK, NOON, PLENTY, an_invoice, paid
from tilld.auth.caller import Caller
from tilld.auth.limits import Limits
from tilld.errors import Internal, PermissionDenied, TooMany, Unavailable
from tilld.invoices.invoice import Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.lists.csv_lines import COLUMNS, CsvPart
from tilld.lists.repository import WALKED_ON_THREADS as WALKED
from tilld.lists.service import InvoiceLists
from tilld.lists.terms import InvoiceFilter, ListTerms, Order, Period
from tilld.storage.database import open_database
from tilld.storage.statements import Bound

GREEDY = replace(DAKK, key_id="greedy")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(open_database(database_url))
    yield store
    await store.close()


@pytest.fixture
def limits() -> Limits:
    return Limits(replace(PLENTY, exports=2))


@pytest.fixture
async def lists(store: Store, limits: Limits, tmp_path: Path) -> AsyncIterator[InvoiceLists]:
    node = InvoiceNode(tmp_path / "rpc")
    yield InvoiceLists(store, node, limits, lambda: NOON - timedelta(minutes=1))
    await node.close()


def terms(order: Order | None = None, **fields: Any) -> ListTerms:
    return ListTerms.checked(InvoiceFilter.checked(**fields), order)


async def rest(exporting: AsyncIterator[CsvPart]) -> list[CsvPart]:
    return [part async for part in exporting]


async def export(lists: InvoiceLists, wanted: ListTerms, caller: Caller = DAKK) -> list[CsvPart]:
    return await rest(lists.export(caller, wanted, UTC))


def ids(parts: list[CsvPart]) -> list[str]:
    """Return the invoices of a file, after checking its header and the counts of its parts."""
    reader = csv.DictReader(io.StringIO("".join(part.text for part in parts), newline=""), strict=True)
    assert tuple(reader.fieldnames or ()) == COLUMNS
    found = [row["invoice_id"] for row in reader]
    assert sum(part.invoices for part in parts) == len(found)
    return found


async def add(store: Store, count: int = 1, **fields: Any) -> list[str]:
    """Add unpaid invoices, one for each second; return their public ids."""
    made = [an_invoice() for _ in range(count)]
    added = await store.adopt(
        [each._replace(id=f"{at:08x}{each.id[8:]}", **fields) for at, each in enumerate(made, 1)]
    )
    return [each.invoice_id for each in sorted(added, key=lambda each: each.id)]


async def test_a_file_has_all_pages(store: Store, lists: InvoiceLists) -> None:
    made = await add(store, 3 * WALKED)
    await store.adopt([an_invoice("another")])

    assert ids(await export(lists, terms())) == made[::-1]
    assert ids(await export(lists, terms(Order.CREATED_ASC))) == made


@pytest.mark.parametrize(
    "wanted",
    [terms(statuses=[Status.PAID]), terms(type="bar"), terms(statuses=[Status.UNPAID], paid=Period(NOON))],
)
async def test_without_invoices_the_file_is_a_header(
    store: Store, lists: InvoiceLists, wanted: ListTerms
) -> None:
    await add(store)

    assert ids(await export(lists, wanted)) == []


async def test_a_filter_may_match_few_rows(store: Store, lists: InvoiceLists) -> None:
    invoices = [an_invoice(label=f"order-{number:03}") for number in range(3 * WALKED)]
    wanted = [invoices[7].updated(paid(invoices[7])), invoices[-1].updated(paid(invoices[-1]))]
    await store.adopt([*invoices[:7], wanted[0], *invoices[8:-1], wanted[1]])

    found = await export(lists, terms(label_prefix="order-", statuses=[Status.PAID]))

    assert ids(found) == [each.invoice_id for each in wanted]


async def test_a_label_selects_one_invoice(store: Store, lists: InvoiceLists) -> None:
    [invoice] = await store.adopt([an_invoice(label="x")])

    assert ids(await export(lists, terms(label="x"))) == [invoice.invoice_id]
    assert ids(await export(lists, terms(label="x"), ANOTHER)) == []


async def test_a_key_exports_its_type(store: Store, lists: InvoiceLists) -> None:
    shop, bar = await add(store), await add(store, type="bar", metadata='{"type":"bar"}')
    of_bar = replace(DAKK, type="bar")

    assert ids(await export(lists, terms(), of_bar)) == bar
    assert ids(await export(lists, terms(type="shop"), of_bar)) == []
    assert ids(await export(lists, terms(type="shop"))) == shop


async def test_a_watch_token_exports_nothing(store: Store, lists: InvoiceLists) -> None:
    [invoice_id] = await add(store)

    with pytest.raises(PermissionDenied, match="watch token"):
        await export(lists, terms(), replace(DAKK, invoice_id=invoice_id))


async def test_invoices_created_and_paid_meanwhile_break_no_file(store: Store, lists: InvoiceLists) -> None:
    """Each invoice of the beginning is in the file once."""
    made = await add(store, 3 * WALKED)
    found: list[CsvPart] = []

    async for part in lists.export(DAKK, terms(Order.CREATED_ASC), UTC):
        found.append(part)
        for each in made[10], made[-10]:
            invoice = await store.get(each)
            assert invoice
            await store.settle(invoice.node_id, [paid(invoice)])
        await add(store)

    assert [each for each in ids(found) if each in made] == made


async def test_exports_of_a_key_are_limited(store: Store, lists: InvoiceLists, limits: Limits) -> None:
    """An export is counted until it ends, fails or is closed; a report counts too."""
    await add(store, 2 * WALKED)
    async with aclosing(lists.export(GREEDY, terms(), UTC)) as first:
        await anext(first)
        second = lists.export(GREEDY, terms(), UTC)
        await anext(second)
        with pytest.raises(TooMany, match=r"too many exports and reports \(2 per key\)"):
            await export(lists, terms(), GREEDY)
        assert len(ids(await export(lists, terms()))) == 2 * WALKED
        await second.aclose()
        assert limits.exports == 1
        await export(lists, terms(), GREEDY)
    assert not limits.busy


async def test_an_unreadable_row_fails_the_file(store: Store, lists: InvoiceLists, limits: Limits) -> None:
    """A file without it would look complete."""
    made = await add(store, 2 * WALKED)
    damage = Bound(f"UPDATE invoices SET expires_at = -1, paid_at = 1 WHERE invoice_id = '{made[0]}'")
    await store.write(lambda do: do.execute(damage))
    exporting = lists.export(DAKK, terms(), UTC)

    assert (await anext(exporting)).text
    with pytest.raises(Internal):
        await rest(exporting)
    assert not limits.busy


async def test_a_store_that_fails_in_the_middle_fails_the_file(
    store: Store, lists: InvoiceLists, limits: Limits
) -> None:
    await add(store, 2 * WALKED)
    exporting = lists.export(DAKK, terms(), UTC)
    await anext(exporting)
    await store.write(lambda do: do.execute(Bound("DROP TABLE invoices")))

    with pytest.raises(Unavailable):
        await rest(exporting)
    assert not limits.busy


async def test_other_calls_have_their_turn(store: Store, lists: InvoiceLists) -> None:
    """Also during an export that finds nothing in many rows."""
    await store.adopt([an_invoice(label=f"x{number}") for number in range(5 * WALKED)])
    wanted = terms(label_prefix="x", statuses=[Status.EXPIRED])
    exporting = asyncio.create_task(export(lists, wanted))
    turns = 0
    while not exporting.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns >= 5
