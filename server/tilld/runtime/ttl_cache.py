"""A cache whose entries expire after a fixed time."""

import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class TTLCache(Generic[Value]):
    """Values by name that expire some seconds after their lookup began. A later `keep` removes them."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._answers: dict[str, tuple[Value, float]] = {}
        self._forgotten_at = -math.inf
        self._drop_at = -math.inf

    def __len__(self) -> int:
        """Return the number of entries in memory, including expired ones."""
        return len(self._answers)

    def get(self, name: str) -> Value | None:
        """Return the value, or None if it is unknown or expired."""
        found = self._answers.get(name)
        return found[0] if found and self._clock() < found[1] else None

    def keep(self, name: str, answer: Value, asked_at: float) -> None:
        """Store a value, which was current at `asked_at` by the cache's clock."""
        if asked_at >= self._drop_at:
            self._answers = {each: found for each, found in self._answers.items() if asked_at < found[1]}
            self._drop_at = asked_at + self._seconds
        if asked_at > self._forgotten_at:
            self._answers[name] = answer, asked_at + self._seconds

    def forget(self) -> None:
        """Remove all values, and ignore those of lookups in flight."""
        self._answers.clear()
        self._forgotten_at = self._clock()
