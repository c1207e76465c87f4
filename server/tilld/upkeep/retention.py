"""Removes old rows after a time: events, and invoices that were not paid. Paid invoices are never removed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from tilld.config import USUAL, Intervals
from tilld.formats.times import Clock, utc_now
from tilld.runtime.retry import retry_forever

log = structlog.get_logger()

# Removes some rows from before a time; returns their number, or 0 if none is left.
Remove = Callable[[datetime], Awaitable[int]]


class Retention:
    """Removes rows after some days, in small batches, so that creates in between do not wait.

    `name` is for the log.
    """

    def __init__(
        self, name: str, remove: Remove, days: int, clock: Clock = utc_now, intervals: Intervals = USUAL
    ) -> None:
        self._name = name
        self._remove = remove
        self._days = days
        self._clock = clock
        self._intervals = intervals

    @staticmethod
    def beginning(days: int | None, clock: Clock = utc_now) -> datetime | None:
        """Return the time before which rows are removed, or None if all are kept."""
        return clock() - timedelta(days=days) if days else None

    async def run(self) -> None:
        """Remove rows until cancelled, with retries after failures."""
        await retry_forever(f"removing old {self._name} of", self._repeat, self._intervals.sweep_retry)

    async def _repeat(self) -> None:
        while True:
            if removed := await self.remove():
                log.info(f"{self._name} removed", count=removed, older_than_days=self._days)
            await asyncio.sleep(self._intervals.retention_seconds)

    async def remove(self) -> int:
        """Remove all rows that are due; return their number."""
        before, removed = self._clock() - timedelta(days=self._days), 0
        while batch := await self._remove(before):
            removed += batch
            # The writer serves creates between two batches.
            await asyncio.sleep(self._intervals.removal_pause_seconds)
        return removed
