"""Follows the node: what became of our invoices there is settled in the store and told to watchers."""

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from tilld.config import USUAL, Intervals
from tilld.formats.times import Clock, utc_now
from tilld.invoices.hub import Hub
from tilld.invoices.invoice import NODE_NEEDS_TO_EXPIRE, Invoice, InvoiceUpdate, Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.runtime.progress import Progress
from tilld.runtime.retry import retry_forever
from tilld.storage.nodes import NodeStore

log = structlog.get_logger()

# So many watched invoices take a few milliseconds, for which everybody else waits.
LOOKED_UP_AT_ONCE = 100


class Follower:
    """Reads the node's updates from where the store left off, for ever.

    An update may come before its invoice is in the store; what was missed so is swept up once its
    time is over.
    """

    def __init__(
        self,
        node: InvoiceNode,
        store: Store,
        hub: Hub,
        clock: Clock = utc_now,
        intervals: Intervals = USUAL,
    ) -> None:
        self._node = node
        self._store = store
        self._nodes = NodeStore(store)
        self._hub = hub
        self._clock = clock
        self._intervals = intervals
        self.is_following = False
        # How many updates of the node are known of and not settled yet.
        self.lag = 0
        self._followed: dict[str, int] = {}

    async def run(self) -> None:
        """Follow, and again after every failure, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(retry_forever("following", self._follow, self._intervals.retry))
            tasks.create_task(retry_forever("sweeping", self._sweep, self._intervals.retry))

    async def _follow(self) -> None:
        info = await self._node.info()
        before = await self._nodes.last()
        if before and before.id != info.id:
            log.error(
                "another node answers than before: invoices of that one stay as they are until it is back",
                node_id=info.id,
                before=before.id,
            )
        await self._nodes.remember(info, self._clock())
        # Since we began, not since another process on this store went on: our watchers wait for us.
        followed = self._followed.setdefault(info.id, await self._nodes.updated_index(info.id, "invoices"))
        latest = await self._node.latest("updated")
        if latest < followed:
            log.error("the node has forgotten updates; reading all again", followed=followed, latest=latest)
            followed = 0
        await self._tell_what_is_over()
        log.info("following the node", node_id=info.id, alias=info.alias, network=info.network)
        self.is_following = True
        try:
            while True:
                followed = await self._read(info.id, followed, latest)
                latest = await self._node.wait_for_update(info.id, followed)
        finally:
            self.is_following = False

    async def _read(self, node_id: str, followed: int, latest: int) -> int:
        """Settle all that was updated after `followed`; returns how far that is."""
        first, more = followed, True
        self.lag = latest - first
        with Progress("catching up with the node", latest - first, self._intervals) as progress:
            while more:
                updates = await self._node.updates(followed, latest)
                await self._node.check_is(node_id)
                await self._settle(node_id, updates.seen, updates.updated_index)
                followed, more = updates.updated_index, updates.more
                self._followed[node_id] = followed
                self.lag = max(latest - followed, 0)
                progress.at(followed - first)
        return followed

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._intervals.sweep_seconds)
            node_id = await self._node.identity()
            overdue = await self._store.overdue(node_id, self._clock() - NODE_NEEDS_TO_EXPIRE)
            seen = [await self._look_up(invoice) for invoice in overdue]
            await self._node.check_is(node_id)
            await self._settle(node_id, [each for each in seen if each.status is not Status.UNPAID])
            await self._tell_what_is_over()

    async def _look_up(self, invoice: Invoice) -> InvoiceUpdate:
        found = await self._node.find_by_payment_hash(invoice.payment_hash)
        if found:
            return found.seen
        log.warning(
            "the node has lost an open invoice: it is taken as expired", invoice_id=invoice.invoice_id
        )
        return InvoiceUpdate(invoice.payment_hash, Status.EXPIRED, None)

    async def _settle(
        self, node_id: str, seen: Sequence[InvoiceUpdate], updated_index: int | None = None
    ) -> None:
        changed = await self._store.settle(node_id, seen, updated_index)
        self._hub.publish(changed)
        # Another process on this store may have been first, and has told its own watchers only.
        by_others = {each.payment_hash for each in seen} - {each.payment_hash for each in changed}
        if by_others and self._hub.watched:
            self._tell_if_over(await self._store.get_by_payment_hashes(list(by_others)))
        for invoice in changed:
            log.info(
                f"invoice {invoice.status}",
                invoice_id=invoice.invoice_id,
                username=invoice.username,
                amount_received_msat=invoice.payment and invoice.payment.amount_received_msat,
            )

    async def _tell_what_is_over(self) -> None:
        """Tell watchers what others have settled unseen: before we followed, or as `tilld doctor`."""
        watched = self._hub.watched
        for start in range(0, len(watched), LOOKED_UP_AT_ONCE):
            self._tell_if_over(await self._store.get_many(watched[start : start + LOOKED_UP_AT_ONCE]))
            # Reads of SQLite give nobody else a turn.
            await asyncio.sleep(0)

    def _tell_if_over(self, invoices: Iterable[Invoice]) -> None:
        # What is open was told at the beginning of the watch, and may be over since it was read.
        self._hub.publish(invoice for invoice in invoices if invoice.is_final)
