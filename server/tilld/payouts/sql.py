"""The SQL of invoice requests, compiled once, as in `statements`."""

import peewee

from tilld.storage.payout_tables import Budgets, Invreqs, PaymentCursors, Payouts
from tilld.storage.tables import compiled


class PayoutStatements:
    """SQL in the dialect of a database. Its parameters come in the order of the columns named."""

    def __init__(self, database: peewee.Database) -> None:
        with database.bind_ctx([Invreqs, Payouts, Budgets, PaymentCursors]):
            self._compile()

    def _compile(self) -> None:
        rows = Invreqs.select()
        self.by_id = compiled(rows.where(Invreqs.id == ""))
        self.by_invreq_id = compiled(rows.where(Invreqs.invreq_id == ""))
        self.by_label = compiled(rows.where(Invreqs.username == "", Invreqs.label == ""))
        of_user = rows.where(Invreqs.username == "", Invreqs.invreq_id.is_null(False))
        newest = (Invreqs.created_at.desc(), Invreqs.id.desc())
        beyond = peewee.Tuple(Invreqs.created_at, Invreqs.id) < peewee.Tuple(0, "")
        self.newest = compiled(of_user.order_by(*newest).limit(1))
        self.older = compiled(of_user.where(beyond).order_by(*newest).limit(1))
        begun = rows.where(Invreqs.invreq_id.is_null(), Invreqs.node_id == "", Invreqs.created_at < 0)
        self.begun = compiled(begun.order_by(Invreqs.created_at).limit(1))
        active = rows.where(Invreqs.active, Invreqs.node_id == "")
        self.expired = compiled(active.where(Invreqs.absolute_expiry <= 0).limit(1))
        self.failed = compiled(active.where(Invreqs.single_use, Invreqs.failed_at < 0).limit(1))
        insert = Invreqs.insert(dict.fromkeys(Invreqs._meta.sorted_fields, 0))
        self.intend = compiled(insert.on_conflict_ignore().returning(Invreqs.id))
        is_begun = (Invreqs.id == "") & Invreqs.invreq_id.is_null()
        made = Invreqs.update(invreq_id="", node_id="", bolt12="", active=True, used=True)
        self.complete = compiled(made.where(is_begun))
        self.forget = compiled(Invreqs.delete().where(is_begun).returning(Invreqs))
        ended = Invreqs.update(active=False, used=True).where(Invreqs.id == "", Invreqs.active)
        self.end = compiled(ended.returning(Invreqs))
        is_single = peewee.Case(None, [(Invreqs.single_use, False)], Invreqs.active)
        paid = Invreqs.update(used=True, active=is_single)
        self.pay = compiled(paid.where(Invreqs.id == ""))
        # The latest: a replica that lags behind tells of earlier ones again.
        earlier = Invreqs.failed_at.is_null() | (Invreqs.failed_at < 0)
        self.fail = compiled(Invreqs.update(failed_at=0).where(Invreqs.id == "", earlier))
        payout = Payouts.insert(dict.fromkeys(Payouts._meta.sorted_fields, 0))
        self.add_payout = compiled(payout.on_conflict_ignore().returning(Payouts.payment_hash))
        self.paid_for = compiled(Payouts.select(Payouts.payment_hash).where(Payouts.invreq == "").limit(1))
        reserve = Budgets.insert(dict.fromkeys(Budgets._meta.sorted_fields, 0)).on_conflict(
            conflict_target=[Budgets.key_id, Budgets.day],
            update={Budgets.msat: Budgets.msat + peewee.EXCLUDED.msat},
            # What is left: the sum itself might be more than a number can be.
            where=Budgets.msat <= 0,
        )
        self.reserve = compiled(reserve.returning(Budgets.msat))
        give_back = Budgets.update(msat=Budgets.msat - 0)
        self.give_back = compiled(give_back.where(Budgets.key_id == "", Budgets.day == 0))
        self.offered = compiled(Budgets.select(Budgets.msat).where(Budgets.key_id == "", Budgets.day == 0))
        cursor = PaymentCursors.select(PaymentCursors.updated_index)
        self.updated_index = compiled(cursor.where(PaymentCursors.node_id == ""))
        follow = PaymentCursors.insert(node_id="", updated_index=0).on_conflict(
            conflict_target=[PaymentCursors.node_id],
            update={PaymentCursors.updated_index: peewee.EXCLUDED.updated_index},
        )
        self.follow = compiled(follow)
