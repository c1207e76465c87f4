"""The store's SQL: written by Peewee, compiled once, since building a query costs more than running it."""

import json
from functools import cache, partial
from typing import Any

import peewee

from tilld.formats.times import stored_time, unix_seconds
from tilld.invoices.invoice import Invoice, Payment
from tilld.invoices.totals import MAX_VOLUME_MSAT
from tilld.lightningd.info import NodeInfo
from tilld.storage.rows import Rows
from tilld.storage.statements import compiled
from tilld.storage.tables import InvoiceTable, NodeTable, PayoutTable, TallyTable, TillTable


class InvoiceSQL:
    """SQL in the dialect of a database. Its parameters come in the order of the columns named."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        with database.bind_ctx([InvoiceTable, NodeTable, PayoutTable, TallyTable, TillTable]):
            invoices = InvoiceTable.select()
            self.by_invoice_id = compiled(invoices.where(InvoiceTable.invoice_id == ""))
            self.by_id = compiled(invoices.where(InvoiceTable.id == ""))
            self.by_label = compiled(invoices.where(InvoiceTable.username == "", InvoiceTable.label == ""))
            self.by_payment_hash = compiled(invoices.where(InvoiceTable.payment_hash == ""))
            overdue = invoices.where(
                InvoiceTable.node_id == "",
                InvoiceTable.paid_at.is_null(),
                ~InvoiceTable.expired,
                InvoiceTable.expires_at < 0,
            )
            self.overdue = compiled(overdue.order_by(InvoiceTable.expires_at).limit(1))
            self.after_id = compiled(invoices.where(InvoiceTable.id > "").order_by(InvoiceTable.id).limit(1))
            self.secret = compiled(TillTable.select(TillTable.secret))
            figures = (
                TallyTable.invoices,
                TallyTable.open_invoices,
                TallyTable.volume_msat,
                TallyTable.volume_out_msat,
            )
            self.tallies = compiled(TallyTable.select(*figures))
            self.tallies_of_user = compiled(TallyTable.select(*figures).where(TallyTable.username == ""))
            tally = (TallyTable.username == "") & (TallyTable.key_id == "")
            self.open_invoices = compiled(TallyTable.select(TallyTable.open_invoices).where(tally))
            self.add_to_tally = compiled(_add_to_tally(database))
            kept = TallyTable.select(TallyTable.username, TallyTable.key_id, *figures, peewee.SQL("0"))
            self.audit = compiled(kept.union_all(_counted(peewee.SQL("1"))))
            self.forget_tallies = compiled(TallyTable.delete())
            self.recount = compiled(TallyTable.insert_from(_counted(), TallyTable._meta.sorted_fields))
            self.updated_index = compiled(NodeTable.select(NodeTable.updated_index).where(NodeTable.id == ""))
            self.follow = compiled(NodeTable.update(updated_index=0).where(NodeTable.id == ""))
            self.last_node = compiled(NodeTable.select().order_by(NodeTable.seen_at.desc()).limit(1))
            self.add_node = compiled(
                NodeTable.insert(id="", updated_index=0, info="", seen_at=0).on_conflict_ignore()
            )
            self.see_node = compiled(NodeTable.update(info="", seen_at=0).where(NodeTable.id == ""))
        self.add_invoices = cache(self._add_invoices)
        self.pay = cache(self._pay)
        self.expire = cache(self._expire)
        self.by_invoice_ids = cache(partial(self._by_any, InvoiceTable.invoice_id))
        self.by_payment_hashes = cache(partial(self._by_any, InvoiceTable.payment_hash))

    def _add_invoices(self, count: int) -> str:
        row = dict.fromkeys(InvoiceTable._meta.sorted_fields, 0)
        with self._database.bind_ctx([InvoiceTable]):
            return compiled(
                InvoiceTable.insert_many([row] * count).on_conflict_ignore().returning(InvoiceTable.id)
            )

    def _by_any(self, column: peewee.Field, count: int) -> str:
        with self._database.bind_ctx([InvoiceTable]):
            return compiled(InvoiceTable.select().where(column.in_([""] * count)))

    def _pay(self, count: int) -> str:
        columns = ("payment_hash", "pay_index", "amount_received_msat", "paid_at")
        seen = peewee.CTE("seen", peewee.ValuesList([("", 0, 0, 0)] * count), columns=columns)
        return self._settle(count, seen, {name: getattr(seen.c, name) for name in columns[1:]})

    def _expire(self, count: int) -> str:
        seen = peewee.CTE("seen", peewee.ValuesList([("",)] * count), columns=("payment_hash",))
        # Wrapped, or PostgreSQL would go through the index of all that is open to find these.
        still_open = peewee.fn.COALESCE(~InvoiceTable.expired, peewee.SQL("FALSE"))
        return self._settle(count, seen, {"expired": True}, still_open)

    def _settle(self, count: int, seen: Any, facts: dict[str, Any], *still: Any) -> str:
        # Said twice: without the list, PostgreSQL may read the whole table.
        these = InvoiceTable.payment_hash.in_([""] * count) & (
            InvoiceTable.payment_hash == seen.c.payment_hash
        )
        with self._database.bind_ctx([InvoiceTable]):
            update = InvoiceTable.update(facts).from_(seen).with_cte(seen)
            settled = update.where(these, InvoiceTable.node_id == "", InvoiceTable.paid_at.is_null(), *still)
            return compiled(settled.returning(InvoiceTable))


def _add_to_tally(database: peewee.Database) -> peewee.Query:
    # Stops at the largest number that there is, instead of becoming a float or an error.
    least = peewee.fn.MIN if isinstance(database, peewee.SqliteDatabase) else peewee.fn.LEAST
    more = {
        field: getattr(peewee.EXCLUDED, field.name)
        for field in (TallyTable.invoices, TallyTable.open_invoices)
    }
    volumes = {
        field: getattr(peewee.EXCLUDED, field.name)
        for field in (TallyTable.volume_msat, TallyTable.volume_out_msat)
    }
    most = peewee.SQL(str(MAX_VOLUME_MSAT))
    return TallyTable.insert(dict.fromkeys(TallyTable._meta.sorted_fields, 0)).on_conflict(
        conflict_target=[TallyTable.username, TallyTable.key_id],
        update={field: field + added for field, added in more.items()}
        | {field: least(field, most - added) + added for field, added in volumes.items()},
    )


def _counted(*more: peewee.SQL) -> peewee.Query:
    """The tallies, as they are if all invoices and payouts are counted now."""
    is_open = InvoiceTable.paid_at.is_null() & ~InvoiceTable.expired
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
    both = of_invoices.union_all(of_payouts).alias("both_ways")
    figures = (getattr(both.c, field.name) for field in TallyTable._meta.sorted_fields[2:])
    counted = peewee.Select([both], [both.c.username, both.c.key_id, *map(peewee.fn.SUM, figures), *more])
    return counted.group_by(both.c.username, both.c.key_id)


def row_of(invoice: Invoice) -> tuple[Any, ...]:
    """An invoice in the order of the table's columns."""
    payment = invoice.payment
    return (
        invoice.id,
        invoice.invoice_id,
        invoice.username,
        invoice.key_id,
        invoice.label,
        invoice.amount_msat,
        invoice.description,
        invoice.metadata,
        invoice.node_id,
        invoice.payment_hash,
        invoice.bolt11,
        unix_seconds(invoice.created_at),
        unix_seconds(invoice.expires_at),
        invoice.expired,
        payment and payment.pay_index,
        payment and payment.amount_received_msat,
        payment and unix_seconds(payment.paid_at),
    )


def invoice_of(row: tuple[Any, ...]) -> Invoice:
    """An invoice from its row. Raises ValueError for half a payment."""
    *asked, created_at, expires_at, expired, pay_index, amount_received_msat, paid_at = row
    payment = None
    if paid_at is not None:
        if pay_index is None or amount_received_msat is None:
            raise ValueError("paid_at is there without pay_index and amount_received_msat")
        payment = Payment(pay_index, amount_received_msat, stored_time(paid_at))
    return Invoice(*(*asked, stored_time(created_at), stored_time(expires_at), payment, bool(expired)))


INVOICES = Rows(InvoiceTable.invoice_id, invoice_of, lambda invoice: invoice.type)


NODES = Rows(NodeTable.id, lambda row: NodeInfo.from_json(json.loads(row[2])))
