"""Reports: what was received in a period, equal to the list, on every database."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import peewee
import pytest

from tests.support.samples import NODE_ID, NOON, an_invoice
from tilld.errors import InvalidRequest
from tilld.formats.times import LAST
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Payment, Status
from tilld.invoices.repository import Store
from tilld.invoices.totals import MAX_VOLUME_MSAT
from tilld.lists.report import Grouping, Report, ReportGroup, ReportTerms
from tilld.lists.report_sql import ReportSQL
from tilld.lists.repository import ListStore
from tilld.storage.database import open_database
from tilld.storage.statements import Bound

YEAR = timedelta(days=365)
ROME = ZoneInfo("Europe/Rome")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(open_database(database_url))
    yield store
    await store.close()


def a_payment(paid_at: datetime = NOON, msat: int = 1000, username: str = "dakk", **fields: Any) -> Invoice:
    invoice = an_invoice(username)._replace(**fields)
    seen = InvoiceUpdate(invoice.payment_hash, Status.PAID, Payment(1, msat, paid_at))
    return invoice.updated(seen)


async def added(store: Store, payments: Iterable[Invoice]) -> list[Invoice]:
    return [await store.add(each) for each in payments]


async def report(
    store: Store,
    by: Grouping = Grouping.TYPE,
    start: datetime = NOON - YEAR,
    end: datetime = NOON + YEAR,
    zone: str = "UTC",
    type: str | None = None,  # noqa: A002
) -> Report:
    return await ListStore(store).report("dakk", type, ReportTerms.checked(start, end, by, ZoneInfo(zone)))


def names(found: Report) -> list[str]:
    return [group.name for group in found.groups]


async def test_payments_are_counted_by_type_and_key(store: Store) -> None:
    await added(
        store,
        [
            a_payment(msat=1, type="shop", key_id="A"),
            a_payment(msat=20, type="shop"),
            a_payment(msat=300, type="bar", key_id="A"),
            a_payment(msat=4000, username="another"),
            an_invoice(),
        ],
    )

    assert await report(store) == Report(3, 321, [ReportGroup("bar", 1, 300), ReportGroup("shop", 2, 21)])
    assert await report(store, Grouping.KEY) == Report(
        3, 321, [ReportGroup("", 1, 20), ReportGroup("A", 2, 301)]
    )
    assert await report(store, type="bar") == Report(1, 300, [ReportGroup("bar", 1, 300)])
    assert await report(store, type="other") == Report(0, 0, [])


async def test_the_end_of_a_period_is_exclusive(store: Store) -> None:
    second = timedelta(seconds=1)
    await added(store, [a_payment(NOON, 1), a_payment(NOON + second, 20), a_payment(NOON + 2 * second, 300)])

    assert (await report(store, start=NOON, end=NOON + 2 * second)).amount_received_msat == 21
    # Payments are known to the second.
    half = timedelta(milliseconds=500)
    assert (await report(store, start=NOON + half, end=NOON + second + half)).amount_received_msat == 20


async def test_days_are_those_of_the_zone(store: Store) -> None:
    """Also days of 23, 25 and, in Samoa, 0 hours; and payments before the first whole day of 1970."""
    rome = [
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
        datetime(2026, 10, 24, 22, tzinfo=UTC),
        datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC),
        datetime(2026, 10, 25, 23, tzinfo=UTC),
    ]
    samoa = [datetime(2011, 12, 30, 9, 59, 59, tzinfo=UTC), datetime(2011, 12, 30, 10, tzinfo=UTC)]
    await added(store, map(a_payment, [*rome, *samoa, datetime(1970, 1, 1, tzinfo=UTC)]))

    in_rome = await report(store, Grouping.DAY, zone="Europe/Rome")
    in_samoa = await report(store, Grouping.DAY, samoa[0] - YEAR, samoa[0] + YEAR, zone="Pacific/Apia")
    first = await report(
        store, Grouping.DAY, datetime(1, 1, 1, tzinfo=UTC) + 1969 * YEAR, datetime(1970, 1, 2, tzinfo=UTC),
        "America/New_York",
    )  # fmt: skip

    assert {group.name: group.count for group in in_rome.groups} == {
        "2026-03-29": 2, "2026-03-30": 1, "2026-10-25": 2, "2026-10-26": 1,
    }  # fmt: skip
    assert names(in_samoa) == ["2011-12-29", "2011-12-31"]
    assert names(first) == ["1969-12-31"]


@pytest.mark.parametrize(
    "zone", ["Europe/Rome", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "America/St_Johns"]
)
async def test_a_report_is_the_sum_of_the_list(store: Store, zone: str) -> None:
    chance = random.Random(zone)
    payments = await added(
        store,
        [
            a_payment(NOON - timedelta(seconds=chance.randrange(300_000_000)), chance.randrange(10**12))
            for _ in range(200)
        ],
    )

    found = await report(store, Grouping.DAY, NOON - 10 * YEAR, NOON, zone)

    expected: Counter[str] = Counter()
    for each in payments:
        assert each.payment
        day = each.payment.paid_at.astimezone(ZoneInfo(zone)).date().isoformat()
        expected[day] += each.payment.amount_received_msat
    assert {group.name: group.amount_received_msat for group in found.groups} == expected
    assert (found.count, found.amount_received_msat) == (200, expected.total())
    assert names(found) == sorted(names(found))


async def test_sums_saturate(store: Store) -> None:
    """A simulated node can exceed the largest integer of a database."""
    await added(store, [a_payment(msat=2**62 + number) for number in range(3)])

    found = await report(store, end=NOON + timedelta(seconds=1))

    assert found == Report(3, MAX_VOLUME_MSAT, [ReportGroup("shop", 3, MAX_VOLUME_MSAT)])


async def test_large_sums_are_exact(store: Store) -> None:
    await added(store, [a_payment(msat=2**53 + number) for number in range(3)])

    assert (await report(store)).amount_received_msat == 3 * 2**53 + 3


async def test_a_report_is_one_snapshot(store: Store) -> None:
    """Two invoices are settled in one transaction each time; no report has one of them without the other."""
    pairs = [await added(store, [an_invoice(), an_invoice()._replace(type="bar")]) for _ in range(60)]

    async def pay() -> None:
        for number, pair in enumerate(pairs):
            amounts = (number + 1, 1000 - number - 1)
            await store.settle(
                NODE_ID,
                [
                    InvoiceUpdate(each.payment_hash, Status.PAID, Payment(1, msat, NOON))
                    for each, msat in zip(pair, amounts, strict=True)
                ],
            )

    paying = asyncio.create_task(pay())
    counts = set()
    while not paying.done():
        found = await report(store)
        assert found.amount_received_msat == found.count * 500
        assert {group.count for group in found.groups} <= {found.count // 2}
        counts.add(found.count)
    await paying

    assert len(counts) > 2
    assert await report(store) == Report(
        120, 60_000, [ReportGroup("bar", 60, 60_000 - 1830), ReportGroup("shop", 60, 1830)]
    )


@pytest.mark.parametrize("by", Grouping)
@pytest.mark.parametrize("kind", [None, "shop"])
async def test_the_index_of_payments_serves_a_report(store: Store, by: Grouping, kind: str | None) -> None:
    """The plan reads the payments of the period, not those of all times or all users."""
    terms = ReportTerms.checked(NOON - 3 * YEAR, NOON, by, ROME)
    statement = ReportSQL(store.database).report("dakk", kind, terms)
    if is_local := isinstance(store.database, peewee.SqliteDatabase):
        rows = await store.scan(Bound(f"EXPLAIN QUERY PLAN {statement.sql}", statement.values))
        plan = "\n".join(row[-1] for row in rows)
    else:
        # A small table is cheaper to scan.
        await store.write(lambda do: do.execute(Bound("SET enable_seqscan = off")))
        rows = await store.write(lambda do: do.rows(Bound(f"EXPLAIN {statement.sql}", statement.values)))
        plan = "\n".join(row[0] for row in rows)

    of_type = ("type_", "type=. AND ") if kind else ("", "")
    index = f"invoices_username_{of_type[0]}paid_at_pay_index_id"
    if is_local:
        read = rf"USING INDEX {index} .username=. AND {of_type[1]}paid_at>. AND paid_at<.\)"
    else:
        # Of two indexes that serve, PostgreSQL chooses by what it knows of the rows.
        read = r"_paid_at_pay_index_id on invoices.*\n.*Index Cond: .*\(paid_at >= .*\(paid_at < "
    assert len(re.findall(read, plan)) == (7 if by is Grouping.DAY else 1)
    assert not re.search("SCAN invoices|SCAN t1|Seq Scan", plan)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (None, NOON, "from is required"),
        (NOON, None, "to is required"),
        (NOON, NOON, "to must be after from"),
        (NOON, NOON - YEAR, "to must be after from"),
        (NOON, NOON + 11 * YEAR, "to must be at most 10 years after from"),
    ],
)
def test_a_period_is_limited(start: datetime | None, end: datetime | None, message: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{message}$"):
        ReportTerms.checked(start, end, start_name="from", end_name="to")


def test_ten_years_are_allowed() -> None:
    ReportTerms.checked(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("by", Grouping)
async def test_a_period_at_the_end_of_time(store: Store, by: Grouping) -> None:
    await added(store, [a_payment(LAST)])
    first, last = datetime(9998, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

    assert (await report(store, by, first, last, "Pacific/Kiritimati")).count == 1
    assert (await report(store, by, last - timedelta(microseconds=1), last, "Europe/Rome")).count == 0
