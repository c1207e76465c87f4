"""Follows the node's payments for invoice requests, and disables expired and failed requests."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog

from tilld.config import USUAL, Intervals
from tilld.errors import NotActive
from tilld.formats.times import Clock, utc_now
from tilld.lightningd.node import Node
from tilld.lightningd.updates import IndexFollower
from tilld.payouts.invreq import STILL_TRYING, Invreq, PaymentPart
from tilld.payouts.service import OnItsWay, Payouts
from tilld.runtime.retry import retry_forever

log = structlog.get_logger()

# After this time the caller of a pending request has its reply, or will not get one.
PENDING_FOR = timedelta(seconds=30)


class PaymentFollower:
    """Follows the node's payments from the stored index, and sweeps the invoice requests.

    The steps of the sweep are independent: a step that fails or hangs does not delay the others.
    """

    def __init__(
        self, node: Node, payouts: Payouts, clock: Clock = utc_now, intervals: Intervals = USUAL
    ) -> None:
        self._node = node
        self._payouts = payouts
        self._store = payouts.store
        self._clock = clock
        self._intervals = intervals
        self._has_warned = False
        self.updates = IndexFollower(
            node, "sendpays", payouts.store.updated_index, payouts.node.updates, self._settle, intervals
        )

    async def run(self) -> None:
        """Follow and sweep until cancelled, with retries after failures."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(retry_forever("following the payments of", self._follow, self._intervals.retry))
            for name, step in {
                "disabling expired invoice requests of": self._end_expired,
                "disabling failed invoice requests of": self._end_failed,
                "forgetting pending invoice requests of": self._forget_pending,
            }.items():
                tasks.create_task(
                    retry_forever(name, partial(self._repeat, step), self._intervals.sweep_retry)
                )

    async def _follow(self) -> None:
        await self._until_able()
        await self.updates.follow(await self._node.identity())

    async def _settle(self, node_id: str, parts: Sequence[PaymentPart], updated_index: int) -> None:
        for invreq, part in await self._store.settle(node_id, parts, updated_index):
            log.info(
                "payout made",
                invreq_id=invreq.invreq_id,
                username=invreq.username,
                key_id=invreq.key_id,
                amount_sent_msat=part.amount_sent_msat,
                payment_hash=part.payment_hash,
            )

    async def _until_able(self) -> None:
        while True:
            if not (await self._node.abilities()).no_payouts:
                return
            await asyncio.sleep(self._intervals.unable_seconds)

    async def _repeat(self, step: Callable[[str], Awaitable[None]]) -> None:
        await self._until_able()
        while True:
            await step(await self._node.identity())
            await asyncio.sleep(self._intervals.sweep_seconds)

    async def _end_expired(self, node_id: str) -> None:
        expired = await self._store.expired(node_id, self._clock())
        if expired and not self._payouts.may_disable:
            if not self._has_warned:
                log.warning(
                    "expired invoice requests can still be collected: the node disables none by itself, "
                    "and TILLD_ALLOW_INVREQ_DISABLE is false",
                    count=len(expired),
                )
            self._has_warned = True
            return
        for invreq in expired:
            await self._end(invreq, "expired")

    async def _end_failed(self, node_id: str) -> None:
        # lightningd v26.06 forgets the single use of a request after a failed payment. The holder of the
        # string could then be paid twice, or stop the node by two payments. Disabling the request is safer.
        for invreq in await self._store.failed(node_id, self._clock() - STILL_TRYING):
            await self._end(invreq, "payment failed")

    async def _forget_pending(self, node_id: str) -> None:
        # Listing the node's requests would block lightningd for seconds if it has thousands. A request that
        # the node made for this row cannot be collected, since its string was never returned.
        for invreq in await self._store.pending(node_id, self._clock() - PENDING_FOR):
            await self._store.forget(invreq)

    async def _end(self, invreq: Invreq, why: str) -> None:
        try:
            await self._payouts.end(invreq, why)
        except NotActive:
            pass
        except OnItsWay as reason:
            log.warning(
                "invoice request not disabled yet; trying again",
                invreq_id=invreq.invreq_id,
                why=why,
                reason=reason.message,
            )
