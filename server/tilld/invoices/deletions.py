"""Reads deletions at the node: which open invoices are gone."""

import asyncio
from collections.abc import Sequence

import structlog

from tilld.config import Intervals
from tilld.formats import bolt11
from tilld.formats.times import Clock
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status
from tilld.invoices.lightningd import Deletion, InvoiceNode
from tilld.invoices.repository import Store
from tilld.lightningd.updates import Updates

log = structlog.get_logger()

LOOKED_UP_AT_ONCE = 100


class Deletions:
    """Reads the node's deleted index for its follower.

    lightningd lists no deleted invoices. It describes a deletion to those who wait for its index, so a single
    one needs a single lookup. After others, all open invoices are looked up.
    """

    def __init__(self, node: InvoiceNode, store: Store, clock: Clock, intervals: Intervals) -> None:
        self._node = node
        self._store = store
        self._clock = clock
        self._gather_seconds = intervals.deletions_seconds
        self._latest: tuple[int, Deletion | None] = (0, None)

    async def wait(self, node_id: str, after: int) -> int:
        """Wait until the deleted index exceeds `after`; return the index."""
        self._latest = await self._node.wait_for_deletion(node_id, after)
        return self._latest[0]

    async def read(self, after: int, upto: int) -> Updates[InvoiceUpdate]:
        """Return the end of each open invoice that was deleted beyond the index `after`."""
        if upto == after:
            return Updates([], upto, more=False)
        index, deletion = self._latest
        if deletion and index == upto == after + 1:
            gone = await self._described(deletion)
        else:
            await asyncio.sleep(self._gather_seconds)
            gone = await self._missing()
        return Updates(gone, upto, more=False)

    async def _described(self, deletion: Deletion) -> list[InvoiceUpdate]:
        """Return the end of the invoice that was deleted, if it was open."""
        try:
            payment_hash = bolt11.read(deletion.bolt11 or deletion.bolt12 or "").payment_hash
        except ValueError:
            return []
        invoice = await self._store.get_by_payment_hash(payment_hash)
        if invoice is None or invoice.is_final:
            return []
        if deletion.status is Status.PAID:
            log.error(
                "invoice was paid, and deleted at the node before Till read the amount",
                invoice_id=invoice.invoice_id,
            )
            return []
        ended = Status.EXPIRED if deletion.status is Status.EXPIRED else Status.CANCELED
        return [InvoiceUpdate(payment_hash, ended, None)]

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
