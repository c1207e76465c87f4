"""An entry of the event log. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self

from tilld.formats.ids import derived_public_id

# The log of all users.
ALL_USERS = ""


class EventType(StrEnum):
    """The types of events (Standard Webhooks: parts of a-z, 0-9 and "_" joined by full stops)."""

    INVOICE_CREATED = "invoice.created"
    INVOICE_PAID = "invoice.paid"
    INVOICE_EXPIRED = "invoice.expired"
    INVOICE_CANCELED = "invoice.canceled"
    INVOICES_IMPORTED = "invoices.imported"
    INVREQ_CREATED = "invoice_request.created"
    INVREQ_COLLECTED = "invoice_request.collected"
    INVREQ_DISABLED = "invoice_request.disabled"
    WEBHOOK_DISABLED = "webhook.disabled"


# The final states of an invoice.
ENDS = frozenset({EventType.INVOICE_PAID, EventType.INVOICE_EXPIRED, EventType.INVOICE_CANCELED})


class Change(NamedTuple):
    """A change that becomes an event.

    `subject` is the public id of what changed. `detail` has what the subject itself does not tell later, by
    event type: the state of an invoice request; the number of imported invoices; what a webhook was.
    `occasion` distinguishes changes of one type, as the payment hash does for payments of one invoice
    request.
    """

    username: str
    type: EventType
    subject: str
    detail: str = ""
    occasion: str = ""

    def event_id(self, secret: bytes) -> str:
        """Return the id of the event: the same if a restored backup records the change again."""
        return f"evt_{derived_public_id(secret, self.type, self.subject, self.occasion)}"


class Entry(NamedTuple):
    """An event in the log.

    `position` counts the events of all users, `sequence` those of the user: 1, 2, 3 and so on without gaps.
    """

    position: int
    username: str
    sequence: int
    id: str
    type: EventType
    subject: str
    detail: str
    # Whole milliseconds.
    recorded_at: datetime

    @classmethod
    def of(cls, change: Change, position: int, sequence: int, secret: bytes, now: datetime) -> Self:
        """Return the entry of a change."""
        username, kind, subject, detail, _ = change
        return cls(position, username, sequence, change.event_id(secret), kind, subject, detail, now)


class Bounds(NamedTuple):
    """The events that a log has: those beyond `removed`, up to `newest`."""

    newest: int = 0
    removed: int = 0

    def __str__(self) -> str:
        return f"{self.removed + 1} to {self.newest}" if self.newest > self.removed else "none"


class LogAudit(NamedTuple):
    """The events that a log should have, beside the range and the number of those that it has."""

    username: str
    expected: Bounds
    found: Bounds
    events: int

    @property
    def is_complete(self) -> bool:
        """True if no event is missing, and none is there that should not be."""
        newest, removed = self.expected
        return self.events == newest - removed and (not self.events or self.found == self.expected)

    def __str__(self) -> str:
        log = f"the event log of {self.username}" if self.username else "the event log of all users"
        return f"{log} should have the events {self.expected}, and has {self.events}: {self.found}"
