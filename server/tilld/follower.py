"""Follows the node: what became of our invoices there is settled in the store and told to watchers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import structlog

from tilld.errors import TillError
from tilld.hub import Hub
from tilld.invoice import NODE_NEEDS_TO_EXPIRE, Invoice, Seen, Status
from tilld.node import Node
from tilld.store import Store

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
SWEEP_SECONDS = 10.0
PROGRESS_SECONDS = 2.0


class Follower:
    """Reads the node's updates from where the store left off, for ever.

    An update may come before its invoice is in the store; what was missed so is swept up once its
    time is over.
    """

    def __init__(
        self, node: Node, store: Store, hub: Hub, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._node = node
        self._store = store
        self._hub = hub
        self._clock = clock
        self.is_following = False
        self._followed: dict[str, int] = {}

    async def run(self) -> None:
        """Follow, and again after every failure, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._persist("following", self._follow))
            tasks.create_task(self._persist("sweeping", self._sweep))

    async def _persist(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE_SECONDS
        told = ""
        while True:
            started = time.monotonic()
            try:
                await work()
            except TillError as reason:
                if reason.message != told:
                    told = reason.message
                    log.warning(f"{name} the node was interrupted; trying again", reason=told)
            except Exception:
                log.exception(f"{name} the node failed; trying again")
            if time.monotonic() - started > LONGEST_PAUSE_SECONDS:
                pause, told = FIRST_PAUSE_SECONDS, ""
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _follow(self) -> None:
        info = await self._node.info()
        await self._store.remember_node(info, self._clock())
        # Since we began, not since another process on this store went on: our watchers wait for us.
        followed = self._followed.setdefault(info.id, await self._store.updated_index(info.id))
        latest = await self._node.latest_update()
        if latest < followed:
            log.error("the node has forgotten updates; reading all again", followed=followed, latest=latest)
            followed = 0
        log.info("following the node", node_id=info.id, alias=info.alias, network=info.network)
        self.is_following = True
        try:
            while True:
                followed = await self._read(info.id, followed, latest)
                latest = await self._node.wait_for_update(followed)
        finally:
            self.is_following = False

    async def _read(self, node_id: str, followed: int, latest: int) -> int:
        """Settle all that was updated after `followed`; returns how far that is."""
        first, started, told = followed, time.monotonic(), time.monotonic()
        more = True
        while more:
            updates = await self._node.updates(followed, latest)
            await self._check_identity(node_id)
            await self._settle(node_id, updates.seen, updates.updated_index)
            followed, more = updates.updated_index, updates.more
            self._followed[node_id] = followed
            now = time.monotonic()
            if more and now - told > PROGRESS_SECONDS:
                told = now
                rate = round((followed - first) / (now - started))
                log.info("catching up", updated_index=followed, of=latest, per_second=rate)
        return followed

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            node_id = await self._node.identity()
            overdue = await self._store.overdue(node_id, self._clock() - NODE_NEEDS_TO_EXPIRE)
            seen = [await self._look_up(invoice) for invoice in overdue]
            await self._check_identity(node_id)
            await self._settle(node_id, [each for each in seen if each.status is not Status.UNPAID])

    async def _look_up(self, invoice: Invoice) -> Seen:
        found = await self._node.find(invoice.invoice_id)
        if found:
            return found.seen
        log.warning(
            "the node has lost an open invoice: it is taken as expired", invoice_id=invoice.invoice_id
        )
        return Seen(invoice.invoice_id, Status.EXPIRED, None)

    async def _check_identity(self, node_id: str) -> None:
        # After a reconnect it may be another node that answers.
        if await self._node.identity() != node_id:
            raise TillError("the node was replaced")

    async def _settle(self, node_id: str, seen: Sequence[Seen], updated_index: int | None = None) -> None:
        changed = await self._store.settle(node_id, seen, updated_index)
        # Another process on this store may have been first, and has told its own watchers only.
        by_others = {each.invoice_id for each in seen} - {each.invoice_id for each in changed}
        watched = [await self._store.get(each) for each in by_others if self._hub.is_watched(each)]
        self._hub.publish([*changed, *filter(None, watched)])
        for invoice in changed:
            log.info(
                f"invoice {invoice.status}",
                invoice_id=invoice.invoice_id,
                username=invoice.username,
                amount_received_msat=invoice.payment and invoice.payment.amount_received_msat,
            )
