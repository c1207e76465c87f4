"""Whether a receiver rejects all events, and when to try it again. Pure."""

from datetime import datetime, timedelta

from tilld.config import Pauses

# New events that are rejected in a row before the receiver counts as out.
PATIENCE = 3

# Beyond 2**20 no pause grows.
MOST_PROBES = 20


class Outage:
    """The outage of a receiver, if there is one.

    During an outage the receiver is tried at `probe_at`, with growing pauses. `held_until` is the end of the
    pause that the receiver itself has asked for.
    """

    def __init__(self, pauses: Pauses, now: datetime, *, is_on: bool) -> None:
        self._pauses = pauses
        self._rejected = PATIENCE if is_on else 0
        self._probes = 0
        self.held_until = now
        self.probe_at = now + self._pause

    @property
    def is_on(self) -> bool:
        """True during an outage."""
        return self._rejected >= PATIENCE

    def reject(self, now: datetime) -> None:
        """Note that a new event was rejected."""
        self._rejected += 1
        if self._rejected == PATIENCE:
            self._probes, self.probe_at = 0, now + self._pause

    def accept(self) -> bool:
        """Note that an event was accepted; return whether that ends an outage."""
        was_on, self._rejected = self.is_on, 0
        return was_on

    def hold(self, until: datetime) -> None:
        """Note until when the receiver wants nothing."""
        self.held_until = until
        self.probe_at = max(self.probe_at, until)

    def probed(self, now: datetime) -> None:
        """Note that the receiver was tried."""
        self._probes = min(self._probes + 1, MOST_PROBES)
        self.probe_at = max(now + self._pause, self.held_until)

    @property
    def _pause(self) -> timedelta:
        first, longest = self._pauses
        return timedelta(seconds=min(first * 2**self._probes, longest))
