"""The invoice store, on every database."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.support.samples import NODE_ID, NOON, an_invoice, expired, paid
from tilld.auth.caller import Creator
from tilld.config import Config
from tilld.errors import Internal, OperatorError, Unavailable
from tilld.formats.amounts import MAX_AMOUNT_MSAT
from tilld.invoices.invoice import Payment, Status
from tilld.invoices.repository import Store
from tilld.invoices.totals import Totals
from tilld.lightningd.info import NodeAddress, NodeInfo
from tilld.storage.database import close_database, open_database
from tilld.storage.nodes import NodeStore
from tilld.storage.statements import Bound

NODE = NodeInfo(
    NODE_ID,
    "till",
    "02abab",
    1,
    0,
    1,
    0,
    "v26",
    7,
    "regtest",
    0,
    (),
    (NodeAddress("ipv4", "127.0.0.1", 9735),),
)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(open_database(database_url))
    yield store
    await store.close()


async def test_an_invoice_comes_back_as_it_was(store: Store) -> None:
    """By each of its keys, with every optional field set or missing."""
    bare = an_invoice(amount_msat=None)
    full = an_invoice(label="order-1", amount_msat=MAX_AMOUNT_MSAT)._replace(
        description="é☕\n",
        metadata='{"type":"shop","n":123456789012345678901234567890}',
        payment=Payment(7, 2**62, NOON, "aa" * 32),
        status=Status.PAID,
    )

    for invoice in (bare, full):
        assert await store.add(invoice) == invoice
        assert await store.get(invoice.invoice_id) == invoice
        assert await store.get_by_id(invoice.id) == invoice
        assert await store.get_by_payment_hash(invoice.payment_hash) == invoice
    assert await store.get_by_label("dakk", "order-1") == full


async def test_a_missing_invoice_is_none(store: Store) -> None:
    await store.add(an_invoice(label="order-1"))

    assert await store.get("~" * 21) is None
    assert await store.get_by_id("0" * 24) is None
    assert await store.get_by_payment_hash("0" * 64) is None
    assert await store.get_by_label("pino", "order-1") is None


async def test_a_cancelled_create_is_logged_with_its_creator(store: Store) -> None:
    """The caller may cancel during the write; each invoice is logged once."""
    invoice = an_invoice()._replace(key_id="KEYOFTHESHOP")

    with capture_logs() as events:
        hung_up = asyncio.create_task(store.add(invoice))
        await asyncio.sleep(0)
        hung_up.cancel()
        await store.add(invoice._replace(id="0" * 24))

    assert await store.get(invoice.invoice_id) == invoice
    [created] = [event for event in events if event["event"] == "invoice created"]
    told = {"invoice_id": invoice.invoice_id, "username": "dakk", "key_id": "KEYOFTHESHOP"}
    assert told.items() <= created.items()


async def test_the_first_of_two_with_one_invoice_id_stays(store: Store) -> None:
    """Two tries of one order may add concurrently; both get the first invoice, and totals count it once."""
    first = an_invoice(label="order-1")
    second = first._replace(id="0" * 24, payment_hash="f" * 64)

    assert await store.add(first) == first
    assert await store.add(second) == first
    assert (await store.totals()).invoices == 1


async def test_many_concurrent_adds_are_all_stored(store: Store) -> None:
    """Independent of their batches."""
    invoices = [an_invoice() for _ in range(1200)]

    added = await asyncio.gather(*map(store.add, invoices))

    assert added == invoices
    assert [await store.get(invoice.invoice_id) for invoice in invoices] == invoices
    assert (await store.totals()).invoices == 1200


async def test_a_bad_row_does_not_fail_the_others_of_its_batch(store: Store) -> None:
    good = [an_invoice() for _ in range(5)]
    bad = an_invoice()._replace(amount_msat=2**70)

    results = await asyncio.gather(*map(store.add, [*good[:2], bad, *good[2:]]), return_exceptions=True)

    assert [result for result in results if isinstance(result, Exception)] == [results[2]]
    assert (await store.totals()).invoices == 5


async def test_a_payment_is_settled_once(store: Store) -> None:
    """An update that the node repeats is written and counted once."""
    invoice = await store.add(an_invoice())
    await NodeStore(store).remember(NODE, NOON)

    changed = await store.settle(NODE_ID, [paid(invoice, 6000)], 1)
    again = await store.settle(NODE_ID, [paid(invoice, 6000)], 1)

    assert [each.payment for each in changed] == [Payment(1, 6000, NOON)]
    assert again == []
    found = await store.get(invoice.invoice_id)
    assert found
    assert found.status is Status.PAID
    assert await store.totals() == Totals(1, 0, 6000)


async def test_an_expiry_is_settled_once_and_a_payment_after_it_counts(store: Store) -> None:
    invoice = await store.add(an_invoice())

    assert [each.status for each in await store.settle(NODE_ID, [expired(invoice)])] == [Status.EXPIRED]
    assert await store.settle(NODE_ID, [expired(invoice)]) == []
    assert [each.status for each in await store.settle(NODE_ID, [paid(invoice)])] == [Status.PAID]
    assert await store.settle(NODE_ID, [expired(invoice)]) == []


async def test_totals_are_kept_for_each_user_and_key(store: Store) -> None:
    """An invoice leaves the open total once: at its payment or expiry, whichever comes first."""
    paid_late, open_still, of_another = [
        await store.add(an_invoice(username, key_id=key_id))
        for username, key_id in (("shop", "till-1"), ("shop", ""), ("bar", ""))
    ]

    await store.settle(NODE_ID, [expired(paid_late), paid(of_another, 7000)])
    await store.settle(NODE_ID, [paid(paid_late, 6000)])

    assert await store.open_invoices(paid_late.creator) == 0
    assert await store.open_invoices(open_still.creator) == 1
    assert await store.open_invoices(Creator("nobody")) == 0
    assert await store.totals("shop") == Totals(2, 1, 6000)
    assert await store.totals() == Totals(3, 1, 13_000)
    kept, counted = await store.audit()
    assert kept == counted


async def test_totals_include_the_latest_write(store: Store, database_url: str) -> None:
    """Writes of another process follow within seconds."""
    other = Store(open_database(database_url))
    for number in range(1, 4):
        invoice = await store.add(an_invoice())
        assert (await store.totals()).invoices == number
        await store.settle(NODE_ID, [paid(invoice, 1000)])
        assert (
            (await store.totals(invoice.username)).volume_msat
            == (await store.totals()).volume_msat
            == number * 1000
        )

    await other.add(an_invoice())

    async with asyncio.timeout(10):
        while (await store.totals()).invoices < 4:
            await asyncio.sleep(0)
    await other.close()


async def test_updates_of_another_node_are_ignored(store: Store) -> None:
    """A label of this Till at another node names a different invoice."""
    invoice = await store.add(an_invoice())

    assert await store.settle("03" + "cd" * 32, [paid(invoice)]) == []
    found = await store.get(invoice.invoice_id)
    assert found
    assert found.status is Status.UNPAID


async def test_the_cursor_is_stored_with_the_settlements(store: Store, database_url: str) -> None:
    """Each node has its own cursor, which starts at 0."""
    assert await NodeStore(store).updated_index(NODE_ID, "invoices") == 0
    await NodeStore(store).remember(NODE, NOON)

    await store.settle(NODE_ID, [], 41)
    await NodeStore(store).remember(NODE, NOON + timedelta(hours=1))

    assert await NodeStore(store).updated_index(NODE_ID, "invoices") == 41
    assert await NodeStore(store).updated_index("03" + "cd" * 32, "invoices") == 0


async def test_overdue_returns_open_invoices_that_expired_earlier(store: Store) -> None:
    """Only of the given node, oldest first."""
    later = await store.add(an_invoice())
    earlier = await store.add(an_invoice(expires_at=NOON - timedelta(hours=1)))
    settled = await store.add(an_invoice())
    await store.add(an_invoice(node_id="03" + "cd" * 32))
    await store.settle(NODE_ID, [paid(settled)])

    assert await store.overdue(NODE_ID, NOON) == [earlier]
    assert await store.overdue(NODE_ID, NOON + timedelta(seconds=1)) == [earlier, later]


async def test_the_node_that_was_seen_last_is_remembered(store: Store) -> None:
    other = msgspec.structs.replace(NODE, id="03" + "cd" * 32)
    assert await NodeStore(store).last() is None

    await NodeStore(store).remember(NODE, NOON)
    await NodeStore(store).remember(other, NOON + timedelta(seconds=1))

    assert await NodeStore(store).last() == other


async def test_everything_is_still_there_after_a_restart(store: Store, database_url: str) -> None:
    """The secret persists too: invoice ids are derived from it."""
    invoice = await store.add(an_invoice())

    reopened = Store(open_database(database_url))

    assert await reopened.get(invoice.invoice_id) == invoice
    assert reopened.secret == store.secret
    await reopened.close()


async def test_a_failing_database_is_unavailable(store: Store) -> None:
    """The message reveals no internals."""
    await store.write(lambda do: do.execute(Bound("DROP TABLE tallies")))

    with pytest.raises(Unavailable, match="^the store is unavailable"):
        await store.totals()
    with pytest.raises(Unavailable, match="^the store is unavailable"):
        await store.add(an_invoice())


async def test_a_read_after_a_failed_one_sees_the_latest_commit(tmp_path: Path) -> None:
    """Even while a caller still holds the exception, whose statement would keep its snapshot open."""
    store = Store(open_database(f"sqlite:///{tmp_path / 'till.db'}"))
    damaged, sound = await store.add(an_invoice()), await store.add(an_invoice())
    no_text = "UPDATE invoices SET description = CAST(x'ff' AS TEXT) WHERE id = ?"
    await store.write(lambda do: do.execute(Bound(no_text, [damaged.id])))

    with pytest.raises(Unavailable) as held:
        await store.get(damaged.invoice_id)
    await store.settle(NODE_ID, [paid(sound)])

    now = await store.get(sound.invoice_id)
    assert now
    assert now.status is Status.PAID
    del held
    await store.close()


def test_a_database_that_cannot_be_opened_gives_a_one_line_error(tmp_path: Path) -> None:
    corrupt = tmp_path / "corrupt.db"
    corrupt.write_bytes(b"this is no database, and never was one" * 100)

    for url in (f"sqlite:///{corrupt}", f"sqlite:///{tmp_path}", f"sqlite:///{corrupt}/below", "mysql://x/y"):
        with pytest.raises(OperatorError, match="--database") as refused:
            open_database(url)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:///:memory:", "nonsense", ""])
def test_a_database_without_a_place_is_refused(url: str) -> None:
    with pytest.raises(OperatorError, match="--database"):
        open_database(url)


async def test_a_database_of_a_newer_till_is_refused(store: Store, database_url: str) -> None:
    statement = "INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')"
    await store.write(lambda do: do.execute(Bound(statement)))

    with pytest.raises(OperatorError, match="9999_future"):
        open_database(database_url)


async def test_the_volume_stops_at_the_largest_number(store: Store) -> None:
    """The volume becomes neither a float nor an error, however much play money is paid."""
    invoices = [await store.add(an_invoice()) for _ in range(6)]

    for invoice in invoices:
        await store.settle(NODE_ID, [paid(invoice, 2_100_000_000_000_000_000)])

    assert await store.totals() == Totals(6, 0, 2**63 - 1)
    found = [await store.get(invoice.invoice_id) for invoice in invoices]
    assert all(each and each.status is Status.PAID for each in found)


async def test_an_invoice_that_collides_is_not_handed_out(store: Store) -> None:
    """The follower could not settle it."""
    invoice = await store.add(an_invoice())

    with pytest.raises(Internal):
        await store.add(an_invoice(payment_hash=invoice.payment_hash))


async def test_a_commit_is_on_disk_before_it_returns(database_url: str) -> None:
    """SQLite syncs its log at every commit."""
    database = open_database(database_url)
    if database_url.startswith("sqlite"):
        assert database.execute_sql("PRAGMA synchronous").fetchone() == (2,)
    else:
        assert database.execute_sql("SHOW synchronous_commit").fetchone() == ("on",)
    close_database(database)


@pytest.mark.parametrize("name", ["shop #1", "shop?mode=memory", "%41", "a 'quoted' \"one\"", "~x", "@:/é"])
def test_a_data_directory_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Two data directories have two separate stores."""
    directory = tmp_path / name
    settings = Config.load(data_dir=directory)

    close_database(open_database(settings.database_url))

    assert list(tmp_path.rglob("*.db")) == [directory / "till.db"]
    assert (directory / "till.db").is_file()


@pytest.mark.parametrize("password", ["PASS/WORD", "PASS#WORD", "PASS?WORD", "PA@SS/WORD"])
def test_a_password_that_breaks_its_url_is_explained_and_not_shown(password: str) -> None:
    with pytest.raises(OperatorError, match="%2F") as refused:
        open_database(f"postgresql://till:{password}@127.0.0.1:1/till")
    assert "WORD" not in str(refused.value)
    assert "SS" not in str(refused.value)


async def test_a_backup_copied_over_a_database_with_its_old_wal_is_refused(tmp_path: Path) -> None:
    """The old -wal holds pages of another database. The backup file stays unchanged."""
    path, backup = tmp_path / "till.db", tmp_path / "backup.db"
    url = f"sqlite:///{path}"
    store = Store(open_database(url))
    for _ in range(100):
        await store.add(an_invoice())
    with closing(sqlite3.connect(path)) as now, closing(sqlite3.connect(backup)) as then:
        now.backup(then)
        then.execute("DELETE FROM invoices WHERE rowid % 2")
        then.commit()
        then.execute("VACUUM")
    killed = (tmp_path / "till.db-wal").read_bytes()
    await store.close()
    before = backup.read_bytes()
    path.write_bytes(before)
    (tmp_path / "till.db-wal").write_bytes(killed)

    with pytest.raises(OperatorError, match="is damaged .*-wal and .*restore a backup"):
        open_database(url, check=True)

    assert path.read_bytes() == before
    for rest in ("-wal", "-shm"):
        (tmp_path / f"till.db{rest}").unlink(missing_ok=True)
    close_database(open_database(url, check=True))
