"""What Till remembers of the invoices that it sends: each attempt, written before the node is asked."""

from typing import Any

import peewee

from tilld.formats.times import stored_time, unix_seconds
from tilld.invoices.invoice import Invoice
from tilld.invoices.sql import row_of
from tilld.invoices.totals import Totals
from tilld.invoices.transactions import InvoiceTransactions
from tilld.sent_invoices.attempt import SendAttempt, State
from tilld.storage.executor import PAGE, Executor
from tilld.storage.rows import Rows
from tilld.storage.statements import compiled
from tilld.storage.tables import AttemptTable, InvoiceTable


class AttemptStore:
    """Attempts, in the database of a store, which raises what it raises there."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        self._do = AttemptTransactions(store.database)
        with store.database.bind_ctx([InvoiceTable, AttemptTable]):
            attempts = AttemptTable.select()
            of_label = attempts.where(AttemptTable.username == "", AttemptTable.label == "")
            self._latest = compiled(of_label.order_by(AttemptTable.attempt.desc()).limit(1))
            is_sending = AttemptTable.state == peewee.SQL("'sending'")
            under_way = attempts.where(is_sending, AttemptTable.node_id == "")
            self._under_way = compiled(under_way.order_by(AttemptTable.created_at).limit(1))
            new = AttemptTable.insert(dict.fromkeys(AttemptTable._meta.sorted_fields, 0))
            self._begin = compiled(new.on_conflict_ignore().returning(AttemptTable.node_label))
            outcome = AttemptTable.update(state="", code="", reason="")
            self._end = compiled(outcome.where(AttemptTable.node_label == "", AttemptTable.state == ""))
            # Changes nothing, and keeps others from ending it meanwhile.
            held = AttemptTable.update(node_label=AttemptTable.node_label)
            self._hold = compiled(
                held.where(AttemptTable.node_label == "", is_sending).returning(AttemptTable.attempt)
            )
            free = InvoiceTable.update(label=None).where(
                InvoiceTable.username == "",
                InvoiceTable.label == "",
                InvoiceTable.invoice_id != "",
                InvoiceTable.pay_index.is_null(),
            )
            self._free_label = compiled(free)

    async def latest(self, username: str, label: str) -> SendAttempt | None:
        """The last attempt of a user under a label."""
        return SENDINGS.first(await self._store.read(self._latest, username, label, 1))

    async def has_label(self, username: str, label: str) -> bool:
        """Whether a label of a user is that of an invoice that was sent."""
        return await self.latest(username, label) is not None

    async def under_way(self, node_id: str) -> list[SendAttempt]:
        """Attempts of a node whose outcome is not known, the oldest first; at most 1000."""
        return SENDINGS.all(await self._store.read(self._under_way, node_id, PAGE))

    async def begin(self, sending: SendAttempt) -> bool:
        """Write down that an attempt will be made; tells whether it is ours to make.

        It is not where another process has begun the same one.
        """
        # Done twice after a lost connection, it is not ours: then it is looked up at the node, as any other.
        return bool(await self._store.write(lambda do: do.rows(self._begin, *_row(sending))))

    async def end(self, sending: SendAttempt) -> None:
        """Write down the outcome of an attempt, unless that is there already."""
        outcome = (sending.state.value, sending.code, sending.reason)
        values = (*outcome, sending.node_label, State.SENDING.value)
        await self._store.write(lambda do: do.execute(self._end, *values))

    async def add(self, invoice: Invoice) -> None:
        """Add the invoice of an attempt, unless it is there; it takes the label from those that failed.

        Nothing is added once the attempt has ended: who was slow to look would take the label from the next.
        """
        await self._store.write(lambda _: self._do.add_sent(invoice, self._hold, self._free_label))


class AttemptTransactions(InvoiceTransactions):
    """Transactions on invoices that are being sent. To do one twice does no harm."""

    def add_sent(self, invoice: Invoice, hold: str, free_label: str) -> None:
        """Add an invoice that is being sent, unless it is there; it gets the label of those that failed."""
        with self._database.atomic():
            if not self.rows(hold, invoice.invoice_id):
                return
            self.execute(free_label, None, invoice.username, invoice.label, invoice.invoice_id)
            if self.rows(self.sql.add_invoices(1), *row_of(invoice)):
                self.add_to_totals(Totals.created, [invoice])


def _row(sending: SendAttempt) -> tuple[Any, ...]:
    return (
        sending.username,
        sending.key_id,
        sending.label,
        sending.attempt,
        sending.node_id,
        sending.node_label,
        sending.invreq,
        sending.amount_msat,
        sending.quantity,
        sending.metadata,
        sending.timeout,
        unix_seconds(sending.created_at),
        sending.state.value,
        sending.code,
        sending.reason,
    )


def _sending(row: tuple[Any, ...]) -> SendAttempt:
    *asked, created_at, state, code, reason = row
    return SendAttempt(*(*asked, stored_time(created_at), State(state), code, reason))


SENDINGS = Rows(AttemptTable.node_label, _sending, lambda sending: sending.type)
