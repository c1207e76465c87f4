"""Follows the node's invoice updates, and settles them in the store."""

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog

from tilld.config import USUAL, Intervals
from tilld.formats.times import Clock, utc_now
from tilld.invoices.cancellation import Cancellations
from tilld.invoices.deletions import Deletions
from tilld.invoices.invoice import NODE_NEEDS_TO_EXPIRE, Invoice, InvoiceUpdate, Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.lightningd.info import NodeInfo
from tilld.lightningd.updates import IndexFollower
from tilld.runtime.retry import retry_forever
from tilld.storage.nodes import Followed, NodeStore

log = structlog.get_logger()

DELETED: Followed = "deleted invoices"


class Follower:
    """Follows the node's updates from the stored index until cancelled.

    An update may precede its invoice in the store. The sweep finds such missed updates once the invoice has
    expired.
    """

    def __init__(
        self,
        node: InvoiceNode,
        store: Store,
        clock: Clock = utc_now,
        intervals: Intervals = USUAL,
    ) -> None:
        self._node = node
        self._store = store
        self._nodes = NodeStore(store)
        self._clock = clock
        self._intervals = intervals
        self._cancellations = Cancellations(store, node, clock)
        find_cursor = partial(self._nodes.updated_index, subsystem="invoices")
        self.updates = IndexFollower(node, "invoices", find_cursor, node.updates, self._settle, intervals)
        self._deletions = deletions = Deletions(node, store, clock, intervals)
        self.deletions = IndexFollower(
            node,
            "invoices",
            partial(self._nodes.updated_index, subsystem=DELETED),
            deletions.read,
            partial(self._settle, cursor=DELETED),
            intervals,
            index="deleted",
            wait=deletions.wait,
        )

    @property
    def is_following(self) -> bool:
        """True if the node is online and its updates are followed."""
        return self.updates.is_following

    async def run(self) -> None:
        """Follow and sweep until cancelled, with retries after failures."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(retry_forever("following", self._follow, self._intervals.retry))
            tasks.create_task(
                retry_forever("following the deletions of", self._follow_deletions, self._intervals.retry)
            )
            tasks.create_task(retry_forever("sweeping", self._sweep, self._intervals.retry))

    async def _follow(self) -> None:
        info = await self._node.info()
        before = await self._nodes.last()
        if before and before.id != info.id:
            log.error(
                "node id has changed: invoices of the previous node stay unchanged until it returns",
                node_id=info.id,
                before=before.id,
            )
        await self._nodes.remember(info, self._clock())
        await self.updates.follow(info.id, partial(self._begin, info))

    async def _follow_deletions(self) -> None:
        try:
            await self.deletions.follow(await self._node.identity())
        finally:
            await self._deletions.stop()

    async def _begin(self, info: NodeInfo) -> None:
        await self._cancellations.recover(info.id)
        log.info(
            "following the node",
            node_id=info.id,
            alias=info.alias,
            network=info.network,
            lightningd=info.version,
        )

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._intervals.sweep_seconds)
            node_id = await self._node.identity()
            await self._cancellations.recover(node_id)
            overdue = await self._store.overdue(node_id, self._clock() - NODE_NEEDS_TO_EXPIRE)
            seen = [await self._look_up(invoice) for invoice in overdue]
            await self._node.check_is(node_id)
            await self._settle(node_id, [each for each in seen if each.status is not Status.UNPAID])

    async def _look_up(self, invoice: Invoice) -> InvoiceUpdate:
        found = await self._node.find_by_payment_hash(invoice.payment_hash)
        if found:
            return found.seen
        missing = invoice.missing(self._clock())
        log.warning(
            f"open invoice is missing at the node: marked as {missing.status}", invoice_id=invoice.invoice_id
        )
        return missing

    async def _settle(
        self,
        node_id: str,
        seen: Sequence[InvoiceUpdate],
        index: int | None = None,
        cursor: Followed = "invoices",
    ) -> None:
        changed = await self._store.settle(node_id, seen, index, cursor)
        for invoice in changed:
            log.info(
                f"invoice {invoice.status}",
                invoice_id=invoice.invoice_id,
                username=invoice.username,
                amount_received_msat=invoice.payment and invoice.payment.amount_received_msat,
            )
