"""Lists of invoices: filters, orders, pages, and the indexes that serve them."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, product
from pathlib import Path
from random import Random
from typing import Any

import peewee
import pytest

from tests.support.samples import DAKK, NODE_ID, NOON, an_invoice
from tests.support.till import Parts
from tilld.auth.caller import Caller, Scope
from tilld.errors import InvalidRequest, PermissionDenied, TooLarge
from tilld.formats.ids import internal_id
from tilld.formats.members import Member
from tilld.formats.times import unix_seconds
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Payment, Status
from tilld.lists.sql import ListSQL
from tilld.lists.terms import InvoiceFilter, ListTerms, Order, Period
from tilld.rest_api.schemas import invoice_json

HOUR = timedelta(hours=1)
OTHER = replace(DAKK, username="other")
TYPED = replace(DAKK, type="shop")
PAID = {Status.PAID}
# Steps of query plans that read a whole table, or sort.
READS_ALL = ("SCAN", "USE TEMP B-TREE", "Seq Scan", "Parallel Seq Scan", "Sort  ")
UNPAID = {Status.UNPAID}


@pytest.fixture
async def till(tmp_path: Path, database_url: str) -> AsyncIterator[Parts]:
    till = Parts(tmp_path, database_url)
    yield till
    await till.close()


def an_invoice_at(time: datetime, **fields: Any) -> Invoice:
    """Return an open invoice that was created at a time."""
    metadata = fields.pop("metadata", '{"type":"shop"}')
    kind = "web" if '"web"' in metadata else "shop"
    made = an_invoice(**fields)
    return made._replace(
        id=internal_id(time), created_at=time, expires_at=time + HOUR, metadata=metadata, type=kind
    )


async def settle(till: Parts, invoice: Invoice, status: Status, paid_at: datetime = NOON) -> None:
    """Bring an invoice to a final state."""
    index = int(invoice.payment_hash, 16)
    payment = Payment(index, 1000 + index, paid_at) if status is Status.PAID else None
    if status is not Status.UNPAID:
        await till.store.settle(NODE_ID, [InvoiceUpdate(invoice.payment_hash, status, payment)])


async def listed(till: Parts, caller: Caller = DAKK, order: Order | None = None, **wanted: Any) -> list[str]:
    """Return the invoice_ids of all pages, of two invoices each."""
    found, token = [], ""
    while True:
        terms = ListTerms.checked(InvoiceFilter.checked(**wanted), order, 2, token)
        page = await till.lists.page(caller, terms)
        assert len(page.invoices) <= 2
        found += [each.invoice_id for each in page.invoices]
        if not page.next_page_token:
            return found
        token = page.next_page_token


async def assorted(till: Parts) -> list[Invoice]:
    """Add invoices in each state and of two types, one an hour, and two of another user."""
    invoices = []
    states = [*Status, *Status, *Status]
    for hour, status in enumerate(states):
        metadata = ['{"type":"shop","order_id":7,"gift":true}', '{"type":"web","order_id":"7"}'][hour % 2]
        invoice = an_invoice_at(NOON + hour * HOUR, label=f"order-{hour:02}", metadata=metadata)
        await till.store.add(invoice)
        # Paid in the opposite order of creation.
        await settle(till, invoice, status, NOON + (100 - hour) * HOUR)
        invoices.append(invoice)
    for hour in range(2):
        await till.store.add(an_invoice_at(NOON + hour * HOUR, username="other", label=f"order-{hour:02}"))
    return [found for each in invoices if (found := await till.store.get(each.invoice_id))]


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda each: True),
    ({"statuses": [Status.PAID]}, lambda each: each.status is Status.PAID),
    ({"statuses": [Status.UNPAID, Status.CANCELED]}, lambda each: each.status in ("unpaid", "canceled")),
    ({"type": "shop"}, lambda each: each.type == "shop"),
    ({"type": "web", "statuses": PAID}, lambda each: each.type == "web" and each.payment),
    ({"type": "none"}, lambda each: False),
    ({"label": "order-03"}, lambda each: each.label == "order-03"),
    ({"label": "order-03", "type": "shop"}, lambda each: False),
    ({"label_prefix": "order-0"}, lambda each: each.label < "order-1"),
    ({"label_prefix": "order-0", "statuses": PAID}, lambda each: each.label < "order-1" and each.payment),
    ({"label_prefix": "order-0", "type": "web"}, lambda each: each.label < "order-1" and each.type == "web"),
    ({"label_prefix": "ordez"}, lambda each: False),
    ({"created": Period(NOON + 3 * HOUR)}, lambda each: each.label >= "order-03"),
    ({"created": Period(None, NOON + 3 * HOUR)}, lambda each: each.label < "order-03"),
    ({"created": Period(NOON + HOUR, NOON + 4 * HOUR)}, lambda each: "order-01" <= each.label < "order-04"),
    ({"created": Period(NOON + timedelta(microseconds=1))}, lambda each: each.label >= "order-01"),
    ({"paid": Period(NOON + 95 * HOUR)}, lambda each: each.label in ("order-01", "order-05")),
    ({"paid": Period(None, NOON + 95 * HOUR)}, lambda each: each.label == "order-09"),
    ({"paid": Period(NOON), "statuses": [Status.UNPAID]}, lambda each: False),
    ({"member": Member("order_id", "7")}, lambda each: True),
    ({"member": Member("gift", "true")}, lambda each: each.type == "shop"),
    ({"member": Member("gift", "true"), "statuses": UNPAID}, lambda each: each.status is Status.UNPAID),
    ({"member": Member("gift", "false")}, lambda each: False),
    ({"member": Member("order_id", "7"), "type": "web"}, lambda each: each.type == "web"),
    ({"member": Member("type", "shop")}, lambda each: False),
]  # fmt: skip


async def test_a_list_has_all_matching_invoices_in_its_order(till: Parts) -> None:
    """In pages, each invoice once, and none of another user."""
    invoices = await assorted(till)
    for (given, matches), order in product(FILTERS, [None, *list(Order)[:4]]):
        if "label_prefix" in given and order:
            with pytest.raises(InvalidRequest, match="order cannot be combined with label_prefix"):
                await listed(till, order=order, **given)
            continue
        expected = [each for each in invoices if matches(each)]
        if order in (Order.PAID_ASC, Order.PAID_DESC) or (order is None and "paid" in given):
            # Paid in the opposite order of creation.
            expected = [each for each in expected if each.payment][::-1]
        is_descending = order in (None, Order.CREATED_DESC, Order.PAID_DESC)
        if is_descending and "label_prefix" not in given:
            expected.reverse()

        found = await listed(till, order=order, **given)

        assert found == [each.invoice_id for each in expected], (given, order)


async def test_lists_look_up_one_invoice(till: Parts) -> None:
    """By its payment hash; another user's invoice is not found."""
    mine, theirs = await till.store.add(an_invoice()), await till.store.add(an_invoice("other"))
    by_hash: dict[str, Any] = {"payment_hash": mine.payment_hash.upper()}

    assert await listed(till, **by_hash) == [mine.invoice_id]
    assert await listed(till, **by_hash, statuses=[Status.PAID]) == []
    assert await listed(till, payment_hash=theirs.payment_hash) == []


async def test_a_key_with_a_type_lists_that_type_only(till: Parts) -> None:
    invoices = await assorted(till)
    of_type = [each.invoice_id for each in invoices if each.type == "shop"]

    assert await listed(till, TYPED, Order.CREATED_ASC) == of_type
    assert await listed(till, TYPED, Order.CREATED_ASC, type="shop") == of_type
    assert await listed(till, TYPED, type="web") == []
    assert await listed(till, TYPED, label="order-01") == []
    assert await listed(till, TYPED, label_prefix="order-") == of_type
    assert await listed(till, TYPED, member=Member("order_id", "7"), order=Order.CREATED_ASC) == of_type


async def test_a_watch_token_lists_nothing(till: Parts) -> None:
    watcher = replace(DAKK, scopes=frozenset({Scope.READ}), invoice_id="~" * 21)

    with pytest.raises(PermissionDenied, match="a watch token reads one invoice"):
        await listed(till, watcher)


async def test_a_page_token_serves_its_own_list_only(till: Parts) -> None:
    """Another filter, order, user or type, and each changed character, are rejected."""
    await assorted(till)
    wanted = InvoiceFilter.checked(statuses=PAID)
    token = (await till.lists.page(DAKK, ListTerms.checked(wanted, None, 1))).next_page_token
    others = [
        (DAKK, InvoiceFilter(), None),
        (DAKK, wanted, Order.CREATED_ASC),
        (OTHER, wanted, None),
        (TYPED, wanted, None),
    ]
    changed = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(len(token))]

    second = await till.lists.page(DAKK, ListTerms.checked(wanted, None, 5, token))
    assert len(second.invoices) == 2
    for caller, other, order in others:
        with pytest.raises(InvalidRequest, match="page_token is not of this list"):
            await till.lists.page(caller, ListTerms.checked(other, order, 1, token))
    # Unused bits of the last character, and padding, are ignored.
    for wrong in (*changed[:-1], token[:-1], "x" * 100_000, "é", "\0", token * 2):
        with pytest.raises(InvalidRequest, match="page_token is not of this list"):
            await till.lists.page(DAKK, ListTerms.checked(wanted, None, 1, wrong))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"type": "x" * 20_000}, TooLarge, "type must have at most 16384 bytes"),
        ({"label": ""}, InvalidRequest, "label must have 1 to 128 bytes"),
        ({"label": "x" * 129}, TooLarge, "label must have at most 128 bytes"),
        ({"label_prefix": "a\n"}, InvalidRequest, "label_prefix must not have control characters"),
        ({"label_prefix": "\ud800"}, InvalidRequest, "label_prefix is not valid Unicode"),
        ({"payment_hash": "ab"}, InvalidRequest, "payment_hash must have 64 hexadecimal digits"),
        ({"bolt11": "lnbc1"}, InvalidRequest, "bolt11 must be a BOLT 11 or BOLT 12 payment request"),
        ({"created": Period(NOON, NOON)}, InvalidRequest, "created_to must be after created_from"),
        ({"paid": Period(NOON + HOUR, NOON)}, InvalidRequest, "paid_to must be after paid_from"),
        ({"member": Member("x" * 129, "")}, TooLarge, "the name of metadata must have at most 128 bytes"),
        ({"member": Member("x", "y" * 129)}, TooLarge, "the value of metadata must have at most 128 bytes"),
    ],
)
def test_a_wrong_filter_is_named(given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        InvoiceFilter.checked(**given)


def test_a_page_size_has_a_default_and_a_limit() -> None:
    sizes = [ListTerms.checked(InvoiceFilter(), None, size).page_size for size in (None, 0, 1, 1000, 1001)]

    assert sizes == [100, 100, 1, 1000, 1000]
    with pytest.raises(InvalidRequest, match="page_size must not be negative"):
        ListTerms.checked(InvoiceFilter(), None, -1)


def statements(till: Parts) -> Iterator[tuple[str, Any]]:
    """Yield the statement of each combination of order, type, states and position."""
    lists = ListSQL(till.store.database)
    members = (None, Member("order_id", "7"))
    for order, kind, statuses, member, prefix in product(
        list(Order)[:4], (None, "shop"), ([], PAID, {Status.PAID, Status.EXPIRED}), members, (None, "order-")
    ):
        if member and prefix:
            continue
        wanted = InvoiceFilter.checked(type=kind, statuses=statuses, member=member, label_prefix=prefix)
        terms = ListTerms.checked(wanted, None if prefix else order)
        positions: list[Any] = [None, ("order-5",)] if prefix else [None]
        if not prefix:
            positions.append((unix_seconds(NOON), 7, "6" * 24) if order.is_by_payment else ("6" * 24,))
        for position in positions:
            statement = lists.page("dakk", terms, position, 101)
            assert statement
            yield f"{order} {kind} {sorted(statuses)} {member} {prefix} {position}", statement


async def test_an_index_serves_each_list(till: Parts) -> None:
    """In the order of the list: no database reads a whole table, or sorts more than a page."""
    database = till.store.database
    is_local = isinstance(database, peewee.SqliteDatabase)
    for hour in range(3000 if not is_local else 1):
        metadata = '{"type":"shop","order_id":7}' if hour % 2 else '{"type":"web","order_id":8}'
        invoice = an_invoice_at(NOON + hour * HOUR, label=f"order-{hour}", metadata=metadata)
        await till.store.add(invoice)
        await settle(till, invoice, list(Status)[hour % 4])
    if not is_local:
        database.execute_sql("ANALYZE")
    explain = "EXPLAIN QUERY PLAN " if is_local else "EXPLAIN "
    for name, statement in statements(till):
        rows = database.execute_sql(explain + statement.sql, statement.values).fetchall()
        steps = [str(row[-1]).strip().removeprefix("->").strip() for row in rows]
        # PostgreSQL sorts a page of each state.
        pages = [each.partition("  ")[0] for each in steps if not each.startswith("Sort Key")]
        if pages[:4] == ["Limit", "Sort", "Append", "Limit"]:
            steps = steps[3:]
        reads_all = [each for each in steps if each.startswith(READS_ALL)]
        assert not reads_all, (name, steps)


async def test_a_walk_during_changes_misses_nothing_and_repeats_nothing(till: Parts) -> None:
    """While others create, pay and cancel. The invoices of earlier rounds are part of the walk."""
    for seed, order, size in product(range(4), (Order.CREATED_DESC, Order.CREATED_ASC), (1, 3, 7)):
        chance = Random(seed)
        before = [an_invoice_at(NOON + chance.randrange(5) * timedelta(seconds=1)) for _ in range(12)]
        for invoice in before:
            await till.store.add(invoice)
            await settle(till, invoice, chance.choice(list(Status)))
        found, token = [], ""
        for turn in count():
            page = await till.lists.page(DAKK, ListTerms.checked(InvoiceFilter(), order, size, token))
            found += [each.invoice_id for each in page.invoices]
            token = page.next_page_token
            if not token:
                break
            if turn < 10:
                new = await till.store.add(an_invoice_at(NOON + chance.randrange(5) * timedelta(seconds=1)))
                await settle(
                    till, chance.choice([*before, new]), chance.choice([Status.PAID, Status.CANCELED])
                )

        assert len(found) == len(set(found))
        assert {each.invoice_id for each in before} <= set(found)


async def test_a_page_has_at_most_a_megabyte(till: Parts) -> None:
    """Fewer invoices than asked, before the end; a single one is always returned."""
    metadata = '{"type":"shop","x":"' + "é" * 7000 + '"}'
    for number in range(60):
        await till.store.add(
            an_invoice_at(NOON + number * HOUR, metadata=metadata)._replace(description="\n" * 8000)
        )
    sizes, token = [], ""
    while True:
        page = await till.lists.page(DAKK, ListTerms.checked(InvoiceFilter(), None, 1000, token))
        sizes.append([len(invoice_json.invoice(each)) for each in page.invoices])
        token = page.next_page_token
        if not token:
            break

    assert sum(map(len, sizes)) == 60
    assert len(sizes) == 2
    assert all(500_000 < sum(each) < 2**20 for each in sizes[:-1])
