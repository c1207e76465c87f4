"""What Till remembers of the invoices that it sends: each attempt, written before the node is asked."""

import peewee

from tilld.invoices.invoice import Invoice
from tilld.invoices.sql import INVOICES
from tilld.invoices.totals import Totals
from tilld.invoices.transactions import InvoiceTransactions
from tilld.sent_invoices.attempt import SendAttempt
from tilld.storage.executor import Executor
from tilld.storage.rows import Rows
from tilld.storage.statements import Statement, compiled, param, whole_rows
from tilld.storage.tables import AttemptTable, InvoiceTable


class AttemptStore:
    """Attempts, in the database of a store, which raises what it raises there."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        self._do = AttemptTransactions(store.database)
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
            # Changes nothing, and keeps others from ending it meanwhile.
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
        """The last attempt of a user under a label."""
        return ATTEMPTS.first(await self._store.read(self._latest(username=username, label=label)))

    async def has_label(self, username: str, label: str) -> bool:
        """Whether a label of a user is that of an invoice that was sent."""
        return await self.latest(username, label) is not None

    async def pending(self, node_id: str) -> list[SendAttempt]:
        """Attempts of a node whose outcome is not known, the oldest first; at most 1000."""
        pending = self._pending(node_id=node_id, limit=self._store.page_size)
        return ATTEMPTS.all(await self._store.read(pending))

    async def reserve(self, sending: SendAttempt) -> bool:
        """Write down that an attempt will be made; tells whether it is ours to make.

        It is not where another process has reserved the same one.
        """
        # Done twice after a lost connection, it is not ours: then it is looked up at the node, as any other.
        return bool(await self._store.write(lambda do: do.rows(self._reserve(values=ATTEMPTS.row(sending)))))

    async def end(self, sending: SendAttempt) -> None:
        """Write down the outcome of an attempt, unless that is there already."""
        end = self._end(
            node_label=sending.node_label,
            state=sending.state.value,
            code=sending.code,
            reason=sending.reason,
        )
        await self._store.write(lambda do: do.execute(end))

    async def add(self, invoice: Invoice) -> None:
        """Add the invoice of an attempt, unless it is there; it takes the label from those that failed.

        Nothing is added once the attempt has ended: who was slow to look would take the label from the next.
        """
        await self._store.write(lambda _: self._do.add_sent(invoice, self._hold, self._free_label))


class AttemptTransactions(InvoiceTransactions):
    """Transactions on invoices that are being sent. To do one twice does no harm."""

    def add_sent(self, invoice: Invoice, hold: Statement, free_label: Statement) -> None:
        """Add an invoice that is being sent, unless it is there; it gets the label of those that failed."""
        with self._database.atomic():
            if not self.rows(hold(node_label=invoice.invoice_id)):
                return
            free = free_label(username=invoice.username, label=invoice.label, invoice_id=invoice.invoice_id)
            self.execute(free)
            if self.rows(self.sql.add_invoices(1)(values=INVOICES.row(invoice))):
                self.add_to_totals(Totals.created, [invoice])


ATTEMPTS = Rows(AttemptTable.node_label, SendAttempt, lambda attempt: attempt.type)
