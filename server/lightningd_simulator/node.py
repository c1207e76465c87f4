"""A simulated node: invoices, payments, state on disk, waiters and timers."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from lightningd_simulator import invoice_ledger, offers, payment_ledger
from lightningd_simulator.bolts import bolt11
from lightningd_simulator.channels import Channel
from lightningd_simulator.invoice_ledger import Change, Ledger
from lightningd_simulator.journal import Event, Journal
from lightningd_simulator.offers import Offer, Offers
from lightningd_simulator.payment_ledger import PaymentChange, Spending
from lightningd_simulator.peers import MessageLimit, Peers
from lightningd_simulator.rpc.answers import NodeAborted
from lightningd_simulator.waiters import InvoiceWaiters, Waiters

_DAY = 86400.0

T = TypeVar("T")


class Node:
    """A running node. Without a state file its state ends with the process.

    `ended` becomes None after a stop, and else the cause of the abort. Raises the errors of Journal, and
    NodeAborted.
    """

    def __init__(
        self,
        rpc_file: Path,
        state: Path | None,
        clock: Callable[[], float],
        peers: Sequence[Path] = (),
        message_limit: MessageLimit | None = None,
        payment_seconds: float = 0,
        channels: Sequence[Channel] = (),
    ) -> None:
        self.channels = [*channels]
        self.payment_seconds = payment_seconds
        self.lightning_dir = rpc_file.absolute().parent
        self.clock = clock
        self.ledger = Ledger()
        self.spending = Spending()
        self.offers = Offers()
        self.waiters = InvoiceWaiters()
        self.payment_waiters = Waiters[PaymentChange]()
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._journal = None if state is None else Journal(state, self._apply, bolt11.new_private_key)
        self.private_key = self._journal.private_key if self._journal else bolt11.new_private_key()
        self.id = bolt11.node_id(self.private_key)
        self.peers = Peers(self.id, rpc_file, peers)
        self._messages = message_limit
        self._under_way: set[asyncio.Task[Any]] = set()
        self.is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_for: int | None = None
        self.expire_due()

    def record(self, *events: invoice_ledger.Event) -> list[Change]:
        """Record events of invoices: on disk, in memory, then to waiters.

        Raises NodeAborted, and ends the node, if they cannot be written.
        """
        self._write(events)
        changes = [self.ledger.apply(event) for event in events]
        for change in changes:
            self.waiters.tell(change)
        self._set_timer()
        return changes

    def record_spending(self, event: payment_ledger.Event) -> None:
        """Record an event of invoice requests or payments, in the same way."""
        self._write([event])
        if change := self.spending.apply(event):
            self.payment_waiters.tell(change)

    def record_offer(self, event: offers.Event) -> Offer:
        """Record an event of offers, in the same way."""
        self._write([event])
        return self.offers.apply(event)

    def _apply(self, event: Event) -> None:
        if isinstance(event, payment_ledger.Event):
            self.spending.apply(event)
        elif isinstance(event, offers.Event):
            self.offers.apply(event)
        else:
            self.ledger.apply(event)

    def _write(self, events: Sequence[Event]) -> None:
        if self._journal:
            try:
                self._journal.append(events)
            except OSError as error:
                # lightningd also exits when its database fails, since the state on disk is unknown.
                abort = NodeAborted(f"its state cannot be written ({error.strerror}); free disk space")
                self.end(abort)
                raise abort from None

    def rotate(self, hints: Sequence[Channel]) -> None:
        """Move channels to the end, so that the next invoice names others."""
        self.channels = [each for each in self.channels if each not in hints] + [*hints]

    def expire_due(self) -> None:
        """Expire the invoices that are due."""
        self.record(*self.ledger.due(self.clock()))

    def hears(self, peer_id: str) -> bool:
        """Return whether a peer's message passes the limit. A node's own messages always pass."""
        return not self._messages or peer_id == self.id or self._messages.lets_pass(peer_id)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run work in a task that ends with the node, independent of its caller."""
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        match None if task.cancelled() else task.exception():
            case NodeAborted() as abort:
                self.end(abort)
            case Exception() as error:
                raise error

    def end(self, cause: Exception | None) -> None:
        """End the node, with the cause of an abort."""
        if not self.ended.done():
            self.ended.set_result(cause)

    def close(self) -> None:
        """Release the state file. Waiters stay pending."""
        self.is_closed = True
        if self._timer:
            self._timer.cancel()
        for task in self._under_way:
            task.cancel()
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
            # At most a day: event loops limit timers, and clocks are adjusted.
            delay = min(max(next_expiry - self.clock(), 0), _DAY)
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        with suppress(NodeAborted):
            self.expire_due()
