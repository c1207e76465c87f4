"""Shares reads between streams that wait for the same events: a thousand streams of a shop read once."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
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
        self._pages: dict[Key, asyncio.Task[EventPage]] = {}

    async def page(self, view: View, after: int, newest: int) -> EventPage:
        """Return the page beyond a sequence; `newest` is the newest sequence known, or less if unknown."""
        if newest <= after:
            # Another page would look the same later, when the log has more.
            return await self._read(view, after, self._limit)
        key = (view, after, newest)
        task = self._pages.get(key)
        if task is None:
            # An empty context, since a page serves many callers.
            task = asyncio.create_task(self._read(view, after, self._limit), context=Context())
            self._keep(key, task)
        # A caller that disconnects must not cancel the read of others.
        return task.result() if task.done() else await asyncio.shield(task)

    def _keep(self, key: Key, task: "asyncio.Task[EventPage]") -> None:
        self._pages[key] = task
        if len(self._pages) > REMEMBERED:
            del self._pages[next(iter(self._pages))]

        def forget_failure(task: "asyncio.Task[EventPage]") -> None:
            if (task.cancelled() or task.exception()) and self._pages.get(key) is task:
                del self._pages[key]

        task.add_done_callback(forget_failure)
