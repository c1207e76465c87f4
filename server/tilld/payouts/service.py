"""Use cases of payouts: create an invoice request, read it, disable it."""

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
    """Raised when a payment is in flight or may be retried, so that the request cannot be disabled."""

    default = "a payment of the invoice request is in flight; try again later"


class Payouts:
    """Operations of callers on invoice requests."""

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
        """Create a request, or return the one that the same order with the same label created before.

        Raises InvalidRequest; Conflict if the label belongs to another order; TooMany; NodeOffline.
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
        """Return a request of the caller.

        Raises NotFound.
        """
        invreq_id = invreq_id.lower()
        invreq = await self.store.get(invreq_id) if is_invreq_id(invreq_id) else None
        if invreq is None or invreq.username != caller.username:
            raise NotFound
        return invreq

    async def page(self, caller: Caller, after: str, limit: int, name: str) -> list[Invreq]:
        """Return up to `limit` requests of the caller, newest first, beyond the one with the id `after`.

        Raises InvalidRequest, where `name` is the caller's name of `after`.
        """
        try:
            last = await self.get(caller, after) if after else None
        except NotFound:
            raise InvalidRequest(f"{name} must come from the previous page, or be empty") from None
        return await self.store.page(caller.username, last, limit)

    async def statuses(self, invreqs: Sequence[Invreq]) -> list[InvreqStatus]:
        """Return the status of each request. A payment in flight is not visible while the node is offline."""
        in_flight = set()
        if any(each.active for each in invreqs):
            with suppress(TillError):
                in_flight = {part.invreq_id for part in await self.node.pending()}
        now = self._clock()
        return [each.status_at(now, in_flight=each.invreq_id in in_flight) for each in invreqs]

    async def disable(self, caller: Caller, invreq_id: str) -> Invreq:
        """Disable a request of the caller, so that it cannot be collected.

        Raises NotFound; PermissionDenied if the operator does not allow it; NotActive; OnItsWay; NodeOffline.
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
        """Disable an active request after checking that no payment is in flight.

        A payment may begin in the milliseconds between check and call. Raises NotActive if the request was
        inactive; OnItsWay; NodeOffline.
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
        """Store the node's reply for a pending request; if two were created, only one counts.

        Raises Unavailable if the pending request was removed meanwhile.
        """
        stored = await self.store.complete(invreq.id, made)
        if stored is None or stored.invreq_id != made.invreq_id:
            # Its string was never returned, so it cannot have been collected.
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
        """Disable a request whose string was never returned. Best effort, since it cannot be collected."""
        try:
            await self.node.disable(made.invreq_id)
        except (MayExist, NotActive, NodeFailed, Unavailable):
            log.warning("unused invoice request remains at the node", label=made.label)

    async def _make(self, invreq: Invreq) -> Invreq:
        """Create a reserved request at the node.

        An earlier try may have created one too, but its string was never returned. Finding it would take a
        listing of all requests of the node, so a second one is created.
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
        """Check that no payment is in flight: lightningd crashes if one arrives after disabling.

        Raises OnItsWay.
        """
        # The order matters: a payment that ends meanwhile then shows in one of the two replies.
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
        """Store that a request is inactive, as the node reports it."""
        # A payment may have begun since the check. The order matters: if it arrives meanwhile, `used` shows
        # it.
        pending = {part.invreq_id for part in await self.node.pending()}
        found = await self.node.find(invreq.invreq_id)
        if found and found.active:
            raise NodeOffline
        used = bool(found and found.used)
        is_unpaid = not used and invreq.invreq_id not in pending
        ended = await self.store.end(invreq, used=used, is_unpaid=is_unpaid)
        return ended or await self.store.get(invreq.invreq_id) or replace(invreq, active=False, used=used)
