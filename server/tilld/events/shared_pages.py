"""Shares reads between streams that wait for the same events: a thousand streams of a shop read once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tilld.events.event import EventPage
from tilld.events.terms import View

# Few differ, since streams that were woken by an event continue after the one before.
REMEMBERED = 16

Read = Callable[[View, int, int], Coroutine[Any, Any, EventPage]]
Key = tuple[View, int, int]


class SharedPages:
    """The pages that were read last."""

    def __init__(self, read: Read, limit: int) -> None:
        self._read = read
        self._limit = limit
        # None as a result: the read failed, or its stream has ended.
        self._pages: dict[Key, asyncio.Future[EventPage | None]] = {}

    async def page(self, view: View, after: int, newest: int) -> EventPage:
        """Return the page beyond a sequence; `newest` is the newest sequence known, or less if unknown."""
        if newest <= after:
            # Another page would look the same later, when the log has more.
            return await self._read(view, after, self._limit)
        key = (view, after, newest)
        while reading := self._pages.get(key):
            # A caller that disconnects must not cancel the read of others.
            page = reading.result() if reading.done() else await asyncio.shield(reading)
            if page:
                return page
        return await self._first(key)

    async def _first(self, key: Key) -> EventPage:
        """Read a page for all. Not in a task of its own: reads of SQLite are done before others ask."""
        view, after, _ = key
        reading = self._pages[key] = asyncio.get_running_loop().create_future()
        if len(self._pages) > REMEMBERED:
            del self._pages[next(iter(self._pages))]
        page = None
        try:
            page = await self._read(view, after, self._limit)
            return page
        finally:
            if page is None and self._pages.get(key) is reading:
                del self._pages[key]
            reading.set_result(page)
