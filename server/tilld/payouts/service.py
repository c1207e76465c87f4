"""The use cases that spend: offer a payment by an invoice request, read it, end it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from tilld.auth.caller import Caller
from tilld.auth.limits import Limits
from tilld.errors import (
    InvalidRequest,
    NodeFailed,
    NodeOffline,
    NotActive,
    NotFound,
    PermissionDenied,
    TillError,
    Unavailable,
)
from tilld.formats.times import Clock, utc_now
from tilld.invoices.repository import Store
from tilld.lightningd.errors import MayExist
from tilld.lightningd.node import Node
from tilld.payouts.invreq import Invreq, InvreqStatus, InvreqTerms, NodeInvreq, PayoutLimits, is_invreq_id
from tilld.payouts.lightningd import InvreqNode
from tilld.payouts.repository import PayoutStore

log = structlog.get_logger()


class OnItsWay(Unavailable):
    """A payment of an invoice request is on its way, or may be tried again: it can't be disabled now."""

    default = "a payment of the invoice request is in flight; try again later"


class Payouts:
    """What callers can do with invoice requests."""

    def __init__(
        self,
        store: Store,
        node: Node,
        limits: Limits,
        payout_limits: PayoutLimits,
        clock: Clock = utc_now,
    ) -> None:
        self.store = PayoutStore(store)
        self.node = InvreqNode(node)
        self._node = node
        self._secret = store.secret
        self._limits = limits
        self._payout_limits = payout_limits
        self.may_disable = payout_limits.may_disable
        self._clock = clock

    async def create(self, caller: Caller, order: InvreqTerms) -> Invreq:
        """Make an invoice request, or find the one that the same order with the same label made before.

        Raises InvalidRequest; Conflict where the label belongs to another order; TooMany; NodeOffline.
        """
        if order.label is not None:
            earlier = await self.store.get_by_label(caller.username, order.label)
            if earlier and earlier.answering(order).invreq_id:
                return earlier
        order.check_against(self._payout_limits, self._clock())
        await self._limits.turn(caller)
        if reason := (await self._node.abilities()).no_payouts:
            raise Unavailable(reason)
        node_id = await self._node.identity()
        wanted = Invreq.reserved(caller.creator, order, node_id, self._secret, self._clock())
        invreq = await self.store.reserve(wanted, self._payout_limits)
        if invreq.answering(order).invreq_id:
            return invreq
        return await self._make(invreq)

    async def get(self, caller: Caller, invreq_id: str) -> Invreq:
        """Read one of the caller's.

        Raises NotFound.
        """
        invreq_id = invreq_id.lower()
        invreq = await self.store.get(invreq_id) if is_invreq_id(invreq_id) else None
        if invreq is None or invreq.username != caller.username:
            raise NotFound
        return invreq

    async def page(self, caller: Caller, after: str, limit: int, name: str) -> list[Invreq]:
        """At most so many of the caller's, the newest first, beyond the one with the id `after`, if any.

        Raises InvalidRequest, which calls `after` by a name.
        """
        try:
            last = await self.get(caller, after) if after else None
        except NotFound:
            raise InvalidRequest(f"{name} must come from the previous page, or be empty") from None
        return await self.store.page(caller.username, last, limit)

    async def statuses(self, invreqs: Sequence[Invreq]) -> list[InvreqStatus]:
        """Return the status of each. While the node is offline, a payment in flight is not seen."""
        in_flight = set()
        if any(each.active for each in invreqs):
            with suppress(TillError):
                in_flight = {part.invreq_id for part in await self.node.pending()}
        now = self._clock()
        return [each.status_at(now, in_flight=each.invreq_id in in_flight) for each in invreqs]

    async def disable(self, caller: Caller, invreq_id: str) -> Invreq:
        """End one of the caller's, so that nobody can collect it any more.

        Raises NotFound; PermissionDenied where the operator does not allow it; NotActive; OnItsWay;
        NodeOffline.
        """
        invreq = await self.get(caller, invreq_id)
        if not self.may_disable:
            raise PermissionDenied(
                "disabling invoice requests is not allowed by this Till; ask the operator to set "
                "TILLD_ALLOW_INVREQ_DISABLE=true"
            )
        if not invreq.active:
            raise NotActive
        return await self.end(invreq, "by its owner")

    async def end(self, invreq: Invreq, why: str) -> Invreq:
        """End an active one, now that no payment of it is on its way.

        Between the look at the payments and the call some milliseconds remain. Raises NotActive where it had
        ended already; OnItsWay; NodeOffline.
        """
        await self._node.check_is(invreq.node_id)
        await self._check_quiet(invreq)
        was_active = True
        try:
            await self.node.disable(invreq.invreq_id)
        except NotActive:
            was_active = False
        except MayExist:
            pass
        ended = await self._look_up(invreq)
        if not was_active:
            raise NotActive
        log.info(
            "invoice request disabled",
            invreq_id=invreq.invreq_id,
            username=invreq.username,
            key_id=invreq.key_id,
            why=why,
        )
        return ended

    async def _complete(self, invreq: Invreq, made: NodeInvreq) -> Invreq:
        """Write down what the node has made for a pending one; of two that were made, one counts.

        Raises Unavailable where it was given up meanwhile.
        """
        stored = await self.store.complete(invreq.id, made)
        if stored is None or stored.invreq_id != made.invreq_id:
            # Nobody was told of it, so nobody can have collected it.
            await self._give_up(made)
        if stored is None:
            raise Unavailable("timed out; try again")
        if stored.invreq_id == made.invreq_id:
            log.info(
                "invoice request created",
                invreq_id=stored.invreq_id,
                username=stored.username,
                key_id=stored.key_id,
                amount_msat=stored.amount_msat,
            )
        return stored

    async def _give_up(self, made: NodeInvreq) -> None:
        """Disable one that nobody was told of, if it can be done: nobody can collect it anyway."""
        try:
            await self.node.disable(made.invreq_id)
        except (MayExist, NotActive, NodeFailed, Unavailable):
            log.warning("an invoice request that nobody knows was left at the node", label=made.label)

    async def _make(self, invreq: Invreq) -> Invreq:
        """Have the node make one that is reserved.

        An earlier try may have come that far too. Nobody was told of what it made, and to look for it would
        take a listing of all that the node ever made. So another one is made.
        """
        try:
            made = await self.node.create(invreq)
        except MayExist:
            raise NodeOffline from None
        except NodeFailed:
            await self.store.forget(invreq)
            raise
        return await self._complete(invreq, made)

    async def _check_quiet(self, invreq: Invreq) -> None:
        """Make sure that no payment of it is on its way: to disable it then kills lightningd when it arrives.

        Raises OnItsWay.
        """
        # In this order: what ends meanwhile is in the one or the other.
        followed = await self.store.updated_index(invreq.node_id)
        known = await self.store.get(invreq.invreq_id) or invreq
        pending = await self.node.pending()
        unread = await self.node.updates(followed, followed)
        if known.is_retrying(self._clock()):
            raise OnItsWay(
                "a payment of the invoice request has failed, and may be retried; try again in a minute"
            )
        if unread.more or invreq.invreq_id in {part.invreq_id for part in (*pending, *unread.items)}:
            raise OnItsWay

    async def _look_up(self, invreq: Invreq) -> Invreq:
        """Write down that one has ended, as the node says."""
        # One may have begun since it was looked for. In this order: if it arrives meanwhile, `used` tells.
        pending = {part.invreq_id for part in await self.node.pending()}
        found = await self.node.find(invreq.invreq_id)
        if found and found.active:
            raise NodeOffline
        used = bool(found and found.used)
        is_unpaid = not used and invreq.invreq_id not in pending
        ended = await self.store.end(invreq, used=used, is_unpaid=is_unpaid)
        return ended or await self.store.get(invreq.invreq_id) or replace(invreq, active=False, used=used)
