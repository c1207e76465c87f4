"""Detects that the files of an open SQLite database were removed or replaced.

SQLite continues to write to unlinked files, whose data is lost when the process ends.
"""

from pathlib import Path

import structlog

from tilld.config.advice import shell_command
from tilld.errors import Unavailable

log = structlog.get_logger()

Identity = tuple[int, int]


class DatabaseFiles:
    """The files of an open database; None for a database without files.

    Lost files stay lost until a restart.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._wal = Path(f"{self._path}-wal")
        self._database = self._path and _identity(self._path)
        self._log: Identity | None = None
        self._are_lost = False

    def check(self) -> None:
        """Check that writes reach the files under their names.

        Raises Unavailable. Takes about 4 µs, and may run on any thread.
        """
        if self._path is None:
            return
        if not self._are_lost:
            wal = _identity(self._wal)
            self._are_lost = _identity(self._path) != self._database or self._log not in (None, wal)
            self._log = self._log or wal
            if self._are_lost:
                log.error(
                    "the store's files were removed or replaced, so nothing is created or settled: stop "
                    "Till, restore the files or a backup, start Till, and run: " + shell_command("doctor"),
                    database=str(self._path),
                )
        if self._are_lost:
            raise Unavailable("the store is unavailable; ask the operator to read the log")

    def reopened(self) -> None:
        """Note that a connection was closed.

        SQLite removes the -wal file with the last connection, and then creates another.
        """
        self._log = None


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
