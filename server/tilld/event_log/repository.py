"""The store of the event log. Its interface uses domain types."""

from datetime import datetime
from typing import NamedTuple

from tilld.event_log.entry import ALL_USERS, Bounds, Entry, LogAudit
from tilld.event_log.sql import ENTRIES, EventSQL
from tilld.event_log.transactions import LogTransactions
from tilld.formats.times import milliseconds, utc_of_milliseconds
from tilld.storage.executor import Executor


class LogPage(NamedTuple):
    """Entries of a log in order. `first` and `last` are sequences in this log, or None without entries."""

    entries: list[Entry]
    first: int | None
    last: int | None
    is_end: bool


class EventLog:
    """The logs of users in the database of a store; the log of all users has the name ALL_USERS."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        self._sql = EventSQL(store.database)
        self._do = LogTransactions(store.database, store.secret)

    async def bounds(self, username: str) -> Bounds:
        """Return which events a log has."""
        rows = await self._store.read(self._sql.bounds(username=username))
        return Bounds(*rows[0]) if rows else Bounds()

    async def page(self, username: str, after: int, limit: int) -> LogPage:
        """Return at most `limit` events of a log beyond a sequence. Unreadable rows are skipped."""
        is_all = username == ALL_USERS
        statement = (
            self._sql.after_position(after=after, limit=limit)
            if is_all
            else self._sql.after_sequence(username=username, after=after, limit=limit)
        )
        rows = await self._store.read(statement)
        at = ENTRIES.at("position" if is_all else "sequence")
        first, last = (rows[0][at], rows[-1][at]) if rows else (None, None)
        return LogPage(ENTRIES.all(rows), first, last, is_end=len(rows) < limit)

    async def audit(self) -> list[LogAudit]:
        """Return for each log which events it should have, and which it has."""
        expected, found = dict[str, Bounds](), dict[str, tuple[Bounds, int]]()
        for username, newest, removed, events in await self._store.scan(self._sql.audit()):
            if events < 0:
                expected[username] = Bounds(newest, removed)
            elif events:
                found[username] = Bounds(newest, removed), events
        return [
            LogAudit(username, expected.get(username, Bounds()), *found.get(username, (Bounds(), 0)))
            for username in sorted({*expected, *found})
        ]

    async def began_at(self) -> datetime:
        """Return the time from which on changes are in the log."""
        [(began_at,)] = await self._store.read(self._sql.began_at())
        return utc_of_milliseconds(began_at)

    async def remove(self, before: datetime) -> int:
        """Remove some of the oldest events, if they were recorded before then; return their number."""
        return await self._store.write(
            lambda _: self._do.remove(milliseconds(before), self._store.removal_batch)
        )
