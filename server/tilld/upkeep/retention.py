"""Removes expired and canceled invoices after a time. Paid invoices are never removed."""

import asyncio
from datetime import datetime, timedelta

import structlog

from tilld.config import USUAL, Intervals
from tilld.formats.times import Clock, utc_now
from tilld.invoices.repository import Store
from tilld.runtime.retry import retry_forever

log = structlog.get_logger()


class Retention:
    """Removes invoices that were not paid, some days after they expired.

    Small batches, so that creates in between do not wait. The totals stay unchanged.
    """

    def __init__(self, store: Store, days: int, clock: Clock = utc_now, intervals: Intervals = USUAL) -> None:
        self._store = store
        self._kept = timedelta(days=days)
        self._clock = clock
        self._intervals = intervals

    @staticmethod
    def beginning(days: int | None, clock: Clock = utc_now) -> datetime | None:
        """Return the expiry of the oldest unpaid invoices that are kept, or None if all are."""
        return clock() - timedelta(days=days) if days else None

    async def run(self) -> None:
        """Remove invoices until cancelled, with retries after failures."""
        await retry_forever("removing old unpaid invoices of", self._repeat, self._intervals.sweep_retry)

    async def _repeat(self) -> None:
        while True:
            if removed := await self.remove():
                log.info("unpaid invoices removed", count=removed, older_than_days=self._kept.days)
            await asyncio.sleep(self._intervals.retention_seconds)

    async def remove(self) -> int:
        """Remove all invoices that are due; return their number."""
        before, removed = self._clock() - self._kept, 0
        while batch := await self._store.remove_unpaid(before):
            removed += batch
            # The writer serves creates between two batches.
            await asyncio.sleep(self._intervals.removal_pause_seconds)
        return removed
