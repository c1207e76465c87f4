"""Use cases of lists: pages, exports and reports of the caller's invoices."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import tzinfo
from typing import NamedTuple

from tilld.auth.caller import Caller
from tilld.auth.limits import Limits
from tilld.errors import PermissionDenied
from tilld.formats.times import Clock, utc_now
from tilld.invoices.invoice import Invoice
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.lists.csv_lines import CsvLines, CsvPart
from tilld.lists.page_token import page_token, position_in
from tilld.lists.report import Report, ReportTerms
from tilld.lists.repository import ListStore
from tilld.lists.terms import ListTerms

# Invoices that an export formats in one turn of the event loop, for half a millisecond.
EXPORTED = 25
# Turns of the event loop for other calls in between: a read needs several.
TURNS = 4


class Page(NamedTuple):
    """A page of a list. The token is empty after the last page; the page may be empty before."""

    invoices: list[Invoice]
    next_page_token: str


class InvoiceLists:
    """Lists of callers' invoices."""

    def __init__(self, store: Store, node: InvoiceNode, limits: Limits, clock: Clock = utc_now) -> None:
        self._store = store
        self._lists = ListStore(store)
        self._node = node
        self._limits = limits
        self._clock = clock

    async def page(self, caller: Caller, terms: ListTerms) -> Page:
        """Return a page of the invoices that the caller may see.

        Raises InvalidRequest if the page token is of another list; PermissionDenied for a watch token.
        """
        limited = _limited(caller, terms)
        position = position_in(self._store.secret, caller, terms)
        if limited is None:
            return Page([], "")
        if limited.filter.is_of_one:
            return Page(await self._one(caller, limited), "")
        found, position = await self._lists.page(caller.username, limited, position)
        token = page_token(self._store.secret, caller, terms, position) if position else ""
        return Page([self._read(each) for each in found], token)

    async def export(self, caller: Caller, terms: ListTerms, zone: tzinfo) -> AsyncGenerator[CsvPart]:
        """Yield the invoices that the caller may see as CSV, with times in a zone.

        Raises PermissionDenied for a watch token, and TooMany; Unavailable or Internal if the file cannot be
        completed.
        """
        limited = _limited(caller, terms)
        async with self._limits.exporting(caller), aclosing(self._walk(caller, limited)) as pages:
            lines = CsvLines(zone)
            # The header first, since a filter may match few rows.
            yield lines.taken()
            async for page in pages:
                for at in range(0, max(len(page), 1), EXPORTED):
                    for invoice in page[at : at + EXPORTED]:
                        lines.add(self._read(invoice))
                        if lines.are_many:
                            yield lines.taken()
                    for _ in range(TURNS):
                        await asyncio.sleep(0)
            if (part := lines.taken()).invoices:
                yield part

    async def report(self, caller: Caller, terms: ReportTerms) -> Report:
        """Return the report of the payments that the caller may see. Raises TooMany."""
        async with self._limits.exporting(caller):
            return await self._lists.report(caller.username, caller.type, terms)

    async def _walk(self, caller: Caller, limited: ListTerms | None) -> AsyncGenerator[list[Invoice]]:
        """Yield the pages of a list."""
        if limited is None:
            return
        if limited.filter.is_of_one:
            yield await self._one(caller, limited)
        else:
            async for page in self._lists.walk(caller.username, limited):
                yield page

    async def _one(self, caller: Caller, terms: ListTerms) -> list[Invoice]:
        """Return the invoice with a label or a payment hash, if it matches the other fields too."""
        wanted = terms.filter
        if wanted.payment_hash is not None:
            found = await self._store.get_by_payment_hash(wanted.payment_hash)
        else:
            found = await self._store.get_by_label(caller.username, wanted.label or "")
        if found is None or not found.is_visible_to(caller) or not wanted.matches(found):
            return []
        return [] if terms.order.is_by_payment and not found.payment else [self._read(found)]

    def _read(self, invoice: Invoice) -> Invoice:
        return invoice if self._node.is_there(invoice.node_id) else invoice.by_the_clock(self._clock())


def _limited(caller: Caller, terms: ListTerms) -> ListTerms | None:
    """Return the terms within what the caller may see, or None if that is nothing."""
    if caller.invoice_id:
        raise PermissionDenied("a watch token reads one invoice; use a key for lists")
    return terms.limited_to(caller)
