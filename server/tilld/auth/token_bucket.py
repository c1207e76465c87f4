"""Paces what must not come too fast: what a second has earned passes at once, then one after the other."""

import time
from collections.abc import Callable


class TokenBucket:
    """A token bucket that tells each how long to wait for its turn, in seconds."""

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._earlier = (burst - 1) / per_second
        self._pause = 1 / per_second
        self._clock = clock
        self._next = 0.0

    def take(self, patience: float) -> float:
        """Take a turn, unless that is later than so many seconds from now; returns when it comes."""
        now = self._clock()
        due = max(self._next, now - self._earlier)
        wait = max(due - now, 0.0)
        if wait <= patience:
            self._next = due + self._pause
        return wait
