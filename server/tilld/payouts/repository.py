"""What Till remembers of invoice requests and payouts. Speaks domain objects."""

from collections.abc import Sequence
from datetime import datetime

import peewee

from tilld.auth.caller import Creator
from tilld.errors import TooMany
from tilld.formats.times import unix_seconds
from tilld.invoices.totals import MAX_VOLUME_MSAT, Totals
from tilld.invoices.transactions import InvoiceTransactions
from tilld.payouts.invreq import Invreq, NodeInvreq, PaymentPart, PayoutLimits, seconds_to_midnight
from tilld.payouts.sql import INVREQS, PayoutSQL, place_of
from tilld.storage.executor import Executor
from tilld.storage.nodes import NodeStore
from tilld.storage.statements import Bound


class PayoutStore:
    """The payouts of a store. What it returns, and what it was told, is on disk."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        self._nodes = NodeStore(store)
        self._do = PayoutTransactions(store.database)
        self._sql = self._do.payout_sql

    async def get(self, invreq_id: str) -> Invreq | None:
        """Find one by the node's id."""
        return await self._find(self._sql.by_invreq_id(invreq_id=invreq_id))

    async def get_by_id(self, internal_id: str) -> Invreq | None:
        """Find one by our id, which is its label at the node."""
        return await self._find(self._sql.by_id(id=internal_id))

    async def get_by_label(self, username: str, label: str) -> Invreq | None:
        """Find a user's by its label. The node may not have it yet."""
        return await self._find(self._sql.by_label(username=username, label=label))

    async def page(self, username: str, after: Invreq | None, limit: int) -> list[Invreq]:
        """A page of a user's, the newest first, beyond one; one that is not full is the last."""
        page: list[Invreq] = []
        beyond = {"created_at": unix_seconds(after.created_at), "id": after.id} if after else {}
        while len(page) < limit:
            statement = self._sql.older if beyond else self._sql.newest
            rows = await self._store.read(statement(username=username, limit=limit - len(page), **beyond))
            if not rows:
                break
            page += INVREQS.all(rows)
            beyond = place_of(rows[-1])
        return page

    async def reserve(self, invreq: Invreq, limits: PayoutLimits) -> Invreq:
        """Write down what is to be made, and count it, unless it is there; returns what is there.

        Raises TooMany where its key has offered too much that day.
        """
        return await self._store.write(lambda _: self._do.reserve(invreq, limits))

    async def complete(self, internal_id: str, made: NodeInvreq) -> Invreq | None:
        """Write down what the node has made, unless it is known already; returns what is there."""
        return await self._store.write(lambda _: self._do.complete(internal_id, made))

    async def forget(self, invreq: Invreq) -> bool:
        """Remove one that the node is not known to have made; it counts no more. Tells whether it did."""
        return await self._store.write(lambda _: self._do.forget(invreq))

    async def end(self, invreq: Invreq, *, used: bool, is_unpaid: bool) -> Invreq | None:
        """Write down that one is not active any more; if it was surely never paid, it counts no more.

        Returns it as it is then, or None where that was known.
        """
        return await self._store.write(lambda _: self._do.end(invreq, used=used, is_unpaid=is_unpaid))

    async def settle(
        self, node_id: str, parts: Sequence[PaymentPart], updated_index: int
    ) -> list[tuple[Invreq, PaymentPart]]:
        """Write down what a node says of its payments, and how far it was followed; returns new payouts."""
        return await self._store.write(lambda _: self._do.settle_parts(node_id, parts, updated_index))

    async def updated_index(self, node_id: str) -> int:
        """How far a node's payments were followed; 0 for a node that never was."""
        return await self._nodes.updated_index(node_id, "sendpays")

    async def pending(self, node_id: str, before: datetime) -> list[Invreq]:
        """Those that were reserved before then, and that the node is not known to have; at most 1000."""
        limit = self._store.page_size
        pending = self._sql.pending(node_id=node_id, before=unix_seconds(before), limit=limit)
        return await self._list(pending)

    async def expired(self, node_id: str, now: datetime) -> list[Invreq]:
        """Active ones whose time is over; at most 1000."""
        expired = self._sql.expired(node_id=node_id, now=unix_seconds(now), limit=self._store.page_size)
        return await self._list(expired)

    async def failed(self, node_id: str, before: datetime) -> list[Invreq]:
        """Active ones for a single use, the last payment of which failed before then; at most 1000."""
        failed = self._sql.failed(node_id=node_id, before=unix_seconds(before), limit=self._store.page_size)
        return await self._list(failed)

    async def offered_msat(self, key_id: str, day: int) -> int:
        """What a key has offered on a day (UTC, since 1970)."""
        rows = await self._store.read(self._sql.offered(key_id=key_id, day=day))
        return rows[0][0] if rows else 0

    async def _find(self, statement: Bound) -> Invreq | None:
        return INVREQS.first(await self._store.read(statement))

    async def _list(self, statement: Bound) -> list[Invreq]:
        return INVREQS.all(await self._store.read(statement))


class PayoutTransactions(InvoiceTransactions):
    """Transactions on invoice requests and payouts. To do one twice does no harm."""

    def __init__(self, database: peewee.Database) -> None:
        super().__init__(database)
        self.payout_sql = PayoutSQL(database)

    def reserve(self, invreq: Invreq, limits: PayoutLimits) -> Invreq:
        """Insert one and count it, or find the one that is there. Raises TooMany."""
        sql, day_msat = self.payout_sql, limits.day_msat
        with self._database.atomic():
            if not self.rows(sql.reserve(values=INVREQS.row(invreq))):
                return INVREQS.one(self.rows(sql.by_id(id=invreq.id))[0])
            left = (MAX_VOLUME_MSAT if day_msat is None else day_msat) - invreq.amount_msat
            if not self.rows(sql.add_to_budget(**_offer(invreq), left=left)):
                raise TooMany(
                    f"daily payout limit exceeded ({day_msat} msat per key and day, UTC); "
                    "try again tomorrow, or disable an invoice request that is not needed",
                    seconds_to_midnight(invreq.created_at),
                )
        return invreq

    def complete(self, internal_id: str, made: NodeInvreq) -> Invreq | None:
        """Fill in what the node has made, if it is not known yet; returns what is there."""
        complete = self.payout_sql.complete(
            id=internal_id,
            invreq_id=made.invreq_id,
            node_id=made.node_id,
            bolt12=made.bolt12,
            active=made.active,
            used=made.used,
        )
        with self._database.atomic():
            self.execute(complete)
            rows = self.rows(self.payout_sql.by_id(id=internal_id))
        return INVREQS.first(rows)

    def forget(self, invreq: Invreq) -> bool:
        """Delete one that the node is not known to have made, and count it no more."""
        with self._database.atomic():
            forgotten = self.rows(self.payout_sql.forget(id=invreq.id))
            if forgotten:
                self._give_back(invreq)
        return bool(forgotten)

    def end(self, invreq: Invreq, *, used: bool, is_unpaid: bool) -> Invreq | None:
        """Make one inactive; if it was never paid, count it no more."""
        with self._database.atomic():
            ended = self.rows(self.payout_sql.end(id=invreq.id, used=used))
            if ended and is_unpaid and not self.rows(self.payout_sql.paid_for(id=invreq.id)):
                self._give_back(invreq)
        return INVREQS.first(ended)

    def settle_parts(
        self, node_id: str, parts: Sequence[PaymentPart], updated_index: int
    ) -> list[tuple[Invreq, PaymentPart]]:
        """Write down what became of parts of payments, and how far they were followed."""
        payouts: list[tuple[Invreq, PaymentPart]] = []
        with self._database.atomic():
            # First: of several who follow one node, the others wait here.
            self.follow(node_id, "sendpays", updated_index)
            for part in parts:
                by_invreq_id = self.payout_sql.by_invreq_id(invreq_id=part.invreq_id)
                rows = self.rows(by_invreq_id) if part.invreq_id else []
                payouts += [(invreq, part) for invreq in INVREQS.all(rows) if self._settle(invreq, part)]
            out: dict[Creator, int] = {}
            for invreq, part in payouts:
                out[invreq.creator] = out.get(invreq.creator, 0) + part.amount_sent_msat
            for creator, msat in sorted(out.items()):
                totals = Totals(volume_out_msat=min(msat, MAX_VOLUME_MSAT))
                self.execute(self.sql.add_to_totals(**creator._asdict(), **totals._asdict()))
        return payouts

    def _settle(self, invreq: Invreq, part: PaymentPart) -> bool:
        """Write down what became of a part of a payment; tells whether it is a payout that was not known."""
        if part.ended_at is None:
            return False
        ended_at = unix_seconds(part.ended_at)
        if not part.is_complete:
            self.execute(self.payout_sql.fail(id=invreq.id, failed_at=ended_at))
            return False
        self.execute(self.payout_sql.pay(id=invreq.id))
        add = self.payout_sql.add_payout(
            payment_hash=part.payment_hash,
            created_index=part.created_index,
            invreq=invreq.id,
            amount_sent_msat=part.amount_sent_msat,
            paid_at=ended_at,
            **invreq.creator._asdict(),
        )
        return bool(self.rows(add))

    def _give_back(self, invreq: Invreq) -> None:
        self.execute(self.payout_sql.give_back(**_offer(invreq)))


def _offer(invreq: Invreq) -> dict[str, str | int]:
    """What an invoice request takes of the limit of its key."""
    return {"key_id": invreq.key_id, "day": invreq.day, "msat": invreq.amount_msat}
