"""Follows the event log, also the events of other processes: wakes its readers, and notifies watchers."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from tilld.config import USUAL, Intervals
from tilld.event_log.entry import ALL_USERS, ENDS, Entry
from tilld.event_log.repository import EventLog
from tilld.events.feed import Feed
from tilld.invoices.hub import Hub
from tilld.invoices.repository import Store
from tilld.runtime.retry import retry_forever

# A lookup of this many invoices blocks the event loop for a few milliseconds.
LOOKED_UP_AT_ONCE = 100


class LogFollower:
    """Reads new events of all users from the log; `position` is that of the last one.

    This process's writes wake it immediately. The events of others are found by asking regularly.
    """

    def __init__(self, store: Store, feed: Feed, hub: Hub, intervals: Intervals = USUAL) -> None:
        self._store = store
        self._log = EventLog(store)
        self._feed = feed
        self._hub = hub
        self._intervals = intervals
        self.position = 0

    async def start(self) -> None:
        """Begin at the newest event. Readers that come later miss nothing. Raises Unavailable."""
        self.position = (await self._log.bounds(ALL_USERS)).newest

    async def run(self) -> None:
        """Follow the log until cancelled, with retries after failures."""
        await retry_forever("reading the events of", self._follow, self._intervals.retry)

    async def _follow(self) -> None:
        while True:
            self._store.written.clear()
            await self._read()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._intervals.log_seconds):
                    await self._store.written.wait()

    async def _read(self) -> None:
        """Read all new events."""
        if not self._has_readers:
            newest = (await self._log.bounds(ALL_USERS)).newest
            # A reader that came meanwhile may have read the log before the newest event.
            if not self._has_readers:
                self.position = newest
        while True:
            page = await self._log.page(ALL_USERS, self.position, self._intervals.store_page)
            self._feed.publish(page.entries)
            await self._notify(page.entries)
            self.position = self.position if page.last is None else page.last
            if page.is_end:
                return

    @property
    def _has_readers(self) -> bool:
        return bool(self._feed.listeners) or not self._hub.is_idle

    async def _notify(self, entries: Iterable[Entry]) -> None:
        """Notify the watchers of invoices that are over. A watch begins with the open state."""
        over = [each.subject for each in entries if each.type in ENDS and self._hub.is_watched(each.subject)]
        for start in range(0, len(over), LOOKED_UP_AT_ONCE):
            invoices = await self._store.get_many(over[start : start + LOOKED_UP_AT_ONCE])
            self._hub.publish(each for each in invoices if each.is_final)
            # Reads of SQLite do not yield to the event loop.
            await asyncio.sleep(0)
