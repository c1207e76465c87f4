"""Writes the event log, within the transactions that make the changes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, takewhile

import peewee

from tilld.event_log.entry import ALL_USERS, ENDS, Change, Entry, EventType
from tilld.event_log.sql import ENTRIES, EventSQL
from tilld.formats.ids import new_public_id
from tilld.formats.times import utc_now
from tilld.storage.mapper import Row
from tilld.storage.statements import Transactions, padded

# SQLite allows 32,766 values in a statement.
ADDED_AT_ONCE = 1000

_POSITION, _USERNAME, _SEQUENCE, _ID, _TYPE, _SUBJECT, _RECORDED_AT = map(
    ENTRIES.at, ("position", "username", "sequence", "id", "type", "subject", "recorded_at")
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
            self._deliver([row for row in batch if row[_TYPE] in ENDS])

    def count_imported(self, username: str, count: int) -> None:
        """Count imported invoices until their import has ended."""
        if count:
            self.lock(username)
            self.execute(self.sql.add_imported(username=username, count=count))

    def end_import(self, username: str) -> None:
        """Add one event for all counted imports of a user."""
        with self._database.atomic():
            self.lock(username)
            [(count,)] = self.rows(self.sql.imported(username=username))
            if count:
                subject = new_public_id()
                self.add([Change(username, EventType.INVOICES_IMPORTED, subject, str(count))])
                self.execute(self.sql.add_imported(username=username, count=-count))

    def remove(self, before: int, limit: int) -> int:
        """Remove the oldest events, if they were recorded before then; return their number.

        Events that a webhook has yet to deliver stay, and all after them.
        """
        with self._database.atomic():
            self.lock(ALL_USERS)
            [(_, removed)] = self.rows(self.sql.bounds(username=ALL_USERS))
            oldest = self.rows(self.sql.after_position(after=removed, limit=limit))
            # Only from the front, so that what is left has no gaps even if the clock was changed.
            needed = dict(self.rows(self.sql.needed()))
            due = list(
                takewhile(lambda row: row[_RECORDED_AT] < before and not _is_needed(row, needed), oldest)
            )
            if due:
                position = due[-1][_POSITION]
                last = {row[_USERNAME]: row[_SEQUENCE] for row in due}
                for username, sequence in sorted((last | {ALL_USERS: position}).items()):
                    self.execute(self.sql.set_removed(username=username, removed=sequence))
                self.execute(self.sql.remove(position=position))
                for username, sequence in last.items():
                    self.execute(self.sql.remove_deliveries(username=username, removed=sequence))
                    self.execute(self.sql.remove_webhooks(username=username, removed=sequence))
        return len(due)

    def oldest_recorded_at(self) -> int | None:
        """Return when the oldest event that is left was recorded (milliseconds), or None without events."""
        rows = self.rows(self.sql.oldest_recorded_at())
        return rows[0][0] if rows else None

    def _deliver(self, ends: Sequence[Row]) -> None:
        """Make the final states of invoices due at the webhooks of these invoices."""
        if not ends:
            return
        of_invoice = {row[_SUBJECT]: row for row in ends}
        subjects = padded([*of_invoice])
        for webhook_id, invoice_id in self.rows(
            self.sql.webhooks_of_invoices(len(subjects))(values=subjects)
        ):
            row = of_invoice[invoice_id]
            self.execute(self.sql.end_webhook(id=webhook_id, sequence=row[_SEQUENCE]))
            due = self.sql.add_delivery(
                id=webhook_id,
                sequence=row[_SEQUENCE],
                event_id=row[_ID],
                type=row[_TYPE],
                now=row[_RECORDED_AT],
            )
            self.execute(due)

    def lock(self, username: str) -> int:
        """Lock the log of all users, then that of a user, until the commit; return the newest sequence."""
        return self._advance(dict.fromkeys((ALL_USERS, username), 0))[username]

    def _advance(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Reserve sequences of logs; return the last one of each. Locks the logs in this order."""
        values = tuple(chain.from_iterable((username, count, 0, 0) for username, count in counts.items()))
        return dict(self.rows(self.sql.advance(len(counts))(values=values)))


def _is_needed(row: Row, needed: Mapping[str, int]) -> bool:
    """Return whether a webhook has yet to deliver an event; `needed` has the sequence before that."""
    return bool(row[_SEQUENCE] > needed.get(row[_USERNAME], row[_SEQUENCE]))
