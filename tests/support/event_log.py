"""Compares the event log with the store: everything in it happened, and everything that happened is in it."""

from collections import defaultdict

from tilld.event_log.entry import ALL_USERS, Entry, EventType
from tilld.event_log.repository import EventLog
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.repository import Store

ENDS = {
    Status.PAID: EventType.INVOICE_PAID,
    Status.EXPIRED: EventType.INVOICE_EXPIRED,
    Status.CANCELED: EventType.INVOICE_CANCELED,
}


async def all_entries(store: Store, username: str = ALL_USERS) -> list[Entry]:
    """Return a whole log."""
    log, entries = EventLog(store), list[Entry]()
    while True:
        page = await log.page(username, len(entries), 1000)
        entries += page.entries
        if page.is_end:
            return entries


async def check_event_log(store: Store) -> list[Entry]:
    """Check the log against all invoices of the store, and return it. The store always had the log."""
    entries = await all_entries(store)
    assert [each.position for each in entries] == list(range(1, len(entries) + 1))
    assert len({each.id for each in entries}) == len(entries)
    of_user, of_invoice = defaultdict[str, list[Entry]](list), defaultdict[str, list[EventType]](list)
    for entry in entries:
        of_user[entry.username].append(entry)
        of_invoice[entry.subject].append(entry.type)
    for username, theirs in of_user.items():
        assert [each.sequence for each in theirs] == list(range(1, len(theirs) + 1))
        assert await all_entries(store, username) == theirs
        assert (await EventLog(store).bounds(username)).newest == len(theirs)
    async for page, unreadable in store.pages():
        assert not unreadable
        for invoice in page:
            check_events(of_invoice.pop(invoice.invoice_id, []), invoice)
    assert not of_invoice, "events without an invoice"
    return entries


def check_events(types: list[EventType], invoice: Invoice) -> None:
    """Check the events of one invoice: created, then its end. A payment may come after an earlier end."""
    created, ends = types[:1], types[1:]
    assert created == [EventType.INVOICE_CREATED], (invoice, types)
    expected = [ENDS[invoice.status]] if invoice.is_final else []
    if len(ends) > len(expected) and invoice.status is Status.PAID:
        assert ends[0] in (EventType.INVOICE_EXPIRED, EventType.INVOICE_CANCELED), (invoice, types)
        ends = ends[1:]
    assert ends == expected, (invoice, types)
