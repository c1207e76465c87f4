"""The store of attempts to send invoices. An attempt is stored before the node is called."""

from collections.abc import Sequence
from functools import cache

import peewee

from tilld.event_log.entry import Change, EventType
from tilld.invoices.invoice import Invoice
from tilld.invoices.sql import INVOICES
from tilld.invoices.totals import Totals
from tilld.invoices.transactions import InvoiceTransactions
from tilld.sent_invoices.attempt import SendAttempt
from tilld.storage.executor import Executor
from tilld.storage.rows import Rows
from tilld.storage.statements import Statement, compiled, padded, param, param_list, whole_rows
from tilld.storage.tables import AttemptTable, InvoiceTable


class AttemptStore:
    """The attempts in the database of a store. Raises the store's errors."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        self._labels = cache(self._labels_of)
        self._do = AttemptTransactions(store.database, store.secret)
        with store.database.bind_ctx([InvoiceTable, AttemptTable]):
            attempts = AttemptTable.select()
            of_label = attempts.where(
                AttemptTable.username == param("username"), AttemptTable.label == param("label")
            )
            self._latest = compiled(of_label.order_by(AttemptTable.attempt.desc()).limit(1))
            is_sending = AttemptTable.state == peewee.SQL("'sending'")
            pending = attempts.where(is_sending, AttemptTable.node_id == param("node_id"))
            oldest = pending.order_by(AttemptTable.created_at).limit(param("limit"))
            self._pending = compiled(oldest)
            new = AttemptTable.insert_many(whole_rows(AttemptTable))
            self._reserve = compiled(new.on_conflict_ignore().returning(AttemptTable.node_label))
            outcome = AttemptTable.update({name: param(name) for name in ("state", "code", "reason")})
            has_node_label = AttemptTable.node_label == param("node_label")
            self._end = compiled(outcome.where(has_node_label, is_sending))
            # Changes nothing, but locks the row so that no other process ends the attempt meanwhile.
            held = AttemptTable.update(node_label=AttemptTable.node_label)
            self._hold = compiled(held.where(has_node_label, is_sending).returning(AttemptTable.attempt))
            free = InvoiceTable.update(label=None).where(
                InvoiceTable.username == param("username"),
                InvoiceTable.label == param("label"),
                InvoiceTable.invoice_id != param("invoice_id"),
                InvoiceTable.pay_index.is_null(),
            )
            self._free_label = compiled(free)

    async def latest(self, username: str, label: str) -> SendAttempt | None:
        """Return a user's last attempt under a label, or None."""
        return ATTEMPTS.first(await self._store.read(self._latest(username=username, label=label)))

    async def has_label(self, username: str, label: str) -> bool:
        """Return whether a user's label belongs to a sent invoice."""
        return await self.latest(username, label) is not None

    async def pending(self, node_id: str) -> list[SendAttempt]:
        """Return a node's attempts without outcome, the oldest first; at most 1000."""
        pending = self._pending(node_id=node_id, limit=self._store.page_size)
        return ATTEMPTS.all(await self._store.read(pending))

    async def labels(self, invoice_ids: Sequence[str]) -> dict[str, str]:
        """Return the labels under which invoices were sent, by invoice_id; at most 1000."""
        if not invoice_ids:
            return {}
        values = padded(invoice_ids)
        return dict(await self._store.read(self._labels(len(values))(values=values)))

    async def reserve(self, sending: SendAttempt) -> bool:
        """Store an attempt that is about to be made; return whether this process may make it.

        Returns False if another process has reserved the same attempt.
        """
        # A repeat after a lost connection also returns False; recovery then looks the attempt up at the node.
        return bool(await self._store.write(lambda do: do.rows(self._reserve(values=ATTEMPTS.row(sending)))))

    async def end(self, sending: SendAttempt) -> None:
        """Store the outcome of an attempt, unless one is stored."""
        end = self._end(
            node_label=sending.node_label,
            state=sending.state.value,
            code=sending.code,
            reason=sending.reason,
        )
        await self._store.write(lambda do: do.execute(end))

    async def add(self, invoice: Invoice) -> None:
        """Store the invoice of an attempt, unless it exists. It takes the label of failed attempts.

        Ignored once the attempt has ended: a late lookup must not take the label from the next attempt.
        """
        await self._store.write(lambda _: self._do.add_sent(invoice, self._hold, self._free_label))

    def _labels_of(self, count: int) -> Statement:
        with self._store.database.bind_ctx([AttemptTable]):
            labels = AttemptTable.select(AttemptTable.node_label, AttemptTable.label)
            return compiled(labels.where(AttemptTable.node_label.in_(param_list("values", count))))


class AttemptTransactions(InvoiceTransactions):
    """Idempotent transactions on invoices that are being sent."""

    def add_sent(self, invoice: Invoice, hold: Statement, free_label: Statement) -> None:
        """Insert the invoice of an attempt, unless it exists. It takes the label of failed attempts."""
        with self._database.atomic():
            if not self.rows(hold(node_label=invoice.invoice_id)):
                return
            free = free_label(username=invoice.username, label=invoice.label, invoice_id=invoice.invoice_id)
            self.execute(free)
            if self.rows(self.sql.add_invoices(1)(values=INVOICES.row(invoice))):
                self.add_to_totals(Totals.created, [invoice])
                self.log.add([Change(invoice.username, EventType.INVOICE_CREATED, invoice.invoice_id)])


ATTEMPTS = Rows(AttemptTable.node_label, SendAttempt, lambda attempt: attempt.type)
