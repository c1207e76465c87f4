"""The store's SQL: written by Peewee, compiled once, since building a query costs more than running it."""

from functools import cache, partial
from typing import Any

import peewee

from tilld.tables import Invoices, Keys, Nodes, Till


class Statements:
    """SQL in the dialect of a database. Its parameters come in the order of the columns named."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        with database.bind_ctx([Invoices, Keys, Nodes, Till]):
            invoices = Invoices.select()
            self.by_invoice_id = _sql(invoices.where(Invoices.invoice_id == ""))
            self.by_id = _sql(invoices.where(Invoices.id == ""))
            self.by_label = _sql(invoices.where(Invoices.username == "", Invoices.label == ""))
            self.by_payment_hash = _sql(invoices.where(Invoices.payment_hash == ""))
            is_open = Invoices.paid_at.is_null() & ~Invoices.expired
            overdue = invoices.where(Invoices.node_id == "", is_open, Invoices.expires_at < 0)
            self.overdue = _sql(overdue.order_by(Invoices.expires_at).limit(1))
            self.after_id = _sql(invoices.where(Invoices.id > "").order_by(Invoices.id).limit(1))
            self.secret = _sql(Till.select(Till.secret))
            self.totals = _sql(Till.select(Till.invoices, Till.volume_msat))
            count = peewee.fn.COUNT(Invoices.id)
            # Their index has no others.
            self.open_invoices = _sql(Invoices.select(peewee.fn.COUNT(peewee.SQL("*"))).where(is_open))
            received_msat = peewee.fn.COALESCE(peewee.fn.SUM(Invoices.amount_received_msat), peewee.SQL("0"))
            self.audit = _sql(
                Till.select(
                    Till.invoices, Till.volume_msat, Invoices.select(count), Invoices.select(received_msat)
                )
            )
            self.recount = _sql(
                Till.update(invoices=Invoices.select(count), volume_msat=Invoices.select(received_msat))
            )
            # Stops at the largest number that there is, instead of becoming a float or an error.
            least = peewee.fn.MIN if isinstance(database, peewee.SqliteDatabase) else peewee.fn.LEAST
            volume_msat = least(Till.volume_msat, 0) + 0
            self.add_to_totals = _sql(Till.update(invoices=Till.invoices + 0, volume_msat=volume_msat))
            self.updated_index = _sql(Nodes.select(Nodes.updated_index).where(Nodes.id == ""))
            self.follow = _sql(Nodes.update(updated_index=0).where(Nodes.id == ""))
            keys = Keys.select()
            self.key = _sql(keys.where(Keys.id == ""))
            self.keys = _sql(keys.order_by(Keys.created_at, Keys.id))
            self.any_key = _sql(Keys.select(Keys.id).limit(1))
            self.add_key = _sql(Keys.insert(dict.fromkeys(Keys._meta.sorted_fields, 0)))
            revoke = Keys.update(revoked_at=0).where(Keys.id == "", Keys.revoked_at.is_null())
            self.revoke_key = _sql(revoke.returning(Keys))
            self.last_node = _sql(Nodes.select(Nodes.info).order_by(Nodes.seen_at.desc()).limit(1))
            self.add_node = _sql(
                Nodes.insert(id="", updated_index=0, info="", seen_at=0).on_conflict_ignore()
            )
            self.see_node = _sql(Nodes.update(info="", seen_at=0).where(Nodes.id == ""))
        self.add_invoices = cache(self._add_invoices)
        self.pay = cache(self._pay)
        self.expire = cache(self._expire)
        self.by_invoice_ids = cache(partial(self._by_any, Invoices.invoice_id))
        self.by_payment_hashes = cache(partial(self._by_any, Invoices.payment_hash))

    def _add_invoices(self, count: int) -> str:
        row = dict.fromkeys(Invoices._meta.sorted_fields, 0)
        with self._database.bind_ctx([Invoices]):
            return _sql(Invoices.insert_many([row] * count).on_conflict_ignore())

    def _by_any(self, column: peewee.Field, count: int) -> str:
        with self._database.bind_ctx([Invoices]):
            return _sql(Invoices.select().where(column.in_([""] * count)))

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
            return _sql(settled.returning(Invoices))


def _sql(query: Any) -> str:
    text: str = query.sql()[0]
    return text
