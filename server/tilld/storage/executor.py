"""Runs what is asked of a database: on threads, once more after a lost connection, its errors translated."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import peewee

from tilld.config import USUAL, Intervals
from tilld.errors import Unavailable
from tilld.runtime.observer import NOBODY, Observer
from tilld.storage.database import close_database, drop_connection, logged
from tilld.storage.database_files import DatabaseFiles
from tilld.storage.statements import Bound, Transactions, compiled
from tilld.storage.tables import TillTable

Done = TypeVar("Done")

# As many reads of PostgreSQL at once; more would wait for its processors, not for us.
READERS = 8


class Executor:
    """One database. What it returns, and what it was told, is on disk.

    Writes run one at a time on a thread of their own. Reads of SQLite run where they are called, which
    is faster than any hand-over; those of PostgreSQL on threads, each with a connection. Raises
    Unavailable where the database fails, and works again when it is back.
    """

    def __init__(
        self, database: peewee.Database, observer: Observer = NOBODY, intervals: Intervals = USUAL
    ) -> None:
        self.database = database
        self.page_size = intervals.store_page
        self._observer = observer
        self._transactions = Transactions(database)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        is_local = isinstance(database, peewee.SqliteDatabase)
        self._readers = None if is_local else ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._files = DatabaseFiles(Path(database.database) if is_local else None)
        with database.bind_ctx([TillTable]):
            select_secret = compiled(TillTable.select(TillTable.secret))
        try:
            [(secret,)] = self._once_more(lambda: self._transactions.rows(select_secret()))
        except peewee.PeeweeException as reason:
            raise logged(reason) from None
        self.secret = bytes.fromhex(secret)

    async def close(self) -> None:
        """Finish what is being written, and close."""
        with suppress(Unavailable):
            await self._run(self._writer, self.database.close)
        self._writer.shutdown()
        if self._readers:
            self._readers.shutdown()
        close_database(self.database)

    def check_files(self) -> None:
        """Make sure that the files of the database are still those that were opened. Raises Unavailable."""
        self._files.check()

    async def read(self, statement: Bound) -> list[tuple[Any, ...]]:
        """Run a statement that changes nothing; returns its rows."""
        with self._observer.store_call("read"):
            if self._readers:
                return await self._run(self._readers, lambda: self._transactions.rows(statement))
            try:
                return self._transactions.rows(statement)
            except peewee.PeeweeException as reason:
                raise logged(reason) from None

    async def write(self, work: Callable[[Transactions], Done], operation: str = "write") -> Done:
        """Run what changes something, on the writing thread, and does no harm when it is done twice."""
        with self._observer.store_call(operation):
            return await self._run(self._writer, lambda: self._kept(work))

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], Done]) -> Done:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(threads, lambda: self._once_more(work))
        except peewee.PeeweeException as reason:
            raise logged(reason) from None

    def _kept(self, work: Callable[[Transactions], Done]) -> Done:
        """Do it, and make sure that it was not written into a file that is gone."""
        self._files.check()
        done = work(self._transactions)
        self._files.check()
        return done

    def _once_more(self, work: Callable[[], Done]) -> Done:
        """Do it, and again on a new connection if the old one is lost or somebody else was in the way."""
        try:
            return work()
        except (peewee.OperationalError, peewee.InterfaceError, peewee.InternalError):
            # Before another connection makes files in their place.
            self._files.check()
            drop_connection(self.database)
            self._files.reopened()
            return work()
