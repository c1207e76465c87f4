"""Clocks for simulated nodes."""

import time


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_795_217_785.25

    def __call__(self) -> float:
        return self.now


class RunningClock(Clock):
    """The time."""

    def __call__(self) -> float:
        return time.time()
