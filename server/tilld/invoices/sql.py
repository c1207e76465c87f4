"""SQL statements of invoices and totals."""

from functools import cache, partial
from typing import Any

import peewee

from tilld.invoices.invoice import Invoice, Payment, Status
from tilld.invoices.terms import type_of
from tilld.invoices.totals import MAX_VOLUME_MSAT
from tilld.storage.event_tables import EventTable
from tilld.storage.rows import Rows
from tilld.storage.statements import Statement, compiled, param, param_list, params, whole_rows
from tilld.storage.tables import (
    CancellationTable,
    InvoiceTable,
    MemberTable,
    PayoutTable,
    RemovedTable,
    TotalsTable,
)
from tilld.storage.webhook_tables import WebhookTable

# Constants, as in the conditions of partial indexes: neither database uses such an index for a value that it
# learns later.
IS_UNPAID = peewee.SQL("status = 'unpaid'")
HAS_ENDED = peewee.SQL("status IN ('expired', 'canceled')")


class InvoiceSQL:
    """Statements in the dialect of a database."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        with database.bind_ctx(
            [
                CancellationTable,
                EventTable,
                InvoiceTable,
                MemberTable,
                PayoutTable,
                RemovedTable,
                TotalsTable,
                WebhookTable,
            ]
        ):
            invoices = InvoiceTable.select()
            self.by_invoice_id = compiled(invoices.where(InvoiceTable.invoice_id == param("invoice_id")))
            self.by_id = compiled(invoices.where(InvoiceTable.id == param("id")))
            of_label = (InvoiceTable.username == param("username")) & (InvoiceTable.label == param("label"))
            self.by_label = compiled(invoices.where(of_label))
            of_payment_hash = InvoiceTable.payment_hash == param("payment_hash")
            self.by_payment_hash = compiled(invoices.where(of_payment_hash))
            is_open = (InvoiceTable.node_id == param("node_id")) & IS_UNPAID
            overdue = invoices.where(is_open, InvoiceTable.expires_at < param("before"))
            self.overdue = compiled(overdue.order_by(InvoiceTable.expires_at).limit(param("limit")))
            self.open_payment_hashes = compiled(InvoiceTable.select(InvoiceTable.payment_hash).where(is_open))
            after_id = invoices.where(InvoiceTable.id > param("id")).order_by(InvoiceTable.id)
            self.after_id = compiled(after_id.limit(param("limit")))
            add_preimage = InvoiceTable.update(payment_preimage=param("payment_preimage"))
            self.add_preimage = compiled(
                add_preimage.where(of_payment_hash, InvoiceTable.paid_at.is_null(is_null=False))
            )
            self.remove_unpaid = compiled(_remove_unpaid())
            is_member = (MemberTable.digest == param("digest")) & (MemberTable.id == param("id"))
            self.remove_member = compiled(MemberTable.delete().where(is_member))
            add_removed = RemovedTable.insert(params(RemovedTable)).on_conflict(
                conflict_target=[RemovedTable.username, RemovedTable.key_id],
                update={RemovedTable.invoices: RemovedTable.invoices + peewee.EXCLUDED.invoices},
            )
            self.add_removed = compiled(add_removed)
            cancellation = CancellationTable.insert(params(CancellationTable))
            self.begin_cancel = compiled(cancellation.on_conflict_ignore())
            self.end_cancel = compiled(
                CancellationTable.delete().where(CancellationTable.payment_hash == param("payment_hash"))
            )
            of_node = CancellationTable.node_id == param("node_id")
            marked = CancellationTable.select(CancellationTable.payment_hash).where(of_node)
            self.cancellations = compiled(marked.limit(param("limit")))
            self.add_webhook = compiled(WebhookTable.insert(_webhook()).on_conflict_ignore())
            of_invoice = WebhookTable.invoice_id == param("invoice_id")
            self.webhook_url = compiled(WebhookTable.select(WebhookTable.url).where(of_invoice))
            totals = (
                TotalsTable.invoices,
                TotalsTable.open_invoices,
                TotalsTable.volume_msat,
                TotalsTable.volume_out_msat,
            )
            self.totals = compiled(TotalsTable.select(*totals))
            of_user = TotalsTable.username == param("username")
            self.totals_of_user = compiled(TotalsTable.select(*totals).where(of_user))
            of_key = of_user & (TotalsTable.key_id == param("key_id"))
            self.open_invoices = compiled(TotalsTable.select(TotalsTable.open_invoices).where(of_key))
            self.add_to_totals = compiled(_add_to_totals(database))
            kept = TotalsTable.select(TotalsTable.username, TotalsTable.key_id, *totals, peewee.SQL("0"))
            self.audit = compiled(kept.union_all(_counted(peewee.SQL("1"))))
            self.forget_totals = compiled(TotalsTable.delete())
            self.recount = compiled(TotalsTable.insert_from(_counted(), TotalsTable._meta.sorted_fields))
        self.add_invoices = cache(self._add_invoices)
        self.add_members = cache(self._add_members)
        self.pay = cache(partial(self._pay, _IS_OPEN))
        self.pay_late = cache(partial(self._pay, ~_IS_OPEN & InvoiceTable.paid_at.is_null()))
        self.close = cache(self._close)
        self.by_invoice_ids = cache(partial(self._by_any, InvoiceTable.invoice_id))
        self.by_payment_hashes = cache(partial(self._by_any, InvoiceTable.payment_hash))

    def _add_invoices(self, count: int) -> Statement:
        with self._database.bind_ctx([InvoiceTable]):
            add = InvoiceTable.insert_many(whole_rows(InvoiceTable, count)).on_conflict_ignore()
            return compiled(add.returning(InvoiceTable.id))

    def _add_members(self, count: int) -> Statement:
        with self._database.bind_ctx([MemberTable]):
            return compiled(MemberTable.insert_many(whole_rows(MemberTable, count)).on_conflict_ignore())

    def _by_any(self, column: peewee.Field, count: int) -> Statement:
        with self._database.bind_ctx([InvoiceTable]):
            return compiled(InvoiceTable.select().where(column.in_(param_list("values", count))))

    def _pay(self, condition: peewee.Expression, count: int) -> Statement:
        seen = _seen(count, "payment_hash", *Payment._fields)
        facts = {name: getattr(seen.c, name) for name in Payment._fields}
        return self._settle(count, seen, {"status": Status.PAID.value, **facts}, condition)

    def _close(self, count: int) -> Statement:
        seen = _seen(count, "payment_hash", "status")
        return self._settle(count, seen, {"status": seen.c.status}, _IS_OPEN)

    def _settle(
        self, count: int, seen: Any, facts: dict[str, Any], condition: peewee.Expression
    ) -> Statement:
        # The IN list repeats the join: without it PostgreSQL may scan the whole table.
        these = InvoiceTable.payment_hash.in_(param_list("payment_hash", count)) & (
            InvoiceTable.payment_hash == seen.c.payment_hash
        )
        with self._database.bind_ctx([InvoiceTable]):
            update = InvoiceTable.update(facts).from_(seen).with_cte(seen)
            settled = update.where(these, InvoiceTable.node_id == param("node_id"), condition)
            return compiled(settled.returning(InvoiceTable))


# COALESCE keeps PostgreSQL from scanning the whole index of open invoices.
_IS_OPEN = peewee.fn.COALESCE(InvoiceTable.status, "") == Status.UNPAID.value


def _seen(count: int, *columns: str) -> peewee.CTE:
    """Return the node's updates as a table."""
    rows = [[param(column, at) for column in columns] for at in range(count)]
    return peewee.CTE("seen", peewee.ValuesList(rows), columns=columns)


def _webhook() -> dict[peewee.Field, Any]:
    """Return the row of an invoice's webhook, which has no event yet."""
    row: dict[str, Any] = {
        "types": "",
        "old_secret": None,
        "old_secret_until": None,
        "enabled": True,
        "disabled_reason": "",
        "version": 0,
        "sequence": 0,
        "failing_since": None,
        "owner": "",
        "lease_until": 0,
    }
    return {field: row.get(field.name, param(field.name)) for field in WebhookTable._meta.sorted_fields}


def _remove_unpaid() -> peewee.Query:
    # A scalar with a limit, since PostgreSQL would join all events for NOT EXISTS.
    end = EventTable.select(peewee.SQL("1")).where(
        EventTable.subject == InvoiceTable.invoice_id,
        peewee.SQL("type IN ('invoice.expired', 'invoice.canceled')"),
    )
    has_no_event = peewee.fn.COALESCE(end.limit(1), nothing := peewee.SQL("0")) == nothing
    due = InvoiceTable.select(InvoiceTable.id).where(
        HAS_ENDED, InvoiceTable.expires_at < param("before"), has_no_event
    )
    oldest = due.order_by(InvoiceTable.expires_at).limit(param("limit"))
    # Checked again, since a late payment may have come. Events refer to their invoice.
    removed = InvoiceTable.delete().where(
        InvoiceTable.id.in_(oldest), HAS_ENDED, InvoiceTable.paid_at.is_null()
    )
    return removed.returning(
        InvoiceTable.id, InvoiceTable.username, InvoiceTable.key_id, InvoiceTable.metadata
    )


def _add_to_totals(database: peewee.Database) -> peewee.Query:
    # Sums saturate at the largest integer, instead of overflowing to a float or an error.
    least = peewee.fn.MIN if isinstance(database, peewee.SqliteDatabase) else peewee.fn.LEAST
    more = {
        field: getattr(peewee.EXCLUDED, field.name)
        for field in (TotalsTable.invoices, TotalsTable.open_invoices)
    }
    volumes = {
        field: getattr(peewee.EXCLUDED, field.name)
        for field in (TotalsTable.volume_msat, TotalsTable.volume_out_msat)
    }
    most = peewee.SQL(str(MAX_VOLUME_MSAT))
    return TotalsTable.insert(params(TotalsTable)).on_conflict(
        conflict_target=[TotalsTable.username, TotalsTable.key_id],
        update={field: field + added for field, added in more.items()}
        | {field: least(field, most - added) + added for field, added in volumes.items()},
    )


def _counted(*more: peewee.SQL) -> peewee.Query:
    """Return a query that recounts the totals from all invoices, removed ones too, and all payouts."""
    is_open = InvoiceTable.status == Status.UNPAID.value
    nothing = peewee.SQL("0")
    of_invoices = InvoiceTable.select(
        InvoiceTable.username,
        InvoiceTable.key_id,
        peewee.fn.COUNT(InvoiceTable.id).alias("invoices"),
        peewee.fn.SUM(peewee.Case(None, [(is_open, peewee.SQL("1"))], nothing)).alias("open_invoices"),
        peewee.fn.COALESCE(peewee.fn.SUM(InvoiceTable.amount_received_msat), nothing).alias("volume_msat"),
        nothing.alias("volume_out_msat"),
    ).group_by(InvoiceTable.username, InvoiceTable.key_id)
    of_payouts = PayoutTable.select(
        PayoutTable.username,
        PayoutTable.key_id,
        nothing,
        nothing,
        nothing,
        peewee.fn.SUM(PayoutTable.amount_sent_msat),
    ).group_by(PayoutTable.username, PayoutTable.key_id)
    removed = RemovedTable.select(
        RemovedTable.username, RemovedTable.key_id, RemovedTable.invoices, nothing, nothing, nothing
    )
    both = of_invoices.union_all(of_payouts).union_all(removed).alias("both_ways")
    totals = (getattr(both.c, field.name) for field in TotalsTable._meta.sorted_fields[2:])
    counted = peewee.Select([both], [both.c.username, both.c.key_id, *map(peewee.fn.SUM, totals), *more])
    return counted.group_by(both.c.username, both.c.key_id)


INVOICES = Rows(InvoiceTable.invoice_id, Invoice, lambda invoice: type_of(invoice.metadata))
