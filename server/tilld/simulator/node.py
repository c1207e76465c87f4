"""A simulated node: its invoices, what is on disk of them, who waits for them, and when they expire."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tilld.simulator import bolt11_invoices
from tilld.simulator.answers import NodeAborted
from tilld.simulator.journal import Journal
from tilld.simulator.ledger import Change, Event, Ledger
from tilld.simulator.waiters import Waiters

_DAY = 86400.0


class Node:
    """A running node. Where there is no state file, it is forgotten when it ends.

    `ended` becomes None when it was told to stop, and else what it died of. Raises what Journal raises, and
    NodeAborted.
    """

    def __init__(self, lightning_dir: Path, state: Path | None, clock: Callable[[], float]) -> None:
        self.lightning_dir = lightning_dir
        self.clock = clock
        self.ledger = Ledger()
        self.waiters = Waiters()
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._journal = (
            None if state is None else Journal(state, self.ledger.apply, bolt11_invoices.new_private_key)
        )
        self.private_key = self._journal.private_key if self._journal else bolt11_invoices.new_private_key()
        self.id = bolt11_invoices.node_id(self.private_key)
        self.is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_for: int | None = None
        self.expire_due()

    def record(self, *events: Event) -> list[Change]:
        """Let events happen: first on disk, then here, then to those who wait.

        Raises NodeAborted, and ends, where they can't be written.
        """
        if self._journal:
            try:
                self._journal.append(events)
            except OSError as error:
                # The real one ends as well where its database fails: what is on disk is not known any more.
                abort = NodeAborted(f"its state cannot be written ({error.strerror}): make room for it")
                self.end(abort)
                raise abort from None
        changes = [self.ledger.apply(event) for event in events]
        for change in changes:
            self.waiters.tell(change)
        self._set_timer()
        return changes

    def expire_due(self) -> None:
        """Expire what is due by the clock."""
        self.record(*self.ledger.due(self.clock()))

    def end(self, cause: Exception | None) -> None:
        """Stop, or die of something."""
        if not self.ended.done():
            self.ended.set_result(cause)

    def close(self) -> None:
        """Let go of the state file. What waits is left waiting."""
        self.is_closed = True
        if self._timer:
            self._timer.cancel()
        if self._journal:
            self._journal.close()

    def _set_timer(self) -> None:
        next_expiry = self.ledger.next_expiry()
        if self._timer and next_expiry == self._timer_for:
            return
        if self._timer:
            self._timer.cancel()
        self._timer, self._timer_for = None, next_expiry
        if next_expiry is not None:
            # A day at most: event loops can't wait for ever, and clocks get adjusted.
            delay = min(max(next_expiry - self.clock(), 0), _DAY)
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        with suppress(NodeAborted):
            self.expire_due()
