"""Follows what the node pays for our invoice requests, and ends those whose time is over."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from tilld.errors import NotActive, TillError
from tilld.invreq import STILL_TRYING, Invreq
from tilld.node import Node
from tilld.payouts import Payouts
from tilld.persist import persist
from tilld.progress import Progress

log = structlog.get_logger()

SWEEP_SECONDS = 10.0
# Whoever began it has had its answer by now, or never will.
BEGUN_FOR = timedelta(seconds=30)


class Spending:
    """Reads the node's payments from where the store left off, and sweeps up what was begun or is over."""

    def __init__(
        self, node: Node, payouts: Payouts, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._node = node
        self._payouts = payouts
        self._store = payouts.store
        self._clock = clock

    async def run(self) -> None:
        """Follow and sweep, and again after every failure, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(persist("following the payments of", self._follow))
            tasks.create_task(persist("sweeping the invoice requests of", self._sweep))

    async def _follow(self) -> None:
        node_id = await self._node.identity()
        followed = await self._store.updated_index(node_id)
        latest = await self._node.latest("updated", "sendpays")
        if latest < followed:
            log.error("the node has forgotten payments; reading all again", followed=followed, latest=latest)
            followed = 0
        while True:
            followed = await self._read(node_id, followed, latest)
            latest = await self._node.wait_for_update(node_id, followed, "sendpays")

    async def _read(self, node_id: str, followed: int, latest: int) -> int:
        """Settle all that was updated after `followed`; returns how far that is."""
        first, more = followed, True
        with Progress("catching up with the node's payments", latest - first) as progress:
            while more:
                updates = await self._payouts.node.updates(followed, latest)
                await self._node.check_is(node_id)
                for invreq, part in await self._store.settle(node_id, updates.parts, updates.updated_index):
                    log.info(
                        "payout made",
                        invreq_id=invreq.invreq_id,
                        username=invreq.username,
                        key_id=invreq.key_id,
                        amount_sent_msat=part.amount_sent_msat,
                        payment_hash=part.payment_hash,
                    )
                followed, more = updates.updated_index, updates.more
                progress.at(followed - first)
        return followed

    async def _sweep(self) -> None:
        while True:
            node_id, now = await self._node.identity(), self._clock()
            await self._finish(await self._store.begun(node_id, now - BEGUN_FOR))
            for invreq in await self._store.expired(node_id, now):
                await self._end(invreq, "its time is over")
            for invreq in await self._store.failed(node_id, now - STILL_TRYING):
                # lightningd v26.06 would pay it twice: after a failure it forgets to look.
                await self._end(invreq, "a payment of it has failed")
            await asyncio.sleep(SWEEP_SECONDS)

    async def _finish(self, begun: list[Invreq]) -> None:
        """See what became of those that were begun, and complete or forget them."""
        made = await self._payouts.node.by_label() if begun else {}
        for invreq in begun:
            found = made.get(invreq.id)
            if found and invreq.label is not None:
                await self._payouts.complete(invreq, found)
            elif await self._store.forget(invreq) and found:
                await self._payouts.give_up(found)

    async def _end(self, invreq: Invreq, why: str) -> None:
        try:
            await self._payouts.end(invreq, why)
        except NotActive:
            pass
        except TillError as reason:
            log.warning(
                "an invoice request could not be disabled yet; trying again",
                invreq_id=invreq.invreq_id,
                why=why,
                reason=reason.message,
            )
