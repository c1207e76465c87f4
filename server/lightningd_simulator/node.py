"""A simulated node: its invoices and payments, what is on disk of them, who waits for them, what is due."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from lightningd_simulator import invoice_ledger, offers, payment_ledger
from lightningd_simulator.bolts import bolt11
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
    """A running node. Where there is no state file, it is forgotten when it ends.

    `ended` becomes None when it was told to stop, and else what it died of. Raises what Journal raises, and
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
    ) -> None:
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
        """Let things happen to invoices: first on disk, then here, then to those who wait.

        Raises NodeAborted, and ends, where they can't be written.
        """
        self._write(events)
        changes = [self.ledger.apply(event) for event in events]
        for change in changes:
            self.waiters.tell(change)
        self._set_timer()
        return changes

    def record_spending(self, event: payment_ledger.Event) -> None:
        """Let something happen to invoice requests and payments, in the same way."""
        self._write([event])
        if change := self.spending.apply(event):
            self.payment_waiters.tell(change)

    def record_offer(self, event: offers.Event) -> Offer:
        """Let something happen to offers, in the same way."""
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
                # The real one ends as well where its database fails: what is on disk is not known any more.
                abort = NodeAborted(f"its state cannot be written ({error.strerror}): make room for it")
                self.end(abort)
                raise abort from None

    def expire_due(self) -> None:
        """Expire what is due by the clock."""
        self.record(*self.ledger.due(self.clock()))

    def hears(self, peer_id: str) -> bool:
        """Tell whether a message of a peer gets through. To itself, a node may say what it likes."""
        return not self._messages or peer_id == self.id or self._messages.lets_pass(peer_id)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something for as long as it takes, whoever waits for it; the end of the node is its end."""
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
        """Stop, or die of something."""
        if not self.ended.done():
            self.ended.set_result(cause)

    def close(self) -> None:
        """Let go of the state file. What waits is left waiting."""
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
            # A day at most: event loops can't wait for ever, and clocks get adjusted.
            delay = min(max(next_expiry - self.clock(), 0), _DAY)
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        with suppress(NodeAborted):
            self.expire_due()
