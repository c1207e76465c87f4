"""The store's SQL: written by Peewee, compiled once, since building a query costs more than running it."""

from functools import cache, partial
from typing import Any

import peewee

from tilld.payout_tables import Payouts
from tilld.tables import Invoices, Nodes, Tallies, Till, compiled
from tilld.totals import MAX_VOLUME_MSAT


class Statements:
    """SQL in the dialect of a database. Its parameters come in the order of the columns named."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        with database.bind_ctx([Invoices, Nodes, Payouts, Tallies, Till]):
            invoices = Invoices.select()
            self.by_invoice_id = compiled(invoices.where(Invoices.invoice_id == ""))
            self.by_id = compiled(invoices.where(Invoices.id == ""))
            self.by_label = compiled(invoices.where(Invoices.username == "", Invoices.label == ""))
            self.by_payment_hash = compiled(invoices.where(Invoices.payment_hash == ""))
            overdue = invoices.where(
                Invoices.node_id == "",
                Invoices.paid_at.is_null(),
                ~Invoices.expired,
                Invoices.expires_at < 0,
            )
            self.overdue = compiled(overdue.order_by(Invoices.expires_at).limit(1))
            self.after_id = compiled(invoices.where(Invoices.id > "").order_by(Invoices.id).limit(1))
            self.secret = compiled(Till.select(Till.secret))
            figures = (
                Tallies.invoices,
                Tallies.open_invoices,
                Tallies.volume_msat,
                Tallies.volume_out_msat,
            )
            self.tallies = compiled(Tallies.select(*figures))
            self.tallies_of_user = compiled(Tallies.select(*figures).where(Tallies.username == ""))
            tally = (Tallies.username == "") & (Tallies.key_id == "")
            self.open_invoices = compiled(Tallies.select(Tallies.open_invoices).where(tally))
            self.add_to_tally = compiled(_add_to_tally(database))
            kept = Tallies.select(Tallies.username, Tallies.key_id, *figures, peewee.SQL("0"))
            self.audit = compiled(kept.union_all(_counted(peewee.SQL("1"))))
            self.forget_tallies = compiled(Tallies.delete())
            self.recount = compiled(Tallies.insert_from(_counted(), Tallies._meta.sorted_fields))
            self.updated_index = compiled(Nodes.select(Nodes.updated_index).where(Nodes.id == ""))
            self.follow = compiled(Nodes.update(updated_index=0).where(Nodes.id == ""))
            self.last_node = compiled(Nodes.select().order_by(Nodes.seen_at.desc()).limit(1))
            self.add_node = compiled(
                Nodes.insert(id="", updated_index=0, info="", seen_at=0).on_conflict_ignore()
            )
            self.see_node = compiled(Nodes.update(info="", seen_at=0).where(Nodes.id == ""))
        self.add_invoices = cache(self._add_invoices)
        self.pay = cache(self._pay)
        self.expire = cache(self._expire)
        self.by_invoice_ids = cache(partial(self._by_any, Invoices.invoice_id))
        self.by_payment_hashes = cache(partial(self._by_any, Invoices.payment_hash))

    def _add_invoices(self, count: int) -> str:
        row = dict.fromkeys(Invoices._meta.sorted_fields, 0)
        with self._database.bind_ctx([Invoices]):
            return compiled(Invoices.insert_many([row] * count).on_conflict_ignore().returning(Invoices.id))

    def _by_any(self, column: peewee.Field, count: int) -> str:
        with self._database.bind_ctx([Invoices]):
            return compiled(Invoices.select().where(column.in_([""] * count)))

    def _pay(self, count: int) -> str:
        columns = ("payment_hash", "pay_index", "amount_received_msat", "paid_at")
        seen = peewee.CTE("seen", peewee.ValuesList([("", 0, 0, 0)] * count), columns=columns)
        return self._settle(count, seen, {name: getattr(seen.c, name) for name in columns[1:]})

    def _expire(self, count: int) -> str:
        seen = peewee.CTE("seen", peewee.ValuesList([("",)] * count), columns=("payment_hash",))
        # Wrapped, or PostgreSQL would go through the index of all that is open to find these.
        still_open = peewee.fn.COALESCE(~Invoices.expired, peewee.SQL("FALSE"))
        return self._settle(count, seen, {"expired": True}, still_open)

    def _settle(self, count: int, seen: Any, facts: dict[str, Any], *still: Any) -> str:
        # Said twice: without the list, PostgreSQL may read the whole table.
        these = Invoices.payment_hash.in_([""] * count) & (Invoices.payment_hash == seen.c.payment_hash)
        with self._database.bind_ctx([Invoices]):
            update = Invoices.update(facts).from_(seen).with_cte(seen)
            settled = update.where(these, Invoices.node_id == "", Invoices.paid_at.is_null(), *still)
            return compiled(settled.returning(Invoices))


def _add_to_tally(database: peewee.Database) -> peewee.Query:
    # Stops at the largest number that there is, instead of becoming a float or an error.
    least = peewee.fn.MIN if isinstance(database, peewee.SqliteDatabase) else peewee.fn.LEAST
    more = {
        field: getattr(peewee.EXCLUDED, field.name) for field in (Tallies.invoices, Tallies.open_invoices)
    }
    volumes = {
        field: getattr(peewee.EXCLUDED, field.name)
        for field in (Tallies.volume_msat, Tallies.volume_out_msat)
    }
    most = peewee.SQL(str(MAX_VOLUME_MSAT))
    return Tallies.insert(dict.fromkeys(Tallies._meta.sorted_fields, 0)).on_conflict(
        conflict_target=[Tallies.username, Tallies.key_id],
        update={field: field + added for field, added in more.items()}
        | {field: least(field, most - added) + added for field, added in volumes.items()},
    )


def _counted(*more: peewee.SQL) -> peewee.Query:
    """The tallies, as they are if all invoices and payouts are counted now."""
    is_open = Invoices.paid_at.is_null() & ~Invoices.expired
    nothing = peewee.SQL("0")
    of_invoices = Invoices.select(
        Invoices.username,
        Invoices.key_id,
        peewee.fn.COUNT(Invoices.id).alias("invoices"),
        peewee.fn.SUM(peewee.Case(None, [(is_open, peewee.SQL("1"))], nothing)).alias("open_invoices"),
        peewee.fn.COALESCE(peewee.fn.SUM(Invoices.amount_received_msat), nothing).alias("volume_msat"),
        nothing.alias("volume_out_msat"),
    ).group_by(Invoices.username, Invoices.key_id)
    of_payouts = Payouts.select(
        Payouts.username,
        Payouts.key_id,
        nothing,
        nothing,
        nothing,
        peewee.fn.SUM(Payouts.amount_sent_msat),
    ).group_by(Payouts.username, Payouts.key_id)
    both = of_invoices.union_all(of_payouts).alias("both_ways")
    figures = (getattr(both.c, field.name) for field in Tallies._meta.sorted_fields[2:])
    counted = peewee.Select([both], [both.c.username, both.c.key_id, *map(peewee.fn.SUM, figures), *more])
    return counted.group_by(both.c.username, both.c.key_id)
