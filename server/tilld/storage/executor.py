"""Runs statements on threads, retries once after a lost connection, and translates errors."""

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

# Concurrent reads of PostgreSQL. More would wait for its processors.
READERS = 8


class Executor:
    """One database. Writes are durable before they return.

    Writes run one at a time on their own thread. Reads of SQLite run on the calling thread, which is faster
    than a hand-over. Reads of PostgreSQL run on threads, each with a connection. Scans run one at a time on
    their own thread. Raises Unavailable if the database fails, and reconnects later.
    """

    def __init__(
        self, database: peewee.Database, observer: Observer = NOBODY, intervals: Intervals = USUAL
    ) -> None:
        self.database = database
        self.page_size = intervals.store_page
        self.removal_batch = intervals.removal_batch
        # Set after each write of this process. A failed one may have been committed.
        self.written = asyncio.Event()
        self._observer = observer
        self._transactions = Transactions(database)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._scanner = ThreadPoolExecutor(1, thread_name_prefix="store-scanner")
        self.is_local = is_local = isinstance(database, peewee.SqliteDatabase)
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
        """Finish pending writes, and close the database."""
        for threads in (self._writer, self._scanner):
            with suppress(Unavailable):
                await self._run(threads, self.database.close)
            threads.shutdown()
        if self._readers:
            self._readers.shutdown()
        close_database(self.database)

    def check_files(self) -> None:
        """Check that the files of the database are those that were opened. Raises Unavailable."""
        self._files.check()

    async def read(self, statement: Bound) -> list[tuple[Any, ...]]:
        """Run a read-only statement; return its rows."""
        with self._observer.store_call("read"):
            if self._readers:
                return await self._run(self._readers, lambda: self._transactions.rows(statement))
            try:
                return self._transactions.rows(statement)
            except peewee.PeeweeException as reason:
                raise logged(reason) from None

    async def scan(self, statement: Bound) -> list[tuple[Any, ...]]:
        """Run a read-only statement that may take seconds; return its rows."""
        with self._observer.store_call("scan"):
            return await self._run(self._scanner, lambda: self._transactions.rows(statement))

    async def write(self, work: Callable[[Transactions], Done], operation: str = "write") -> Done:
        """Run an idempotent write on the writing thread."""
        with self._observer.store_call(operation):
            try:
                return await self._run(self._writer, lambda: self._kept(work))
            finally:
                self.written.set()

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], Done]) -> Done:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(threads, lambda: self._once_more(work))
        except peewee.PeeweeException as reason:
            raise logged(reason) from None

    def _kept(self, work: Callable[[Transactions], Done]) -> Done:
        """Run the work, and check that it was not written into an unlinked file."""
        self._files.check()
        done = work(self._transactions)
        self._files.check()
        return done

    def _once_more(self, work: Callable[[], Done]) -> Done:
        """Run the work, and retry on a new connection if the old one is lost or locked out."""
        try:
            return work()
        except (peewee.OperationalError, peewee.InterfaceError, peewee.InternalError):
            # Checked before a new connection creates other files.
            self._files.check()
            drop_connection(self.database)
            self._files.reopened()
            return work()
