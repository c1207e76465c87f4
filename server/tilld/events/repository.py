"""The store of events: entries of the log with the invoices and invoice requests that they are about."""

from collections.abc import Sequence

from tilld.errors import EventsGone
from tilld.event_log.entry import ALL_USERS, Entry, EventType
from tilld.event_log.repository import EventLog
from tilld.events.event import (
    OF_INVOICES,
    OF_INVREQS,
    ChangedInvreq,
    DisabledWebhook,
    Event,
    EventPage,
    InvoiceImport,
    invoice_after,
)
from tilld.events.terms import View
from tilld.invoices.invoice import Invoice
from tilld.invoices.repository import Store
from tilld.lists.page_size import MAX_PAGE_BYTES, max_json_bytes
from tilld.payouts.invreq import Invreq
from tilld.payouts.repository import PayoutStore
from tilld.sent_invoices.repository import AttemptStore

# Events whose subjects are read together: an invoice may have 24 KiB, and SQLite is read on the event loop.
READ_AT_ONCE = 100


class EventStore:
    """The events in the database of a store. Raises the store's errors."""

    def __init__(self, store: Store, log: EventLog) -> None:
        self._store = store
        self._log = log
        self._payouts = PayoutStore(store)
        self._attempts = AttemptStore(store)

    async def page(self, view: View, after: int, limit: int) -> EventPage:
        """Return the events that a view has among the next `limit` events of its log, of about 1 MB at most.

        Raises EventsGone if the next events were removed.
        """
        page = await self._log.page(view.username, after, limit)
        if page.first is not None and page.first != after + 1:
            raise gone(view.username, page.first)
        found: list[Event] = []
        size = 0
        for start in range(0, len(page.entries), READ_AT_ONCE):
            entries = page.entries[start : start + READ_AT_ONCE]
            for event in await self._events(view, entries):
                size += max_json_bytes_of(event)
                if found and size > MAX_PAGE_BYTES:
                    return EventPage(found, _sequence(view, event.entry) - 1, is_end=False)
                found.append(event)
        return EventPage(found, after if page.last is None else page.last, page.is_end)

    async def _events(self, view: View, entries: Sequence[Entry]) -> list[Event]:
        """Return the events of a view among some entries."""
        wanted = [entry for entry in entries if entry.type in view.types]
        invoices = await self._invoices([each.subject for each in wanted if each.type in OF_INVOICES])
        invreqs = await self._invreqs([each.subject for each in wanted if each.type in OF_INVREQS])
        found = []
        for entry in wanted:
            data: Invoice | ChangedInvreq | InvoiceImport | DisabledWebhook
            if entry.type is EventType.INVOICES_IMPORTED:
                data = InvoiceImport(int(entry.detail))
            elif entry.type is EventType.WEBHOOK_DISABLED:
                data = DisabledWebhook.by(entry)
            elif entry.type in OF_INVREQS:
                if entry.subject not in invreqs:
                    continue
                data = ChangedInvreq.by(entry, invreqs[entry.subject])
            else:
                invoice = invoices.get(entry.subject)
                if invoice is None or view.metadata_type not in (None, invoice.type):
                    continue
                data = invoice_after(entry, invoice, with_preimage=view.with_preimages)
            found.append(Event(entry, data))
        return found

    async def _invoices(self, invoice_ids: Sequence[str]) -> dict[str, Invoice]:
        invoices = await self._store.get_many(list(dict.fromkeys(invoice_ids)))
        # The next attempt under a label took it from the failed one.
        nameless = [each.invoice_id for each in invoices if each.is_bolt12 and each.label is None]
        labels = await self._attempts.labels(nameless)
        found = {each.invoice_id: each for each in invoices}
        for invoice_id, label in labels.items():
            found[invoice_id] = found[invoice_id]._replace(label=label)
        return found

    async def _invreqs(self, invreq_ids: Sequence[str]) -> dict[str, Invreq]:
        found = await self._payouts.get_many(list(dict.fromkeys(invreq_ids)))
        return {each.invreq_id: each for each in found}


def gone(username: str, oldest: int) -> EventsGone:
    """Return the error for a cursor whose next events were removed."""
    if username == ALL_USERS:
        return EventsGone()
    return EventsGone(
        f"events after this sequence were removed; the oldest one left is {oldest}: "
        f"continue after {oldest - 1}, and list what may have changed before",
        oldest_sequence=str(oldest),
    )


def _sequence(view: View, entry: Entry) -> int:
    return entry.position if view.is_of_all else entry.sequence


def max_json_bytes_of(event: Event) -> int:
    """Return the bytes of an event in JSON, or more."""
    # A webhook's URL has at most 2,000 bytes, of which JSON escapes some.
    return 400 + (max_json_bytes(event.data) if isinstance(event.data, Invoice) else 5000)
