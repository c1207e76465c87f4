"""Transactions on invoices, run on the calling thread."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress
from typing import Any

import peewee

from tilld.auth.caller import Creator
from tilld.event_log.entry import Change, EventType
from tilld.event_log.transactions import LogTransactions
from tilld.formats.members import digest, members
from tilld.formats.times import milliseconds, unix_seconds, utc_now
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status
from tilld.invoices.sql import INVOICES, InvoiceSQL
from tilld.invoices.totals import Totals
from tilld.invoices.webhook import InvoiceWebhook
from tilld.storage.nodes import Cursors, Followed
from tilld.storage.statements import Bound, Statement, Transactions, padded

# In larger statements PostgreSQL spends its time comparing all pairs of updates and rows.
SETTLED_AT_ONCE = 64


# Rows of two columns: SQLite allows 32,766 values in a statement, and a batch of creates has few.
ADDED_AT_ONCE = 1024


class InvoiceTransactions(Transactions):
    """Idempotent transactions on invoices."""

    def __init__(self, database: peewee.Database, secret: bytes) -> None:
        super().__init__(database)
        self.sql = InvoiceSQL(database)
        self.log = LogTransactions(database, secret)
        self._cursors = Cursors(database)

    def add(self, items: Sequence[tuple[Invoice, InvoiceWebhook | None]]) -> list[bool]:
        """Insert invoices with their webhooks; return for each whether it is new."""
        invoices = [invoice for invoice, _ in items]
        values = tuple(chain.from_iterable(map(INVOICES.row, invoices)))
        with self._database.atomic():
            add = self.sql.add_invoices(len(invoices))
            added = {invoice_id for (invoice_id,) in self.rows(add(values=values))}
            are_new = [invoice.id in added for invoice in invoices]
            new = list(compress(invoices, are_new))
            self._add_members(new)
            for invoice, webhook in compress(items, are_new):
                if webhook:
                    self._add_webhook(invoice, webhook)
            self.add_to_totals(Totals.created, new)
            self.log.add([Change(each.username, EventType.INVOICE_CREATED, each.invoice_id) for each in new])
        return are_new

    def adopt(self, invoices: Sequence[Invoice]) -> list[Invoice]:
        """Insert invoices in their present state; return the new ones."""
        with self._database.atomic():
            add = self.sql.add_invoices(1)
            added = [each for each in invoices if self.rows(add(values=INVOICES.row(each)))]
            self._add_members(added)
            self.add_to_totals(Totals.created, added)
            for username, count in sorted(Counter(each.username for each in added).items()):
                self.log.count_imported(username, count)
        return added

    def add_preimages(self, seen: Sequence[InvoiceUpdate]) -> None:
        """Add the preimages of stored payments."""
        with self._database.atomic():
            for each in seen:
                if each.payment:
                    preimage = each.payment.payment_preimage
                    self.execute(
                        self.sql.add_preimage(payment_hash=each.payment_hash, payment_preimage=preimage)
                    )

    def remove_unpaid(self, expired_before: int, limit: int) -> int:
        """Remove expired and canceled invoices; return their number. The totals keep them.

        Invoices whose end is in the event log stay. Those that expired since its oldest event are not even
        looked at, since nearly all of them have such an event.
        """
        with self._database.atomic():
            oldest = self.log.oldest_recorded_at()
            if oldest is not None:
                expired_before = min(expired_before, oldest // 1000)
            removed = self.rows(self.sql.remove_unpaid(before=expired_before, limit=limit))
            keys = [
                (digest(username, each), invoice)
                for invoice, username, _, metadata in removed
                for each in members(metadata)
            ]
            for key, invoice in keys:
                self.execute(self.sql.remove_member(digest=key, id=invoice))
            counts = Counter(Creator(username, key_id) for _, username, key_id, _ in removed)
            for creator, invoices in sorted(counts.items()):
                self.execute(self.sql.add_removed(**creator._asdict(), invoices=invoices))
        return len(removed)

    def _add_members(self, invoices: Iterable[Invoice]) -> None:
        """Add the searchable members of new invoices to their index."""
        found = [
            (digest(invoice.username, each), invoice.id)
            for invoice in invoices
            for each in members(invoice.metadata)
        ]
        for start in range(0, len(found), ADDED_AT_ONCE):
            batch = padded(found[start : start + ADDED_AT_ONCE])
            self.execute(self.sql.add_members(len(batch))(values=tuple(chain.from_iterable(batch))))

    def _add_webhook(self, invoice: Invoice, webhook: InvoiceWebhook) -> None:
        add = self.sql.add_webhook(
            **webhook._asdict(),
            username=invoice.username,
            key_id=invoice.key_id,
            metadata_type=invoice.type,
            invoice_id=invoice.invoice_id,
            created_at=milliseconds(utc_now()),
        )
        self.execute(add)

    def recount(self) -> None:
        """Replace the totals by a recount."""
        with self._database.atomic():
            if not isinstance(self._database, peewee.SqliteDatabase):
                # Statements after the lock see earlier commits, and block later ones.
                self.execute(Bound("LOCK TABLE tallies IN EXCLUSIVE MODE"))
            self.execute(self.sql.forget_totals())
            self.execute(self.sql.recount())

    def settle(
        self,
        node_id: str,
        seen: Sequence[InvoiceUpdate],
        index: int | None = None,
        cursor: Followed = "invoices",
    ) -> list[Invoice]:
        """Store the node's updates, and the index followed so far; return the changed invoices."""
        closed = [
            {"payment_hash": each.payment_hash, "status": each.status.value}
            for each in seen
            if each.status in (Status.EXPIRED, Status.CANCELED)
        ]
        paid = [
            {
                "payment_hash": each.payment_hash,
                **payment._asdict(),
                "paid_at": unix_seconds(payment.paid_at),
            }
            for each in seen
            if (payment := each.payment)
        ]
        with self._database.atomic():
            if index is not None:
                # The cursor goes first: concurrent followers of one node then wait here, before they lock
                # invoices.
                self.follow(node_id, cursor, index)
            changed = [
                *self._changed(self.sql.pay, node_id, paid),
                *self._changed(self.sql.close, node_id, closed),
            ]
            self.add_to_totals(Totals.settled, changed)
            known = {each.payment_hash for each in changed}
            unpaid = [each for each in paid if each["payment_hash"] not in known]
            late = list(self._changed(self.sql.pay_late, node_id, unpaid))
            self.add_to_totals(Totals.paid_late, late)
            # In the node's order, which the database does not keep.
            order = {each.payment_hash: at for at, each in enumerate(seen)}
            settled = sorted((*changed, *late), key=lambda each: order[each.payment_hash])
            self.log.add([_ended(each) for each in settled])
        return settled

    def end_cancel(self, node_id: str, seen: InvoiceUpdate) -> list[Invoice]:
        """Store the outcome of a cancellation, and remove its mark; return the changed invoice."""
        with self._database.atomic():
            changed = self.settle(node_id, [seen])
            self.execute(self.sql.end_cancel(payment_hash=seen.payment_hash))
        return changed

    def _changed(
        self, statement: Callable[[int], Statement], node_id: str, facts: Sequence[Mapping[str, Any]]
    ) -> Iterator[Invoice]:
        """Apply these updates; yield the changed invoices."""
        for start in range(0, len(facts), SETTLED_AT_ONCE):
            batch = padded(facts[start : start + SETTLED_AT_ONCE])
            columns = {name: [each[name] for each in batch] for name in batch[0]}
            yield from INVOICES.all(self.rows(statement(len(batch))(node_id=node_id, **columns)))

    def follow(self, node_id: str, cursor: Followed, index: int) -> None:
        """Store the index up to which a node was followed."""
        follow = self._cursors.follow(node_id=node_id, subsystem=cursor, updated_index=index)
        self.execute(follow)

    def add_to_totals(self, added: Callable[[Invoice], Totals], invoices: Iterable[Invoice]) -> None:
        """Add the effect on invoices to the totals, within the same transaction."""
        of_creators: defaultdict[Creator, list[Totals]] = defaultdict(list)
        for invoice in invoices:
            of_creators[invoice.creator].append(added(invoice))
        # A fixed order of locks prevents deadlocks between transactions.
        for creator, totals in sorted(of_creators.items()):
            self.execute(self.sql.add_to_totals(**creator._asdict(), **Totals.sum(totals)._asdict()))


_ENDED = {
    Status.PAID: EventType.INVOICE_PAID,
    Status.EXPIRED: EventType.INVOICE_EXPIRED,
    Status.CANCELED: EventType.INVOICE_CANCELED,
}


def _ended(invoice: Invoice) -> Change:
    """Return the change of an invoice to its final state."""
    return Change(invoice.username, _ENDED[invoice.status], invoice.invoice_id)
