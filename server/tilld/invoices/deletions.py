"""Reads deletions at the node: which open invoices are gone."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from tilld.config import Intervals
from tilld.formats import bolt11
from tilld.formats.times import Clock
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status
from tilld.invoices.lightningd import Deleted, Deletion, InvoiceNode
from tilld.invoices.repository import Store
from tilld.lightningd.updates import Updates

log = structlog.get_logger()

LOOKED_UP_AT_ONCE = 100

# Waits in flight. Each cancellation by Till is a deletion too, and several may be concurrent.
WAITS = 64


class Deletions:
    """Reads the node's deleted index for its follower.

    lightningd lists no deleted invoices. It describes a deletion to those who wait for its index. Waits for
    the next indexes are in flight, so that each deletion of a burst needs a single lookup. After deletions
    without a description, all open invoices are looked up.
    """

    def __init__(self, node: InvoiceNode, store: Store, clock: Clock, intervals: Intervals) -> None:
        self._node = node
        self._store = store
        self._clock = clock
        self._gather_seconds = intervals.deletions_seconds
        self._waits: dict[int, asyncio.Task[Deleted]] = {}

    async def wait(self, node_id: str, after: int) -> int:
        """Wait until the deleted index exceeds `after`; return the index."""
        for index in range(after, after + WAITS):
            if index + 1 not in self._waits:
                self._waits[index + 1] = self._node.begin_wait_for_deletion(index)
        index = (await self._node.reply_to(node_id, self._waits[after + 1])).deleted
        while (following := self._waits.get(index + 1)) and _has_reply(following):
            index += 1
        return index

    async def read(self, after: int, upto: int) -> Updates[InvoiceUpdate]:
        """Return the end of each open invoice that was deleted beyond the index `after`."""
        waits = [self._waits.pop(index) for index in range(after + 1, upto + 1) if index in self._waits]
        deletions = [each.result().deletion for each in waits if _has_reply(each)]
        described = [each for each in deletions if each]
        for each in waits:
            each.cancel()
        if len(described) == upto - after:
            gone = await self._described(described)
        else:
            await asyncio.sleep(self._gather_seconds)
            gone = await self._missing()
        return Updates(gone, upto, more=False)

    async def stop(self) -> None:
        """End all waits."""
        waits, self._waits = self._waits.values(), {}
        for each in waits:
            each.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def _described(self, deletions: Sequence[Deletion]) -> list[InvoiceUpdate]:
        """Return the end of each invoice that was deleted while it was open."""
        before: dict[str, Status] = {}
        for deletion in deletions:
            with suppress(ValueError):
                request = bolt11.read(deletion.bolt11 or deletion.bolt12 or "")
                before[request.payment_hash] = deletion.status
        gone = []
        for invoice in await self._store.get_by_payment_hashes(list(before)):
            status = before[invoice.payment_hash]
            if invoice.is_final:
                continue
            if status is Status.PAID:
                log.error(
                    "invoice was paid, and deleted at the node before Till read the amount",
                    invoice_id=invoice.invoice_id,
                )
                continue
            ended = Status.EXPIRED if status is Status.EXPIRED else Status.CANCELED
            gone.append(InvoiceUpdate(invoice.payment_hash, ended, None))
        return gone

    async def _missing(self) -> list[InvoiceUpdate]:
        """Return the end of all open invoices that the node no longer has."""
        gone: list[InvoiceUpdate] = []
        hashes = await self._store.open_payment_hashes(await self._node.identity())
        for start in range(0, len(hashes), LOOKED_UP_AT_ONCE):
            batch = hashes[start : start + LOOKED_UP_AT_ONCE]
            found = await asyncio.gather(*map(self._node.find_by_payment_hash, batch))
            absent = [each for each, there in zip(batch, found, strict=True) if there is None]
            gone += self._ends(await self._store.get_by_payment_hashes(absent))
        return gone

    def _ends(self, invoices: Sequence[Invoice]) -> list[InvoiceUpdate]:
        now, ends = self._clock(), []
        for invoice in invoices:
            if not invoice.is_final:
                ends.append(invoice.missing(now))
                log.warning(
                    f"open invoice is missing at the node: marked as {ends[-1].status}",
                    invoice_id=invoice.invoice_id,
                )
        return ends


def _has_reply(wait: "asyncio.Task[Deleted]") -> bool:
    return wait.done() and not wait.cancelled() and wait.exception() is None
