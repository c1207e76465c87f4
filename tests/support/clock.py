"""Clocks for simulated nodes."""

import time


class Clock:
    """A clock that stands still until a test sets it."""

    def __init__(self) -> None:
        self.now = 1_795_217_785.25

    def __call__(self) -> float:
        return self.now


class RunningClock(Clock):
    """The system clock."""

    def __call__(self) -> float:
        return time.time()
