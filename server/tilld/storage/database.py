"""Opens the database of a URL, and migrates its schema."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import peewee
import structlog
from playhouse.db_url import parse
from playhouse.migrations import Runner
from playhouse.pool import PooledDatabase, PooledPostgresqlDatabase

from tilld.config.advice import shell_command
from tilld.config.values import SQLITE, without_password
from tilld.errors import Internal, OperatorError, TillError, Unavailable

log = structlog.get_logger()

# A check of 441 MB (a million invoices) took 0.8 s from memory. A slow disk takes many times longer.
LOUD_CHECK_BYTES = 200_000_000
# The first match counts.
ADVICE = {
    "password authentication failed|no password supplied": (
        "check user and password in the URL; 'tilld config' shows where it comes from"
    ),
    "database .* does not exist": "make it with 'createdb', or name another with --database",
    "role .* does not exist": "make it with 'createuser', or name another user in the URL",
    "refused|timeout|timed out|translate host|resolve|unreachable|no such file.*socket|server .*socket": (
        "start PostgreSQL, or check its host and port in --database"
    ),
    "disk is full|no space left|quota": "free space on its disk, or give another with --database",
    "readonly|read-only|permission denied": "make it writable, or give another with --database",
    "locked": "end the program that holds a lock on it",
}
MIGRATIONS = Path(__file__).parent / "migrations"
CONNECT_SECONDS = 5

# An arbitrary lock number. Of several Tills that start concurrently, one migrates while the others wait.
MIGRATION_LOCK = 0x7469_6C6C


def open_database(url: str, *, create: bool = True, check: bool = False) -> peewee.Database:
    """Open sqlite:///PATH or postgresql://…; an absolute PATH makes four slashes.

    PATH is taken literally. `create` creates a missing file; `check` first reads a whole SQLite file. Raises
    OperatorError if that fails, or a newer Till wrote the database.
    """
    name = without_password(url)
    try:
        if check and url.startswith(SQLITE):
            _check_whole(sqlite_file(url))
        database = _connect(url, create=create)
        try:
            _migrate(database, name, create=create)
        finally:
            close_database(database)
    except (OSError, ValueError, peewee.DatabaseError, peewee.InterfaceError) as reason:
        said = _in_one_line(reason)
        raise OperatorError(f"the database {name} cannot be used ({said}); {_advice(said)}") from None
    return database


def _advice(said: str) -> str:
    """Return advice by the error text of SQLite, psycopg or the system."""
    for words, advice in ADVICE.items():
        if re.search(words, said, re.IGNORECASE):
            return advice
    return "check that it is there, whole and writable, or give another with --database"


def close_database(database: peewee.Database) -> None:
    """Close this thread's connection, and all connections of a pool."""
    database.close()
    if isinstance(database, PooledDatabase):
        database.close_all()


def drop_connection(database: peewee.Database) -> None:
    """Close this thread's connection for good, instead of returning it to the pool."""
    if isinstance(database, PooledDatabase):
        database.manual_close()
    else:
        database.close()


def logged(reason: peewee.PeeweeException) -> TillError:
    """Log a database failure; return a generic error for the caller."""
    if isinstance(reason, peewee.DataError | peewee.IntegrityError):
        log.error("store rejected a row", reason=str(reason))
        return Internal()
    log.error("store failed", reason=_first_cause(reason))
    return Unavailable("the store is unavailable; try again later")


def _check_encoding(database: peewee.Database, name: str) -> None:
    """Raise OperatorError for a PostgreSQL database that cannot hold every text.

    One that Till has used so far is accepted, except SQL_ASCII, which never worked.
    """
    if isinstance(database, peewee.SqliteDatabase):
        return
    encoding = database.connection().info.parameter_status("server_encoding")  # type: ignore[no-untyped-call]
    if encoding == "SQL_ASCII" or (encoding != "UTF8" and not database.table_exists("till")):
        raise OperatorError(
            f"the database {name} has the encoding {encoding}, and Till needs UTF8; create another with "
            "'createdb --encoding=UTF8 --template=template0 NAME'"
        )


def _migrate(database: peewee.Database, name: str, *, create: bool) -> None:
    _check_encoding(database, name)
    with _alone(database):
        migrations = Runner(database, str(MIGRATIONS))
        newer = [migration.name for migration in migrations.status() if migration.path is None]
        if newer:
            raise OperatorError(
                f"the database {name} was written by a newer Till ({newer[-1]}); update this one"
            )
        if not create and any(migration.applied is None for migration in migrations.status()):
            raise OperatorError(
                f"the database {name} is empty or was written by an older Till; "
                "check --data-dir and --database, or start this Till on it first"
            )
        migrations.up()
        # Changes nothing, but fails if the database is read-only.
        database.execute_sql("UPDATE till SET secret = secret WHERE 1 = 0")  # type: ignore[no-untyped-call]


def _connect(url: str, *, create: bool) -> peewee.Database:
    match urlsplit(url).scheme:
        case "sqlite":
            path = sqlite_file(url)
            if not create and not path.exists():
                raise ValueError("there is no such file")
            path.parent.mkdir(parents=True, exist_ok=True)
            # Reads continue while a batch is written, and a reply is sent after its commit is on disk. A call
            # may wait for the lock twice, behind others: all must end within Envoy's 15 s.
            pragmas = {"journal_mode": "wal", "synchronous": "full", "busy_timeout": 1000}
            return peewee.SqliteDatabase(str(path), pragmas=pragmas, lock_type="immediate")
        case "postgresql" | "postgres":
            # Otherwise the password would end early, and the error would show the rest.
            if set("/?#") & set(url.partition("://")[2].rpartition("@")[0]):
                raise ValueError("write @ : / # ? % in the user or password as %40 %3A %2F %23 %3F %25")
            where = parse(url, unquote_user=True, unquote_password=True)
            database: peewee.Database = PooledPostgresqlDatabase(
                **{"connect_timeout": CONNECT_SECONDS, "application_name": "tilld"} | where,
                prefer_psycopg3=True,
                isolation_level="READ COMMITTED",
            )
            return database
        case _:
            raise ValueError("neither sqlite:///PATH nor postgresql://USER@HOST/NAME")


def sqlite_file(url: str) -> Path:
    """Return the file of sqlite:///PATH. Raises ValueError if there is none."""
    path = url.removeprefix(SQLITE)
    if path == url or path in ("", ":memory:"):
        raise ValueError("it names no file, and memory would lose every invoice")
    return Path(path).expanduser()


def _check_whole(path: Path) -> None:
    """Check a file for damage before any write. Raises OperatorError with the remedy."""
    if not path.exists():
        return
    size = path.stat().st_size
    if size > LOUD_CHECK_BYTES:
        log.info("checking the store for damage", database=str(path), megabytes=size // 10**6)
    # Read-only: closing the last other connection would write a stale -wal file into this database.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            [(found,)] = connection.execute("PRAGMA quick_check(1)")
        except sqlite3.OperationalError as reason:
            raise ValueError(reason) from None
        except sqlite3.DatabaseError as reason:
            found = str(reason)
    if found != "ok":
        raise OperatorError(
            f"the database {path} is damaged ({_in_one_line(found)}); move it, {path.name}-wal and "
            f"{path.name}-shm away, and restore a backup without those two; without a backup, bring back "
            f"what the node has with: {shell_command('import', '--lost-store')}"
        )


@contextmanager
def _alone(database: peewee.Database) -> Iterator[None]:
    if isinstance(database, peewee.SqliteDatabase):
        # SQLite's immediate transactions exclude each other.
        yield
        return
    database.execute_sql("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        database.execute_sql("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK,))  # type: ignore[no-untyped-call]


def _in_one_line(reason: object) -> str:
    return " ".join(str(reason).split())


def _first_cause(reason: BaseException) -> str:
    """Return the first cause: after a full disk SQLite rolls back by itself, and a second rollback fails."""
    while reason.__context__:
        reason = reason.__context__
    return str(reason)
