"""Paces what must not come too fast: what a second has earned passes at once, then one after the other."""

import time
from collections.abc import Callable


class Pacing:
    """A token bucket that tells each how long to wait for its turn."""

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._earlier = (burst - 1) / per_second
        self._pause = 1 / per_second
        self._clock = clock
        self._next = 0.0

    def seconds(self) -> float:
        """How long one would have to wait now."""
        return max(self._due() - self._clock(), 0.0)

    def take(self) -> float:
        """Take a turn; returns the seconds until it comes."""
        wait = self.seconds()
        self._next = self._due() + self._pause
        return wait

    def _due(self) -> float:
        return max(self._next, self._clock() - self._earlier)
