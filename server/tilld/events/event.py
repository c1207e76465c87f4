"""An event as applications see it, with the state of its subject after the event. Pure."""

import json
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, Self

from tilld.event_log.entry import Entry, EventType
from tilld.invoices.invoice import Invoice, Status
from tilld.payouts.invreq import Invreq, InvreqState, InvreqStatus

_STATUS = {
    EventType.INVOICE_CREATED: Status.UNPAID,
    EventType.INVOICE_PAID: Status.PAID,
    EventType.INVOICE_EXPIRED: Status.EXPIRED,
    EventType.INVOICE_CANCELED: Status.CANCELED,
}
OF_INVOICES = frozenset(_STATUS)
OF_INVREQS = frozenset({EventType.INVREQ_CREATED, EventType.INVREQ_COLLECTED, EventType.INVREQ_DISABLED})


class ChangedInvreq(NamedTuple):
    """An invoice request and its status after an event."""

    invreq: Invreq
    status: InvreqStatus

    @classmethod
    def by(cls, entry: Entry, invreq: Invreq) -> Self:
        """Return the invoice request as the event left it."""
        state = InvreqState.read(entry.detail)
        return cls(replace(invreq, active=state.active, used=state.used), state.status)


class InvoiceImport(NamedTuple):
    """A finished import of invoices."""

    invoices: int


class DisabledWebhook(NamedTuple):
    """A webhook that Till has disabled, and why."""

    webhook_id: str
    url: str
    reason: str

    @property
    def detail(self) -> str:
        """The detail of its entry in the log."""
        return json.dumps([self.url, self.reason])

    @classmethod
    def by(cls, entry: Entry) -> Self:
        """Return the webhook of an entry."""
        return cls(entry.subject, *json.loads(entry.detail))


class Event(NamedTuple):
    """An event of a user's log."""

    entry: Entry
    data: Invoice | ChangedInvreq | InvoiceImport | DisabledWebhook

    @property
    def id(self) -> str:
        """The id, the same in every delivery."""
        return self.entry.id

    @property
    def recorded_at(self) -> datetime:
        """When the event was recorded."""
        return self.entry.recorded_at


class EventPage(NamedTuple):
    """Events of a log in order.

    `next` is the sequence in this log to continue after, also if no event matched. `is_end` is False if there
    may be more events now.
    """

    events: list[Event]
    next: int
    is_end: bool


def invoice_after(entry: Entry, invoice: Invoice, *, with_preimage: bool) -> Invoice:
    """Return an invoice as the event left it."""
    status, payment = _STATUS[entry.type], invoice.payment
    if status is not Status.PAID:
        payment = None
    elif payment and not with_preimage:
        payment = payment._replace(payment_preimage=None)
    # Most invoices are as the event left them.
    if invoice.status is status and payment is invoice.payment:
        return invoice
    return invoice._replace(status=status, payment=payment)
