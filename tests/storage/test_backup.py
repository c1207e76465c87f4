"""Backups of a SQLite store: complete while Till runs, and checked before they replace a store."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from playhouse.migrations import Runner

from tests.support.nodes import simulated_node
from tests.support.samples import DAKK, NODE_ID, an_invoice, paid
from tests.support.till import CALM, Parts
from tilld.errors import InvalidRequest, OperatorError
from tilld.events.terms import EventTerms
from tilld.invoices.invoice import Status
from tilld.storage.backup import STEP_PAGES, Contents, back_up, restore
from tilld.storage.database import MIGRATIONS, _connect, close_database, open_database
from tilld.upkeep.audit import Doctor
from tilld.upkeep.importer import Importing

SCHEMAS = sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))
ROWS = Path(__file__).parent / "schemas"
# Far more than happen during a backup.
MANY_COMMITS = 100_000


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A new store."""
    url = f"sqlite:///{tmp_path / 'data' / 'till.db'}"
    close_database(open_database(url))
    return url


@pytest.fixture
def store(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture
def backup(url: str, tmp_path: Path) -> Path:
    file = tmp_path / "backup.db"
    back_up(url, file)
    return file


async def test_a_backup_has_what_a_running_till_has_committed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'till.db'}"
    async with simulated_node(tmp_path):
        till = Parts(tmp_path, url)
        invoices = [await till.create() for _ in range(3)]
        # The rows are in the -wal file only.
        contents = await asyncio.to_thread(back_up, url, tmp_path / "backup.db")
        later = await till.create()
        await till.close()
    restored = f"sqlite:///{tmp_path / 'restored' / 'till.db'}"
    (tmp_path / "restored").mkdir()
    assert restore(tmp_path / "backup.db", restored, replace=False) == (contents, None)

    again = Parts(tmp_path, restored)
    assert contents == Contents(3, 0, invoices[-1].created_at)
    assert [await again.store.get(each.invoice_id) for each in invoices] == invoices
    assert await again.store.get(later.invoice_id) is None
    await again.close()


def test_a_backup_ends_while_till_commits(url: str, store: Path, tmp_path: Path) -> None:
    """A copy in steps would restart with every commit."""
    with closing(sqlite3.connect(store, isolation_level=None)) as writer, ThreadPoolExecutor(1) as threads:
        writer.execute("CREATE TABLE ballast (text)")
        writer.execute("BEGIN")
        writer.executemany("INSERT INTO ballast VALUES (?)", (("x" * 400,) for _ in range(100 * STEP_PAGES)))
        writer.execute("COMMIT")
        writer.execute("PRAGMA synchronous = off")
        backing_up = threads.submit(back_up, url, tmp_path / "backup.db")
        commits = 0
        while not backing_up.done() and commits < MANY_COMMITS:
            writer.execute("INSERT INTO ballast VALUES ('y')")
            commits += 1

    assert backing_up.result().invoices == 0
    assert 1 < commits < MANY_COMMITS


async def test_a_backup_older_than_the_node_is_completed_from_the_node(tmp_path: Path) -> None:
    """Payments of known invoices are settled, invoices that were created since are imported."""
    url = f"sqlite:///{tmp_path / 'till.db'}"
    async with simulated_node(tmp_path) as lightningd:
        till = Parts(tmp_path, url)
        known = await till.create()
        await asyncio.to_thread(back_up, url, tmp_path / "backup.db")
        since = await till.create()
        await lightningd.pay(known.bolt11)
        await lightningd.pay(since.bolt11)
        await till.close()
        await asyncio.to_thread(restore, tmp_path / "backup.db", url, replace=True)

        till = Parts(tmp_path, url)
        before = await Doctor(till.store, till.node, CALM).examine(repair=True)
        importing = Importing(till.store, till.node, "shop", "imported", lost_store=True)
        await importing.run()
        after = await Doctor(till.store, till.node, CALM).examine(repair=False)
        found = [await till.store.get(each.invoice_id) for each in (known, since)]
        await till.close()

    assert [each.label for each in before.missing] == [since.invoice_id]
    assert [each.invoice_id for each in before.settled] == [known.invoice_id]
    assert importing.imported.added == 1
    assert after.is_clean
    assert [each and each.status for each in found] == [Status.PAID, Status.PAID]


async def test_a_restored_log_records_changes_again_under_their_ids(tmp_path: Path, url: str) -> None:
    """A cursor beyond the newest event is an error: its event is gone, and its number will be used again."""
    till = Parts(tmp_path, url)
    invoices = [await till.store.add(an_invoice()) for _ in range(2)]
    back_up(url, tmp_path / "backup.db")
    await till.store.add(an_invoice())
    await till.store.settle(NODE_ID, [paid(each, pay_index=number) for number, each in enumerate(invoices)])
    before = {each.subject: each for each in (await till.log.page("dakk", 3, 10)).entries}
    await till.close()
    restore(tmp_path / "backup.db", url, replace=True)

    again = Parts(tmp_path, url)
    with pytest.raises(InvalidRequest, match=r"after is beyond the newest event, whose sequence is 2\."):
        await again.events.page(DAKK, EventTerms.checked(5))
    for invoice in reversed(invoices):
        await again.store.settle(NODE_ID, [paid(invoice)])
    after = {each.subject: each for each in (await again.log.page("dakk", 2, 10)).entries}
    await again.close()

    assert [before[each.invoice_id].sequence for each in invoices] == [4, 5]
    assert [after[each.invoice_id].sequence for each in invoices] == [4, 3]
    assert {each.id for each in before.values()} == {each.id for each in after.values()}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_backup_of_every_earlier_schema_can_be_restored(tmp_path: Path, schema: str) -> None:
    old = f"sqlite:///{tmp_path / 'old.db'}"
    database = _connect(old, create=True)
    Runner(database, str(MIGRATIONS)).up(schema)
    with database.atomic():
        for statement in (ROWS / f"{schema}.sql").read_text().splitlines():
            database.execute_sql(statement)
    close_database(database)
    back_up(old, tmp_path / "backup.db")

    contents, _ = restore(tmp_path / "backup.db", f"sqlite:///{tmp_path / 'till.db'}", replace=False)

    assert contents.invoices == 4
    migrated = open_database(f"sqlite:///{tmp_path / 'till.db'}", check=True)
    assert migrated.execute_sql("SELECT count(*) FROM invoices").fetchone() == (4,)
    close_database(migrated)


def test_a_backup_is_one_private_file_that_reads_alone(backup: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(backup, alone)
    (alone / backup.name).chmod(0o400)
    alone.chmod(0o500)

    with closing(sqlite3.connect(f"file:{alone / backup.name}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM invoices").fetchone() == (0,)
    assert sorted(each.name for each in alone.iterdir()) == [backup.name]


def test_a_replaced_store_is_kept_with_all_its_commits(url: str, store: Path, backup: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("UPDATE till SET secret = '5ec4e7'")
        connection.commit()

    _, kept = restore(backup, url, replace=True)

    assert kept
    assert kept.parent == store.parent
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("SELECT secret FROM till").fetchone() == ("5ec4e7",)
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT secret FROM till").fetchone() != ("5ec4e7",)


def test_a_damaged_store_is_kept_as_it_is(url: str, store: Path, backup: Path) -> None:
    store.write_bytes(b"damaged")

    _, kept = restore(backup, url, replace=True)

    assert kept
    assert kept.read_bytes() == b"damaged"


@pytest.fixture
def in_use(store: Path) -> Iterator[None]:
    """A connection of another process, as far as SQLite can tell."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("SELECT * FROM till").fetchall()
        yield


@pytest.mark.usefixtures("in_use")
def test_a_store_in_use_is_not_replaced(url: str, store: Path, backup: Path) -> None:
    before = store.stat().st_ino

    with pytest.raises(OperatorError, match="a Till uses .*; stop it, and restore again"):
        restore(backup, url, replace=True)

    assert store.stat().st_ino == before


def test_a_store_is_replaced_only_on_request(url: str, backup: Path) -> None:
    with pytest.raises(OperatorError, match="exists; .* pass --replace"):
        restore(backup, url, replace=False)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(100)])
def test_a_file_that_is_not_a_backup_changes_nothing(
    url: str, store: Path, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "other.db"
    file.write_bytes(content)
    before = store.stat().st_ino

    with pytest.raises(OperatorError, match=str(file)):
        restore(file, url, replace=True)

    assert store.stat().st_ino == before
    assert sorted(each.name for each in store.parent.iterdir()) == ["till.db"]


def test_a_damaged_backup_is_rejected(url: str, backup: Path) -> None:
    size = backup.stat().st_size
    with backup.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 3))

    with pytest.raises(OperatorError, match="is damaged|cannot be copied"):
        restore(backup, url, replace=True)


def test_a_backup_of_a_newer_till_is_rejected(url: str, backup: Path) -> None:
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute("UPDATE schema_migration SET name = '9999_later' WHERE name LIKE '0006%'")
        connection.commit()

    with pytest.raises(OperatorError, match=r"written by a newer Till \(9999_later\); update this one"):
        restore(backup, url, replace=True)


@pytest.mark.parametrize(
    ("url", "file", "message"),
    [
        ("sqlite:///DIR/none.db", "DIR/backup.db", "there is no store at DIR/none.db"),
        ("sqlite:///DIR/data/till.db", "DIR/data", "DIR/data exists; give a file that does not"),
        ("sqlite:///DIR/data/till.db", "DIR/none/backup.db", "cannot be copied to DIR/none/backup.db"),
        (
            "postgresql://till:secret@db.example/till",
            "DIR/backup",
            "run: pg_dump --format=custom --file=DIR/backup postgresql://till@db.example/till",
        ),
    ],
)
def test_a_backup_that_cannot_be_made_says_what_to_do(
    url: str, file: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir(exist_ok=True)
    close_database(open_database(f"sqlite:///{tmp_path}/data/till.db"))

    with pytest.raises(OperatorError) as rejected:
        back_up(url.replace("DIR", str(tmp_path)), Path(file.replace("DIR", str(tmp_path))))

    assert message.replace("DIR", str(tmp_path)) in str(rejected.value)
    assert "secret" not in str(rejected.value)
