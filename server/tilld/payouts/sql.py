"""SQL statements of invoice requests, payouts and daily limits."""

from functools import cache
from typing import Any

import peewee

from tilld.payouts.invreq import Invreq
from tilld.storage.mapper import Row
from tilld.storage.rows import Rows
from tilld.storage.statements import Statement, compiled, param, param_list, params, whole_rows
from tilld.storage.tables import BudgetTable, InvreqTable, PayoutTable


class PayoutSQL:
    """Statements in the dialect of a database."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        with database.bind_ctx([InvreqTable, PayoutTable, BudgetTable]):
            self._compile()
        self.by_invreq_ids = cache(self._by_invreq_ids)

    def _by_invreq_ids(self, count: int) -> Statement:
        with self._database.bind_ctx([InvreqTable]):
            return compiled(
                InvreqTable.select().where(InvreqTable.invreq_id.in_(param_list("values", count)))
            )

    def _compile(self) -> None:
        rows = InvreqTable.select()
        has_id = InvreqTable.id == param("id")
        self.by_id = compiled(rows.where(has_id))
        self.by_invreq_id = compiled(rows.where(InvreqTable.invreq_id == param("invreq_id")))
        is_users = InvreqTable.username == param("username")
        self.by_label = compiled(rows.where(is_users, InvreqTable.label == param("label")))
        of_user = rows.where(is_users, InvreqTable.invreq_id.is_null(False))
        newest = (InvreqTable.created_at.desc(), InvreqTable.id.desc())
        beyond = peewee.Tuple(InvreqTable.created_at, InvreqTable.id) < peewee.Tuple(
            param("created_at"), param("id")
        )
        limit = param("limit")
        self.newest = compiled(of_user.order_by(*newest).limit(limit))
        self.older = compiled(of_user.where(beyond).order_by(*newest).limit(limit))
        of_node = InvreqTable.node_id == param("node_id")
        pending = rows.where(
            InvreqTable.invreq_id.is_null(), of_node, InvreqTable.created_at < param("before")
        )
        self.pending = compiled(pending.order_by(InvreqTable.created_at).limit(limit))
        active = rows.where(InvreqTable.active, of_node)
        self.expired = compiled(active.where(InvreqTable.absolute_expiry <= param("now")).limit(limit))
        failed = active.where(InvreqTable.single_use, InvreqTable.failed_at < param("before"))
        self.failed = compiled(failed.limit(limit))
        insert = InvreqTable.insert_many(whole_rows(InvreqTable))
        self.reserve = compiled(insert.on_conflict_ignore().returning(InvreqTable.id))
        is_pending = has_id & InvreqTable.invreq_id.is_null()
        made = InvreqTable.update(
            {name: param(name) for name in ("invreq_id", "node_id", "bolt12", "active", "used")}
        )
        self.complete = compiled(made.where(is_pending).returning(InvreqTable.id))
        self.forget = compiled(InvreqTable.delete().where(is_pending).returning(InvreqTable))
        ended = InvreqTable.update(active=False, used=param("used")).where(has_id, InvreqTable.active)
        self.end = compiled(ended.returning(InvreqTable))
        is_single = peewee.Case(None, [(InvreqTable.single_use, False)], InvreqTable.active)
        paid = InvreqTable.update(used=True, active=is_single)
        self.pay = compiled(paid.where(has_id))
        # Keeps the latest time: a replica that lags behind reports earlier failures again.
        earlier = InvreqTable.failed_at.is_null() | (InvreqTable.failed_at < param("failed_at"))
        self.fail = compiled(InvreqTable.update(failed_at=param("failed_at")).where(has_id, earlier))
        payout = PayoutTable.insert(params(PayoutTable))
        self.add_payout = compiled(payout.on_conflict_ignore().returning(PayoutTable.payment_hash))
        of_payment = PayoutTable.payment_hash == param("payment_hash")
        self.parts = compiled(
            PayoutTable.select(peewee.fn.COUNT(PayoutTable.created_index)).where(of_payment)
        )
        self.paid_for = compiled(
            PayoutTable.select(PayoutTable.payment_hash).where(PayoutTable.invreq == param("id")).limit(1)
        )
        add_to_budget = BudgetTable.insert(params(BudgetTable)).on_conflict(
            conflict_target=[BudgetTable.key_id, BudgetTable.day],
            update={BudgetTable.msat: BudgetTable.msat + peewee.EXCLUDED.msat},
            # Compared with the rest, since the sum could overflow.
            where=BudgetTable.msat <= param("left"),
        )
        self.add_to_budget = compiled(add_to_budget.returning(BudgetTable.msat))
        give_back = BudgetTable.update(msat=BudgetTable.msat - param("msat"))
        of_day = (BudgetTable.key_id == param("key_id")) & (BudgetTable.day == param("day"))
        self.give_back = compiled(give_back.where(of_day))
        self.offered = compiled(BudgetTable.select(BudgetTable.msat).where(of_day))


INVREQS = Rows(InvreqTable.id, Invreq)


def place_of(row: Row) -> dict[str, Any]:
    """Return the sort columns of a user's list, from a row that may be unreadable."""
    return {name: row[INVREQS.at(name)] for name in ("created_at", "id")}
