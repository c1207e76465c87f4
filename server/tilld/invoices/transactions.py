"""Transactions on invoices, run on the calling thread."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress
from typing import Any

import peewee

from tilld.auth.caller import Creator
from tilld.formats.times import unix_seconds
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status
from tilld.invoices.sql import INVOICES, InvoiceSQL
from tilld.invoices.totals import Totals
from tilld.lightningd.node import Subsystem
from tilld.storage.nodes import Cursors
from tilld.storage.statements import Bound, Statement, Transactions, padded

# In larger statements PostgreSQL spends its time comparing all pairs of updates and rows.
SETTLED_AT_ONCE = 64


class InvoiceTransactions(Transactions):
    """Idempotent transactions on invoices."""

    def __init__(self, database: peewee.Database) -> None:
        super().__init__(database)
        self.sql = InvoiceSQL(database)
        self._cursors = Cursors(database)

    def add(self, invoices: list[Invoice]) -> list[bool]:
        """Insert invoices; return for each whether it is new."""
        values = tuple(chain.from_iterable(map(INVOICES.row, invoices)))
        with self._database.atomic():
            add = self.sql.add_invoices(len(invoices))
            added = {invoice_id for (invoice_id,) in self.rows(add(values=values))}
            are_new = [invoice.id in added for invoice in invoices]
            self.add_to_totals(Totals.created, compress(invoices, are_new))
        return are_new

    def adopt(self, invoices: Sequence[Invoice]) -> list[Invoice]:
        """Insert invoices in their present state; return the new ones."""
        with self._database.atomic():
            add = self.sql.add_invoices(1)
            added = [each for each in invoices if self.rows(add(values=INVOICES.row(each)))]
            self.add_to_totals(Totals.created, added)
        return added

    def recount(self) -> None:
        """Replace the totals by a recount."""
        with self._database.atomic():
            if not isinstance(self._database, peewee.SqliteDatabase):
                # Statements after the lock see earlier commits, and block later ones.
                self.execute(Bound("LOCK TABLE tallies IN EXCLUSIVE MODE"))
            self.execute(self.sql.forget_totals())
            self.execute(self.sql.recount())

    def settle(self, node_id: str, seen: Sequence[InvoiceUpdate], updated_index: int | None) -> list[Invoice]:
        """Store the node's updates, and the index followed so far; return the changed invoices."""
        expired = [{"payment_hash": each.payment_hash} for each in seen if each.status is Status.EXPIRED]
        paid = [
            {
                "payment_hash": each.payment_hash,
                "pay_index": payment.pay_index,
                "amount_received_msat": payment.amount_received_msat,
                "paid_at": unix_seconds(payment.paid_at),
            }
            for each in seen
            if (payment := each.payment)
        ]
        with self._database.atomic():
            if updated_index is not None:
                # The cursor goes first: concurrent followers of one node then wait here, before they lock
                # invoices.
                self.follow(node_id, "invoices", updated_index)
            changed = [
                *self._changed(self.sql.pay, node_id, paid),
                *self._changed(self.sql.expire, node_id, expired),
            ]
            self.add_to_totals(Totals.settled, changed)
        return changed

    def _changed(
        self, statement: Callable[[int], Statement], node_id: str, facts: Sequence[Mapping[str, Any]]
    ) -> Iterator[Invoice]:
        """Apply these updates to open invoices; yield the changed ones."""
        for start in range(0, len(facts), SETTLED_AT_ONCE):
            batch = padded(facts[start : start + SETTLED_AT_ONCE])
            columns = {name: [each[name] for each in batch] for name in batch[0]}
            yield from INVOICES.all(self.rows(statement(len(batch))(node_id=node_id, **columns)))

    def follow(self, node_id: str, subsystem: Subsystem, updated_index: int) -> None:
        """Store the index up to which a node was followed."""
        follow = self._cursors.follow(node_id=node_id, subsystem=subsystem, updated_index=updated_index)
        self.execute(follow)

    def add_to_totals(self, added: Callable[[Invoice], Totals], invoices: Iterable[Invoice]) -> None:
        """Add the effect on invoices to the totals, within the same transaction."""
        of_creators: defaultdict[Creator, list[Totals]] = defaultdict(list)
        for invoice in invoices:
            of_creators[invoice.creator].append(added(invoice))
        # A fixed order of locks prevents deadlocks between transactions.
        for creator, totals in sorted(of_creators.items()):
            self.execute(self.sql.add_to_totals(**creator._asdict(), **Totals.sum(totals)._asdict()))
