"""The store of lists: pages, walks and reports. Its interface uses domain types."""

from collections.abc import AsyncIterator

from tilld.errors import Internal
from tilld.invoices.invoice import Invoice
from tilld.invoices.sql import INVOICES
from tilld.lists.page_size import MAX_PAGE_BYTES, max_json_bytes
from tilld.lists.report import Report, ReportTerms
from tilld.lists.report_sql import ReportSQL, group_of
from tilld.lists.sql import ListSQL, position_of
from tilld.lists.terms import ListTerms, Position
from tilld.storage.executor import Executor

# Rows of a page of a walk, half a millisecond: the event loop reads SQLite itself. PostgreSQL is read on
# threads, where the hand-over costs more than these rows.
WALKED = 25
WALKED_ON_THREADS = 250


class ListStore:
    """The lists in the database of a store. Raises the store's errors."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        self._sql = ListSQL(store.database)
        self._reports = ReportSQL(store.database)

    async def page(
        self, username: str, terms: ListTerms, position: Position | None
    ) -> tuple[list[Invoice], Position | None]:
        """Return the next invoices of a user's list beyond a position, and the position of the next page.

        The page has at most `terms.page_size` invoices of about 1 MB, and may have none before the end of the
        list.
        """
        wanted = self._sql.page(username, terms, position, terms.scanned)
        rows = await self._store.read(wanted) if wanted else []
        found: list[Invoice] = []
        size = 0
        for at, row in enumerate(rows):
            matching = [each for each in INVOICES.all([row]) if terms.filter.matches(each)]
            size += sum(map(max_json_bytes, matching))
            is_full = len(found) == terms.page_size or (found and size > MAX_PAGE_BYTES)
            if is_full or at == terms.scanned - 1:
                return found, position_of(rows[at - 1], terms.order)
            found += matching
        return found, None

    async def walk(self, username: str, terms: ListTerms) -> AsyncIterator[list[Invoice]]:
        """Yield the invoices of a user's list in pages, without holding up other calls.

        Raises Internal at an unreadable row.
        """
        rows = WALKED if self._store.is_local else WALKED_ON_THREADS
        position = None
        while True:
            wanted = self._sql.page(username, terms, position, rows)
            found = await self._store.read(wanted) if wanted else []
            invoices = INVOICES.all(found)
            if len(invoices) < len(found):
                raise Internal
            yield [each for each in invoices if terms.filter.matches(each)]
            if len(found) < rows:
                return
            position = position_of(found[-1], terms.order)

    async def report(self, username: str, type: str | None, terms: ReportTerms) -> Report:  # noqa: A002
        """Return the report of a user's payments, of one type or all."""
        rows = await self._store.scan(self._reports.report(username, type, terms))
        return Report.of(group_of(row, terms.by) for row in rows)
