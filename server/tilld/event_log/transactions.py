"""Writes the event log, within the transactions that make the changes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, takewhile

import peewee

from tilld.event_log.entry import ALL_USERS, Change, Entry, EventType
from tilld.event_log.sql import ENTRIES, EventSQL
from tilld.formats.ids import new_public_id
from tilld.formats.times import utc_now
from tilld.storage.statements import Transactions

# SQLite allows 32,766 values in a statement.
ADDED_AT_ONCE = 1000

_POSITION, _USERNAME, _SEQUENCE, _RECORDED_AT = map(
    ENTRIES.at, ("position", "username", "sequence", "recorded_at")
)


class LogTransactions(Transactions):
    """Parts of transactions, on the calling thread."""

    def __init__(self, database: peewee.Database, secret: bytes) -> None:
        super().__init__(database)
        self.sql = EventSQL(database)
        self._secret = secret

    def add(self, changes: Sequence[Change]) -> None:
        """Add an event for each change, as the last part of the transaction that makes them.

        Transactions of several users and processes wait here for each other, until the commit.
        """
        if not changes:
            return
        counts = Counter(change.username for change in changes)
        # Sorted, since a fixed order of locks prevents deadlocks; the log of all users comes first.
        last = self._advance({ALL_USERS: len(changes), **dict(sorted(counts.items()))})
        position = last[ALL_USERS] - len(changes)
        sequences = {username: last[username] - count for username, count in counts.items()}
        now = utc_now()
        rows = []
        for change in changes:
            position += 1
            sequences[change.username] += 1
            sequence = sequences[change.username]
            rows.append(ENTRIES.row(Entry.of(change, position, sequence, self._secret, now)))
        for start in range(0, len(rows), ADDED_AT_ONCE):
            batch = rows[start : start + ADDED_AT_ONCE]
            self.execute(self.sql.add(len(batch))(values=tuple(chain.from_iterable(batch))))

    def count_imported(self, username: str, count: int) -> None:
        """Count imported invoices until their import has ended."""
        if count:
            self._lock(username)
            self.execute(self.sql.add_imported(username=username, count=count))

    def end_import(self, username: str) -> None:
        """Add one event for all counted imports of a user."""
        with self._database.atomic():
            self._lock(username)
            [(count,)] = self.rows(self.sql.imported(username=username))
            if count:
                subject = new_public_id()
                self.add([Change(username, EventType.INVOICES_IMPORTED, subject, str(count))])
                self.execute(self.sql.add_imported(username=username, count=-count))

    def remove(self, before: int, limit: int) -> int:
        """Remove the oldest events, if they were recorded before then; return their number."""
        with self._database.atomic():
            self._lock()
            [(_, removed)] = self.rows(self.sql.bounds(username=ALL_USERS))
            oldest = self.rows(self.sql.after_position(after=removed, limit=limit))
            # Only from the front, so that what is left has no gaps even if the clock was changed.
            due = list(takewhile(lambda row: row[_RECORDED_AT] < before, oldest))
            if due:
                position = due[-1][_POSITION]
                last = {row[_USERNAME]: row[_SEQUENCE] for row in due} | {ALL_USERS: position}
                for username, sequence in sorted(last.items()):
                    self.execute(self.sql.set_removed(username=username, removed=sequence))
                self.execute(self.sql.remove(position=position))
        return len(due)

    def oldest_recorded_at(self) -> int | None:
        """Return when the oldest event that is left was recorded (milliseconds), or None without events."""
        rows = self.rows(self.sql.oldest_recorded_at())
        return rows[0][0] if rows else None

    def _lock(self, *usernames: str) -> None:
        """Lock the log of all users, then those of some users, until the commit."""
        self._advance(dict.fromkeys((ALL_USERS, *usernames), 0))

    def _advance(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Reserve sequences of logs; return the last one of each. Locks the logs in this order."""
        values = tuple(chain.from_iterable((username, count, 0, 0) for username, count in counts.items()))
        return dict(self.rows(self.sql.advance(len(counts))(values=values)))
