"""A rate limit shared by keys. Waiting keys are served round robin."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable

from tilld.auth.token_bucket import TokenBucket
from tilld.errors import TooMany

Queue = deque[asyncio.Future[None]]


class Turns:
    """A token bucket that serves waiting keys in turn, regardless of their numbers of calls."""

    def __init__(
        self, burst: float, per_second: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._pacing = TokenBucket(burst, per_second)
        self._per_second = per_second
        self._sleep = sleep
        # In the order of service: the next key comes first.
        self._waiting: dict[str, Queue] = {}
        self._giving: asyncio.Task[None] | None = None

    async def take(self, key: str, patience: float, message: str) -> None:
        """Wait for a turn. A cancelled call leaves the queue.

        Raises TooMany with `message` if the turn does not come within `patience` seconds.
        """
        wait = (self._ahead_of(key) + 1) / self._per_second
        if not self._waiting and self._pacing.take(0.0) == 0:
            return
        if wait > patience:
            raise TooMany(message, wait)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        if self._giving is None:
            self._giving = asyncio.create_task(self._give())
        try:
            async with asyncio.timeout(patience):
                await turn
        except TimeoutError:
            raise TooMany(message, wait) from None
        finally:
            self._leave(key, turn)

    @property
    def waiting(self) -> int:
        """The number of waiting calls."""
        return sum(map(len, self._waiting.values()))

    async def stop(self) -> None:
        """Cancel the task that serves the queue."""
        if self._giving:
            self._giving.cancel()
            await asyncio.wait([self._giving])

    def _ahead_of(self, key: str) -> int:
        """Return how many turns are served before a new call of this key."""
        own = len(self._waiting.get(key, ()))
        others = (min(len(queue), own + 1) for name, queue in self._waiting.items() if name != key)
        return own + sum(others)

    async def _give(self) -> None:
        try:
            while self._waiting:
                await self._sleep(self._pacing.take(math.inf))
                if self._waiting:
                    key = next(iter(self._waiting))
                    queue = self._waiting.pop(key)
                    turn = queue.popleft()
                    # The call may be cancelled, but not removed yet.
                    if not turn.done():
                        turn.set_result(None)
                    if queue:
                        self._waiting[key] = queue
        finally:
            self._giving = None

    def _leave(self, key: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(key, deque())
        if turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[key]
