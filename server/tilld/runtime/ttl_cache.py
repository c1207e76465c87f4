"""What was asked a moment ago, and need not be asked again."""

import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class TTLCache(Generic[Value]):
    """Answers by name, good for some seconds from when they were asked for; then the next one drops them."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._answers: dict[str, tuple[Value, float]] = {}
        self._forgotten_at = -math.inf
        self._drop_at = -math.inf

    def __len__(self) -> int:
        """How many are in memory, good or not."""
        return len(self._answers)

    def get(self, name: str) -> Value | None:
        """The answer to what was asked a moment ago, if it was."""
        found = self._answers.get(name)
        return found[0] if found and self._clock() < found[1] else None

    def keep(self, name: str, answer: Value, asked_at: float) -> None:
        """Keep an answer, of how things were when it was asked for (by the same clock)."""
        if asked_at >= self._drop_at:
            self._answers = {each: found for each, found in self._answers.items() if asked_at < found[1]}
            self._drop_at = asked_at + self._seconds
        if asked_at > self._forgotten_at:
            self._answers[name] = answer, asked_at + self._seconds

    def forget(self) -> None:
        """Keep none of them, nor what is being asked now."""
        self._answers.clear()
        self._forgotten_at = self._clock()
