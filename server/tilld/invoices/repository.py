"""The store of invoices and totals. Its interface uses domain types."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import compress
from typing import TypeVar

import peewee
import structlog

from tilld.auth.caller import Creator
from tilld.config import USUAL, Intervals
from tilld.errors import Internal
from tilld.formats.times import unix_seconds
from tilld.invoices.invoice import Invoice, InvoiceUpdate
from tilld.invoices.sql import INVOICES
from tilld.invoices.totals import Totals
from tilld.invoices.transactions import InvoiceTransactions
from tilld.invoices.webhook import InvoiceWebhook
from tilld.runtime.observer import NOBODY, Observer
from tilld.runtime.ttl_cache import TTLCache
from tilld.storage.executor import Executor
from tilld.storage.group_commit import GroupCommit
from tilld.storage.nodes import Followed
from tilld.storage.statements import Bound, Statement, Transactions, padded

log = structlog.get_logger()

Done = TypeVar("Done")

# Upper bound on the delay of other processes' writes. Reading totals is half the cost of GetInfo.
TOTALS_SECONDS = 0.05


class Store(Executor):
    """The invoices in a database that other repositories share."""

    def __init__(
        self, database: peewee.Database, observer: Observer = NOBODY, intervals: Intervals = USUAL
    ) -> None:
        super().__init__(database, observer, intervals)
        self._do = InvoiceTransactions(database, self.secret)
        self._sql = self._do.sql
        self._adding = GroupCommit(self._insert, intervals)
        self._totals = TTLCache[Totals](TOTALS_SECONDS)

    def expecting(self) -> AbstractContextManager[None]:
        """Announce, while the context is open, that an invoice is about to be added."""
        return self._adding.expecting()

    async def add(self, invoice: Invoice, webhook: InvoiceWebhook | None = None) -> Invoice:
        """Add an invoice with its webhook, unless its invoice_id exists. Return the stored invoice."""
        with self._observer.store_call("add"):
            is_new = await self._adding.add((invoice, webhook))
        if is_new:
            return invoice
        stored = await self.get(invoice.invoice_id)
        if stored is None:
            log.error("invoice_id is in use by another invoice", invoice_id=invoice.invoice_id)
            raise Internal
        return stored

    async def get(self, invoice_id: str) -> Invoice | None:
        """Return the invoice with a public id, or None."""
        return await self._find(self._sql.by_invoice_id(invoice_id=invoice_id))

    async def get_by_id(self, internal_id: str) -> Invoice | None:
        """Return the invoice with an internal id, or None."""
        return await self._find(self._sql.by_id(id=internal_id))

    async def get_by_label(self, username: str, label: str) -> Invoice | None:
        """Return a user's invoice with a label, or None."""
        return await self._find(self._sql.by_label(username=username, label=label))

    async def get_by_payment_hash(self, payment_hash: str) -> Invoice | None:
        """Return the invoice with a payment hash, or None."""
        return await self._find(self._sql.by_payment_hash(payment_hash=payment_hash))

    async def get_many(self, invoice_ids: Sequence[str]) -> list[Invoice]:
        """Return the existing invoices among at most 1000 ids, in any order."""
        return await self._find_many(self._sql.by_invoice_ids, invoice_ids)

    async def get_by_payment_hashes(self, payment_hashes: Sequence[str]) -> list[Invoice]:
        """Return the existing invoices among at most 1000 payment hashes, in any order."""
        return await self._find_many(self._sql.by_payment_hashes, payment_hashes)

    async def webhook_url(self, invoice_id: str) -> str | None:
        """Return the URL of an invoice's webhook, or None."""
        rows = await self.read(self._sql.webhook_url(invoice_id=invoice_id))
        return rows[0][0] if rows else None

    async def pages(self) -> AsyncIterator[tuple[list[Invoice], int]]:
        """Yield all invoices by internal id in pages of at most 1000, and each page's unreadable rows."""
        after_id = ""
        while rows := await self.read(self._sql.after_id(id=after_id, limit=self.page_size)):
            invoices = INVOICES.all(rows)
            yield invoices, len(rows) - len(invoices)
            after_id = rows[-1][0]

    async def add_preimages(self, seen: Sequence[InvoiceUpdate]) -> None:
        """Add the preimages of payments that were stored without them."""
        await self.write(lambda _: self._do.add_preimages(seen))

    async def remove_unpaid(self, expired_before: datetime) -> int:
        """Remove some expired and canceled invoices that expired before then; return their number."""
        before = unix_seconds(expired_before)
        return await self.write(lambda _: self._do.remove_unpaid(before, self.removal_batch))

    async def adopt(self, invoices: Sequence[Invoice]) -> list[Invoice]:
        """Add invoices in their present state, unless they exist. Return the added ones."""
        return await self.write(lambda _: self._do.adopt(invoices))

    async def end_import(self, username: str) -> None:
        """Record that an import of invoices has ended."""
        await self.write(lambda _: self._do.log.end_import(username))

    async def settle(
        self,
        node_id: str,
        seen: Sequence[InvoiceUpdate],
        index: int | None = None,
        cursor: Followed = "invoices",
    ) -> list[Invoice]:
        """Store the node's updates of invoices and, if given, the index up to which updates were followed.

        Unknown and already settled invoices stay unchanged. Returns the changed invoices.
        """
        return await self.write(lambda _: self._do.settle(node_id, seen, index, cursor))

    async def open_payment_hashes(self, node_id: str) -> list[str]:
        """Return the payment hashes of all open invoices of a node."""
        rows = await self.read(self._sql.open_payment_hashes(node_id=node_id))
        return [payment_hash for (payment_hash,) in rows]

    async def begin_cancel(self, invoice: Invoice) -> None:
        """Mark an invoice as being canceled."""
        begin = self._sql.begin_cancel(payment_hash=invoice.payment_hash, node_id=invoice.node_id)
        await self.write(lambda do: do.execute(begin))

    async def end_cancel(self, node_id: str, seen: InvoiceUpdate) -> list[Invoice]:
        """Store the outcome of a cancellation, and remove its mark. Return the invoice if it changed."""
        return await self.write(lambda _: self._do.end_cancel(node_id, seen))

    async def cancellations(self, node_id: str) -> list[str]:
        """Return the payment hashes of the node's invoices that are being canceled: at most 1000."""
        marked = self._sql.cancellations(node_id=node_id, limit=self.page_size)
        return [payment_hash for (payment_hash,) in await self.read(marked)]

    async def overdue(self, node_id: str, expired_before: datetime) -> list[Invoice]:
        """Return the node's open invoices that expired before then: at most 1000, the oldest first."""
        before = unix_seconds(expired_before)
        overdue = self._sql.overdue(node_id=node_id, before=before, limit=self.page_size)
        return INVOICES.all(await self.read(overdue))

    async def totals(self, username: str | None = None) -> Totals:
        """Return the stored totals of a user, or of all users.

        Recent writes of other processes may be missing. Writes of this process are included.
        """
        name = "" if username is None else username
        if totals := self._totals.get(name):
            return totals
        asked_at = time.monotonic()
        sql = self._sql
        rows = await self.read(sql.totals() if username is None else sql.totals_of_user(username=username))
        totals = Totals.sum(Totals(*row) for row in rows)
        self._totals.keep(name, totals, asked_at)
        return totals

    async def open_invoices(self, creator: Creator) -> int:
        """Return how many invoices of a creator are unpaid."""
        rows = await self.read(self._sql.open_invoices(**creator._asdict()))
        return rows[0][0] if rows else 0

    async def audit(self) -> tuple[dict[Creator, Totals], dict[Creator, Totals]]:
        """Return the stored totals, and the totals of a recount."""
        kept: dict[Creator, Totals] = {}
        counted: dict[Creator, Totals] = {}
        for username, key_id, *totals, is_counted in await self.read(self._sql.audit()):
            (counted if is_counted else kept)[Creator(username, key_id)] = Totals(*map(int, totals))
        return kept, counted

    async def recount(self) -> None:
        """Replace the stored totals by a recount of all invoices."""
        await self.write(lambda _: self._do.recount())

    async def write(self, work: Callable[[Transactions], Done], operation: str = "write") -> Done:
        """Run an idempotent write."""
        try:
            return await super().write(work, operation)
        finally:
            # A failed write may still have been committed.
            self._totals.forget()

    async def _insert(self, items: list[tuple[Invoice, InvoiceWebhook | None]]) -> list[bool]:
        are_new = await self.write(lambda _: self._do.add(items), "batch")
        # Logged here, since the caller may have disconnected.
        for invoice, _ in compress(items, are_new):
            log.info(
                "invoice created",
                invoice_id=invoice.invoice_id,
                username=invoice.username,
                key_id=invoice.key_id,
                amount_msat=invoice.amount_msat,
                payment_hash=invoice.payment_hash,
            )
        return are_new

    async def _find(self, statement: Bound) -> Invoice | None:
        return INVOICES.first(await self.read(statement))

    async def _find_many(self, statement: Callable[[int], Statement], keys: Sequence[str]) -> list[Invoice]:
        if not keys:
            return []
        values = padded(keys)
        return INVOICES.all(await self.read(statement(len(values))(values=values)))
