"""Notices that the files of an SQLite database were removed or replaced while it is in use.

SQLite goes on in files that have no name any more, and all that it writes there is gone with the process.
"""

from pathlib import Path

import structlog

from tilld.config.advice import shell_command
from tilld.errors import Unavailable

log = structlog.get_logger()

Identity = tuple[int, int]


class DatabaseFiles:
    """The files of a database that is open, None for one without files.

    Once they are lost they stay so: only a restart opens others.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._wal = Path(f"{self._path}-wal")
        self._database = self._path and _identity(self._path)
        self._log: Identity | None = None
        self._are_lost = False

    def check(self) -> None:
        """Make sure that what is written reaches the files that the database is known by.

        Raises Unavailable. Takes some 4 µs; may be called on any thread.
        """
        if self._path is None:
            return
        if not self._are_lost:
            wal = _identity(self._wal)
            self._are_lost = _identity(self._path) != self._database or self._log not in (None, wal)
            self._log = self._log or wal
            if self._are_lost:
                log.error(
                    "the store's files were removed or replaced: nothing more is created or settled; stop "
                    "Till, put them back or restore a backup, start Till, and run: "
                    + shell_command("doctor"),
                    database=str(self._path),
                )
        if self._are_lost:
            raise Unavailable("the store is unavailable; ask the operator to read the log")

    def reopened(self) -> None:
        """Note that a connection was closed: SQLite removes the log with the last one, and makes another."""
        self._log = None


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
