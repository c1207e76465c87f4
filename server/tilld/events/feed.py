"""Wakes the readers of event logs. It carries no data: a reader reads the log again."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Self

from tilld.errors import Unavailable
from tilld.event_log.entry import ALL_USERS, Entry


class Listener:
    """A context manager that wakes one reader of a log."""

    __slots__ = ("_due", "_feed", "_timer", "_waiting", "is_stream", "username")

    def __init__(self, feed: "Feed", username: str, is_stream: bool) -> None:
        self._feed = feed
        self.username = username
        self.is_stream = is_stream
        self._waiting: asyncio.Future[None] | None = None
        # Kept while events come: a new timer for each would cost a tenth of waking a reader.
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def __enter__(self) -> Self:
        self._feed.listeners[self.username].add(self)
        return self

    def __exit__(self, *_: object) -> None:
        others = self._feed.listeners[self.username]
        others.discard(self)
        if self._timer:
            self._timer.cancel()
        if not others:
            del self._feed.listeners[self.username]
            self._feed.newest.pop(self.username, None)

    async def beyond(self, sequence: int, seconds: float) -> bool:
        """Wait until the log has events beyond a sequence; return False if it has none for so long.

        Raises Unavailable when Till stops.
        """
        # Without asyncio.timeout, which costs a third of waking a thousand readers.
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self._feed.newest.get(self.username, 0) <= sequence:
            if self._feed.is_closed:
                raise Unavailable("Till is stopping; watch again")
            if end <= loop.time():
                return False
            if self._timer is None or self._due > end:
                self._arm(loop, end)
            self._waiting = loop.create_future()
            await self._waiting
        return True

    def _arm(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._due, self._timer = due, loop.call_at(due, self._time_out)

    def _time_out(self) -> None:
        self._timer = None
        self.wake()

    def wake(self) -> None:
        """Let the reader look again."""
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)


class Feed:
    """The readers of all logs, and the newest sequence known of each log that is read."""

    def __init__(self) -> None:
        self.listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self.newest: dict[str, int] = {}
        self.is_closed = False

    def listen(self, username: str, *, is_stream: bool = True) -> Listener:
        """Return a listener to a log; it is active while its context is open.

        is_stream: whether a caller waits. False: a webhook does.
        """
        return Listener(self, username, is_stream)

    def publish(self, entries: Iterable[Entry]) -> None:
        """Wake the readers of the logs that have these new entries."""
        news: dict[str, int] = {}
        for entry in entries:
            news[ALL_USERS] = entry.position
            news[entry.username] = entry.sequence
        for username in news.keys() & self.listeners.keys():
            self.newest[username] = news[username]
            for listener in self.listeners[username]:
                listener.wake()

    @property
    def streams(self) -> int:
        """The number of callers that wait."""
        return sum(each.is_stream for listeners in self.listeners.values() for each in listeners)

    def close(self) -> None:
        """End all waits."""
        self.is_closed = True
        for listeners in self.listeners.values():
            for listener in listeners:
                listener.wake()
