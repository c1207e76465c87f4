"""Opens the database that a URL names, with its schema brought up to date."""

from pathlib import Path

import peewee
from playhouse.db_url import parse
from playhouse.migrations import Runner

from tilld.errors import OperatorError

MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(url: str) -> peewee.Database:
    """Open sqlite:///PATH (four slashes for an absolute path), creating it if need be.

    Raises OperatorError where that fails, or the database was made by a newer Till.
    """
    if not url.startswith("sqlite:///"):
        raise OperatorError(f"--database {url.partition(':')[0]}:… is not supported: give sqlite:///PATH")
    path = parse(url)["database"]
    database = peewee.SqliteDatabase(
        path,
        # Reads go on while a batch is written; a reply is sent after its commit has reached the disk.
        pragmas={"journal_mode": "wal", "synchronous": "full", "busy_timeout": 5000},
        lock_type="immediate",
    )
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        migrations = Runner(database, str(MIGRATIONS))
        newer = [migration.name for migration in migrations.status() if migration.path is None]
        if newer:
            raise OperatorError(
                f"the database {path} was made by a newer Till ({newer[-1]}): update this one"
            )
        migrations.up()
    except (OSError, peewee.DatabaseError) as reason:
        raise OperatorError(
            f"the database {path} cannot be opened ({reason}): "
            "check the path, its permissions and free space, or give another with --database"
        ) from None
    finally:
        database.close()
    return database
