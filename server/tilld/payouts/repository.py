"""The store of invoice requests and payouts. Its interface uses domain types."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import peewee

from tilld.auth.caller import Creator
from tilld.errors import TooMany
from tilld.event_log.entry import Change, EventType
from tilld.formats.times import unix_seconds, utc_now
from tilld.invoices.totals import MAX_VOLUME_MSAT, Totals
from tilld.invoices.transactions import InvoiceTransactions
from tilld.payouts.invreq import (
    Invreq,
    InvreqState,
    NodeInvreq,
    PaymentPart,
    PayoutLimits,
    seconds_to_midnight,
)
from tilld.payouts.sql import INVREQS, PayoutSQL, place_of
from tilld.storage.executor import Executor
from tilld.storage.nodes import NodeStore
from tilld.storage.statements import Bound, padded


class PayoutStore:
    """The payouts in a database. Writes and results are durable."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        self._nodes = NodeStore(store)
        self._do = PayoutTransactions(store.database, store.secret)
        self._sql = self._do.payout_sql

    async def get(self, invreq_id: str) -> Invreq | None:
        """Return the request with the node's id, or None."""
        return await self._find(self._sql.by_invreq_id(invreq_id=invreq_id))

    async def get_many(self, invreq_ids: Sequence[str]) -> list[Invreq]:
        """Return the existing requests among at most 1000 of the node's ids, in any order."""
        if not invreq_ids:
            return []
        values = padded(invreq_ids)
        return await self._list(self._sql.by_invreq_ids(len(values))(values=values))

    async def get_by_id(self, internal_id: str) -> Invreq | None:
        """Return the request with our id, which is its label at the node, or None."""
        return await self._find(self._sql.by_id(id=internal_id))

    async def get_by_label(self, username: str, label: str) -> Invreq | None:
        """Return a user's request with a label, or None. The node may not have it yet."""
        return await self._find(self._sql.by_label(username=username, label=label))

    async def page(self, username: str, after: Invreq | None, limit: int) -> list[Invreq]:
        """Return a page of a user's requests beyond `after`, newest first.

        A page shorter than `limit` is the last.
        """
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
        """Store a request and count it towards the daily limit, unless it exists; return the stored one.

        Raises TooMany if the key's daily limit is exceeded.
        """
        return await self._store.write(lambda _: self._do.reserve(invreq, limits))

    async def complete(self, internal_id: str, made: NodeInvreq) -> Invreq | None:
        """Store the node's reply for a pending request; return the stored request."""
        return await self._store.write(lambda _: self._do.complete(internal_id, made))

    async def forget(self, invreq: Invreq) -> bool:
        """Remove a pending request and free its share of the daily limit; return whether it was pending."""
        return await self._store.write(lambda _: self._do.forget(invreq))

    async def end(self, invreq: Invreq, *, used: bool, is_unpaid: bool) -> Invreq | None:
        """Store that a request is inactive; if `is_unpaid`, free its share of the daily limit.

        Returns the changed request, or None if it was inactive.
        """
        return await self._store.write(lambda _: self._do.end(invreq, used=used, is_unpaid=is_unpaid))

    async def settle(
        self, node_id: str, parts: Sequence[PaymentPart], updated_index: int
    ) -> list[tuple[Invreq, PaymentPart]]:
        """Store the node's payments and the index followed so far; return the new payouts."""
        return await self._store.write(lambda _: self._do.settle_parts(node_id, parts, updated_index))

    async def updated_index(self, node_id: str) -> int:
        """Return the index up to which a node's payments were followed; 0 for an unknown node."""
        return await self._nodes.updated_index(node_id, "sendpays")

    async def pending(self, node_id: str, before: datetime) -> list[Invreq]:
        """Return pending requests that were reserved before then; at most 1000."""
        limit = self._store.page_size
        pending = self._sql.pending(node_id=node_id, before=unix_seconds(before), limit=limit)
        return await self._list(pending)

    async def expired(self, node_id: str, now: datetime) -> list[Invreq]:
        """Return active requests that have expired; at most 1000."""
        expired = self._sql.expired(node_id=node_id, now=unix_seconds(now), limit=self._store.page_size)
        return await self._list(expired)

    async def failed(self, node_id: str, before: datetime) -> list[Invreq]:
        """Return active single-use requests whose last payment failed before then; at most 1000."""
        failed = self._sql.failed(node_id=node_id, before=unix_seconds(before), limit=self._store.page_size)
        return await self._list(failed)

    async def offered_msat(self, key_id: str, day: int) -> int:
        """Return the sum that a key has offered on a day (UTC, days since 1970)."""
        rows = await self._store.read(self._sql.offered(key_id=key_id, day=day))
        return rows[0][0] if rows else 0

    async def _find(self, statement: Bound) -> Invreq | None:
        return INVREQS.first(await self._store.read(statement))

    async def _list(self, statement: Bound) -> list[Invreq]:
        return INVREQS.all(await self._store.read(statement))


class PayoutTransactions(InvoiceTransactions):
    """Idempotent transactions on invoice requests and payouts."""

    def __init__(self, database: peewee.Database, secret: bytes) -> None:
        super().__init__(database, secret)
        self.payout_sql = PayoutSQL(database)

    def reserve(self, invreq: Invreq, limits: PayoutLimits) -> Invreq:
        """Insert a request and count it towards the daily limit, or return the existing one.

        Raises TooMany.
        """
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
        """Store the node's reply for a pending request; return the stored request."""
        complete = self.payout_sql.complete(
            id=internal_id,
            invreq_id=made.invreq_id,
            node_id=made.node_id,
            bolt12=made.bolt12,
            active=made.active,
            used=made.used,
        )
        with self._database.atomic():
            is_news = self.rows(complete)
            rows = self.rows(self.payout_sql.by_id(id=internal_id))
            invreq = INVREQS.first(rows)
            if is_news and invreq:
                self.log.add([_change(EventType.INVREQ_CREATED, invreq)])
        return invreq

    def forget(self, invreq: Invreq) -> bool:
        """Delete a pending request and free its share of the daily limit."""
        with self._database.atomic():
            forgotten = self.rows(self.payout_sql.forget(id=invreq.id))
            if forgotten:
                self._give_back(invreq)
        return bool(forgotten)

    def end(self, invreq: Invreq, *, used: bool, is_unpaid: bool) -> Invreq | None:
        """Make a request inactive; if `is_unpaid`, free its share of the daily limit."""
        with self._database.atomic():
            ended = self.rows(self.payout_sql.end(id=invreq.id, used=used))
            if ended and is_unpaid and not self.rows(self.payout_sql.paid_for(id=invreq.id)):
                self._give_back(invreq)
            # A used one has been collected: the event of its payment says so.
            disabled = [each for each in INVREQS.all(ended) if not (each.used and each.single_use)]
            self.log.add([_change(EventType.INVREQ_DISABLED, each) for each in disabled])
        return INVREQS.first(ended)

    def settle_parts(
        self, node_id: str, parts: Sequence[PaymentPart], updated_index: int
    ) -> list[tuple[Invreq, PaymentPart]]:
        """Store parts of payments and the index followed so far; return the new payouts."""
        payouts: list[tuple[Invreq, PaymentPart]] = []
        with self._database.atomic():
            # The cursor goes first: concurrent followers of one node then wait here.
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
            self.log.add(self._collected(payouts))
        return payouts

    def _collected(self, payouts: Sequence[tuple[Invreq, PaymentPart]]) -> list[Change]:
        """Return a change for each payment that has its first parts among new payouts."""
        parts = Counter(part.payment_hash for _, part in payouts)
        paid = {part.payment_hash: invreq for invreq, part in reversed(payouts)}
        return [
            _change(EventType.INVREQ_COLLECTED, paid[payment_hash].collected(), payment_hash)
            for payment_hash, count in parts.items()
            if self.rows(self.payout_sql.parts(payment_hash=payment_hash)) == [(count,)]
        ]

    def _settle(self, invreq: Invreq, part: PaymentPart) -> bool:
        """Store a part of a payment; return whether it is a new payout."""
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


def _change(kind: EventType, invreq: Invreq, payment_hash: str = "") -> Change:
    """Return the change of an invoice request to its present state, for a collected one with its payment."""
    state = InvreqState(invreq.status_at(utc_now(), in_flight=False), invreq.active, invreq.used)
    return Change(invreq.username, kind, invreq.invreq_id, str(state), payment_hash)


def _offer(invreq: Invreq) -> dict[str, str | int]:
    """Return the share of the key's daily limit that an invoice request takes."""
    return {"key_id": invreq.key_id, "day": invreq.day, "msat": invreq.amount_msat}
