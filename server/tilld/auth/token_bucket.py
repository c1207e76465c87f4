"""Token bucket: a burst passes immediately, the rest at a steady rate."""

import time
from collections.abc import Callable


class TokenBucket:
    """A token bucket that returns how many seconds to wait."""

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._earlier = (burst - 1) / per_second
        self._pause = 1 / per_second
        self._clock = clock
        self._next = 0.0

    def take(self, patience: float) -> float:
        """Take a token unless the wait exceeds `patience` seconds; return the wait in seconds."""
        now = self._clock()
        due = max(self._next, now - self._earlier)
        wait = max(due - now, 0.0)
        if wait <= patience:
            self._next = due + self._pause
        return wait
