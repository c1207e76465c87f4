"""Opens the database that a URL names, with its schema brought up to date."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import peewee
from playhouse.db_url import parse
from playhouse.migrations import Runner
from playhouse.pool import PooledDatabase, PooledPostgresqlDatabase

from tilld.errors import OperatorError

MIGRATIONS = Path(__file__).parent / "migrations"
CONNECT_SECONDS = 5

# Any number that nobody else takes: of several Tills that start at once, one migrates, the others wait.
MIGRATION_LOCK = 0x7469_6C6C


def open_database(url: str, *, create: bool = True) -> peewee.Database:
    """Open sqlite:///PATH (four slashes for an absolute path; made if need be and wanted), or postgresql://….

    Raises OperatorError where that fails, or the database was made by a newer Till.
    """
    name = _without_password(url)
    try:
        database = _connect(url, create=create)
        try:
            _migrate(database, name, create=create)
        finally:
            close_database(database)
    except (OSError, ValueError, peewee.DatabaseError, peewee.InterfaceError) as reason:
        raise OperatorError(
            f"the database {name} cannot be used ({_in_one_line(reason)}): check that it is there, whole "
            "and writable, with space left and no lock on it, or give another with --database"
        ) from None
    return database


def close_database(database: peewee.Database) -> None:
    """Close the connection of this thread and, of a pool, those of all others."""
    database.close()
    if isinstance(database, PooledDatabase):
        database.close_all()


def drop_connection(database: peewee.Database) -> None:
    """Close the connection of this thread for good: a pool would hand it out again."""
    if isinstance(database, PooledDatabase):
        database.manual_close()
    else:
        database.close()


def _migrate(database: peewee.Database, name: str, *, create: bool) -> None:
    with _alone(database):
        migrations = Runner(database, str(MIGRATIONS))
        newer = [migration.name for migration in migrations.status() if migration.path is None]
        if newer:
            raise OperatorError(f"the database {name} is of a newer Till ({newer[-1]}): update this one")
        if not create and any(migration.applied is None for migration in migrations.status()):
            raise OperatorError(
                f"the database {name} is empty or of an older Till: check --data-dir and --database, "
                "or run this Till on it first"
            )
        migrations.up()
        # Changes nothing, but fails where nothing can be written.
        database.execute_sql("UPDATE till SET secret = secret WHERE 1 = 0")  # type: ignore[no-untyped-call]


def _connect(url: str, *, create: bool) -> peewee.Database:
    match urlsplit(url).scheme:
        case "sqlite":
            path = parse(url)["database"]
            if path == ":memory:":
                raise ValueError("its name is missing, and memory would forget every invoice")
            if not create and not Path(path).exists():
                raise ValueError("there is no such file")
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # Reads go on while a batch is written; a reply is sent after its commit has reached the disk.
            # A call waits for a lock twice, after others that do: all must end within the 15 s of Envoy.
            pragmas = {"journal_mode": "wal", "synchronous": "full", "busy_timeout": 1000}
            return peewee.SqliteDatabase(path, pragmas=pragmas, lock_type="immediate")
        case "postgresql" | "postgres":
            where = parse(url, unquote_user=True, unquote_password=True)
            database: peewee.Database = PooledPostgresqlDatabase(
                **{"connect_timeout": CONNECT_SECONDS, "application_name": "tilld"} | where,
                prefer_psycopg3=True,
                isolation_level="READ COMMITTED",
            )
            return database
        case _:
            raise ValueError("neither sqlite:///PATH nor postgresql://USER@HOST/NAME")


@contextmanager
def _alone(database: peewee.Database) -> Iterator[None]:
    if isinstance(database, peewee.SqliteDatabase):
        # Its transactions take turns.
        yield
        return
    database.execute_sql("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        database.execute_sql("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK,))  # type: ignore[no-untyped-call]


def _without_password(url: str) -> str:
    # A query may have one, too.
    url, _, _ = url.partition("?")
    password = urlsplit(url).password
    return url.replace(f":{password}@", "@", 1) if password else url


def _in_one_line(reason: Exception) -> str:
    return " ".join(str(reason).split())
