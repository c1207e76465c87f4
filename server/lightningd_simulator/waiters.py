"""Waiters for changes, notified when they happen."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from lightningd_simulator.indexes import IndexName
from lightningd_simulator.invoice_ledger import Change, Created, DescriptionRemoved, Paid
from lightningd_simulator.payment_ledger import PaymentChange

AnyChange = TypeVar("AnyChange", Change, PaymentChange)


class Waiters(Generic[AnyChange]):
    """All waiters, each notified once, in the order of arrival."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[AnyChange], Callable[[AnyChange], bool]] = {}

    def for_index(self, index: IndexName, number: int) -> asyncio.Future[AnyChange]:
        """Return a future of the change that brings an index to a number."""
        return self._wait(lambda change: change.index == index and change.number >= number)

    def tell(self, change: AnyChange) -> None:
        """Notify the waiters for this change."""
        for future, interested in list(self._waiting.items()):
            if interested(change):
                del self._waiting[future]
                if not future.done():
                    future.set_result(change)

    def _wait(self, interested: Callable[[AnyChange], bool]) -> asyncio.Future[AnyChange]:
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = interested
        # Removed on cancellation, too.
        future.add_done_callback(lambda done: self._waiting.pop(done, None))
        return future


class InvoiceWaiters(Waiters[Change]):
    """Waiters for changes of invoices."""

    def for_invoice(self, created_index: int) -> asyncio.Future[Change]:
        """Return a future of an invoice's payment, expiry or deletion."""
        return self._wait(
            lambda change: (
                change.invoice.created_index == created_index
                and not isinstance(change.event, Created | DescriptionRemoved)
            )
        )

    def for_payment(self) -> asyncio.Future[Change]:
        """Return a future of the next payment of any invoice."""
        return self._wait(lambda change: isinstance(change.event, Paid))

    def for_payment_of(self, created_index: int) -> asyncio.Future[Change]:
        """Return a future of the payment of an invoice."""
        return self._wait(
            lambda change: change.invoice.created_index == created_index and isinstance(change.event, Paid)
        )
