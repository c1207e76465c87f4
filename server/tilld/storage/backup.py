"""Backs up a SQLite store while Till runs, and restores it."""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tilld.config.values import SQLITE, without_password
from tilld.errors import OperatorError
from tilld.formats.times import utc, utc_now
from tilld.runtime.progress import Progress
from tilld.storage.database import MIGRATIONS, sqlite_file

# A writer of the store may take its turn between two steps.
STEP_PAGES = 1_000
LOCK_SECONDS = 1.0


@dataclass(frozen=True)
class Contents:
    """A summary of a store, to recognize it. `last`: the creation of its latest invoice."""

    invoices: int
    keys: int
    last: datetime | None


def back_up(url: str, file: Path) -> Contents:
    """Copy the store of a URL to a new file, which then is a complete SQLite database.

    Raises OperatorError.
    """
    if not url.startswith(SQLITE):
        raise OperatorError(
            "tilld backup copies SQLite only; for PostgreSQL run: "
            + shlex.join(["pg_dump", "--format=custom", f"--file={file}", without_password(url)])
        )
    store = sqlite_file(url)
    if file.exists():
        raise OperatorError(f"{file} exists; give a file that does not")
    if not store.exists():
        raise OperatorError(f"there is no store at {store}; check --data-dir and --database")
    with _copied(store, file) as (partial, contents):
        _rename(partial, file)
    return contents


def restore(file: Path, url: str, *, replace: bool) -> tuple[Contents, Path | None]:
    """Copy a backup to the file of a URL. Return what it contains, and where the replaced store is now.

    A store that is there is kept under another name, if `replace` is true. Raises OperatorError.
    """
    if not url.startswith(SQLITE):
        raise OperatorError(
            "tilld restore copies SQLite only; for PostgreSQL run: "
            + shlex.join(
                ["pg_restore", "--clean", "--if-exists", f"--dbname={without_password(url)}", str(file)]
            )
        )
    store = sqlite_file(url)
    if not file.is_file():
        raise OperatorError(f"there is no file {file}; give a file that tilld backup has written")
    if store.exists() and not replace:
        raise OperatorError(
            f"{store} exists; to restore {file} and keep the present store under another name, pass --replace"
        )
    # The present store is put away only once the backup has proved to be whole.
    with _copied(file, store) as (partial, contents):
        kept = _put_away(store) if store.exists() else None
        _rename(partial, store)
    return contents, kept


@contextmanager
def _copied(source: Path, target: Path) -> Iterator[tuple[Path, Contents]]:
    """Yield a checked copy of a store beside its target, and its contents. Remove the copy at the end."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        with (
            _connected(f"{source.absolute().as_uri()}?mode=ro") as store,
            _connected(partial.absolute().as_uri()) as copy,
        ):
            # One snapshot for all steps: without it each commit of Till would restart the copy.
            store.execute("BEGIN")
            [(pages,)] = store.execute("SELECT page_count FROM pragma_page_count")
            with Progress(f"copying {source.name}", pages) as progress:
                store.backup(copy, pages=STEP_PAGES, progress=lambda _, left, all_: progress.at(all_ - left))
            # Without -wal and -shm the file can be read alone, also from a read-only disk.
            copy.execute("PRAGMA journal_mode = delete")
            contents = _checked(copy, source)
        yield partial, contents
    except (OSError, sqlite3.Error) as reason:
        said = " ".join(str(reason).split())
        raise OperatorError(
            f"{source} cannot be copied to {target} ({said}); check both, and the space on disk"
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _rename(partial: Path, target: Path) -> None:
    """Give a copy its name, and write both to disk."""
    _sync(partial)
    partial.rename(target)
    _sync(target.parent)


@contextmanager
def _connected(uri: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS)) as connection:
        yield connection


def _checked(copy: sqlite3.Connection, source: Path) -> Contents:
    """Raise OperatorError unless the copy is a whole store whose schema this Till knows."""
    [(found,)] = copy.execute("PRAGMA quick_check(1)")
    if found != "ok":
        raise OperatorError(f"{source} is damaged ({found}); use another backup")
    tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"till", "invoices", "schema_migration"} <= tables:
        raise OperatorError(f"{source} is not a store of Till; give a file that tilld backup has written")
    known = {path.stem for path in MIGRATIONS.glob("[0-9]*.py")}
    newer = {name for (name,) in copy.execute("SELECT name FROM schema_migration")} - known
    if newer:
        raise OperatorError(f"{source} was written by a newer Till ({max(newer)}); update this one")
    [(invoices, last)] = copy.execute("SELECT count(*), max(created_at) FROM invoices")
    keys = copy.execute("SELECT count(*) FROM keys").fetchone()[0] if "keys" in tables else 0
    return Contents(invoices, keys, None if last is None else utc(last))


def _put_away(store: Path) -> Path:
    """Rename a store that no process uses. Raises OperatorError."""
    try:
        with _connected(store.absolute().as_uri()) as connection:
            # Fails if another connection is open; otherwise the file contains all of -wal.
            connection.execute("PRAGMA journal_mode = delete")
    except sqlite3.OperationalError as reason:
        if "locked" not in str(reason):
            raise OperatorError(
                f"{store} cannot be opened ({reason}); move it away, and restore again"
            ) from None
        raise OperatorError(f"a Till uses {store}; stop it, and restore again") from None
    except sqlite3.DatabaseError:
        # A damaged store is kept too, with all of its files.
        pass
    kept = store.with_name(f"{store.name}.replaced-{utc_now():%Y%m%dT%H%M%SZ}")
    for suffix in ("", "-wal", "-shm"):
        if (part := Path(f"{store}{suffix}")).exists():
            part.rename(f"{kept}{suffix}")
    return kept


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
