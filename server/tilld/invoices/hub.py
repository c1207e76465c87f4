"""Publishes invoice changes to their watchers."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Self

from tilld.errors import Unavailable
from tilld.invoices.invoice import Invoice


class Subscription:
    """A context manager that delivers the changes of one invoice to one watcher.

    A slow watcher gets only the newest state.
    """

    __slots__ = ("_closed", "_invoice_id", "_latest", "_waiting", "_watchers")

    def __init__(self, watchers: "defaultdict[str, set[Subscription]]", invoice_id: str) -> None:
        self._watchers = watchers
        self._invoice_id = invoice_id
        self._latest: Invoice | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._closed = False

    def __enter__(self) -> Self:
        self._watchers[self._invoice_id].add(self)
        return self

    def __exit__(self, *_: object) -> None:
        others = self._watchers[self._invoice_id]
        others.discard(self)
        if not others:
            del self._watchers[self._invoice_id]

    async def next(self) -> Invoice:
        """Wait for the next state.

        Raises Unavailable when Till stops.
        """
        while self._latest is None:
            if self._closed:
                raise Unavailable("Till is stopping; watch again")
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        latest, self._latest = self._latest, None
        return latest

    def put(self, invoice: Invoice) -> None:
        """Deliver a new state to the watcher."""
        self._latest = invoice
        self._wake()

    def close(self) -> None:
        """End the subscription after the pending state."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)


class Hub:
    """The subscriptions of all watchers, by invoice."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._closed = False

    def subscribe(self, invoice_id: str) -> Subscription:
        """Return a subscription to an invoice; it is active while its context is open."""
        changes = Subscription(self._watchers, invoice_id)
        if self._closed:
            changes.close()
        return changes

    def publish(self, invoices: Iterable[Invoice]) -> None:
        """Publish the new state of invoices to their watchers."""
        for invoice in invoices:
            for changes in self._watchers.get(invoice.invoice_id, ()):
                changes.put(invoice)

    def is_watched(self, invoice_id: str) -> bool:
        """Return whether an invoice has watchers."""
        return invoice_id in self._watchers

    @property
    def is_idle(self) -> bool:
        """True if no invoice has watchers."""
        return not self._watchers

    @property
    def watchers(self) -> int:
        """The number of watchers."""
        return sum(map(len, self._watchers.values()))

    def close(self) -> None:
        """End all subscriptions: each delivers its pending state, then raises Unavailable."""
        self._closed = True
        for watchers in self._watchers.values():
            for changes in watchers:
                changes.close()
