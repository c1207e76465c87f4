"""Who waits for what, and is told when it happens."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from lightningd_simulator.indexes import IndexName
from lightningd_simulator.invoice_ledger import Change, Created, DescriptionRemoved, Paid
from lightningd_simulator.payment_ledger import PaymentChange

AnyChange = TypeVar("AnyChange", Change, PaymentChange)


class Waiters(Generic[AnyChange]):
    """Everybody who waits. Each is told once, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[AnyChange], Callable[[AnyChange], bool]] = {}

    def for_index(self, index: IndexName, number: int) -> asyncio.Future[AnyChange]:
        """Wait until an index reaches a number."""
        return self._wait(lambda change: change.index == index and change.number >= number)

    def tell(self, change: AnyChange) -> None:
        """Answer those who waited for this change."""
        for future, interested in list(self._waiting.items()):
            if interested(change):
                del self._waiting[future]
                if not future.done():
                    future.set_result(change)

    def _wait(self, interested: Callable[[AnyChange], bool]) -> asyncio.Future[AnyChange]:
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = interested
        # One who hangs up is forgotten.
        future.add_done_callback(lambda done: self._waiting.pop(done, None))
        return future


class InvoiceWaiters(Waiters[Change]):
    """Those who wait for what happens to invoices."""

    def for_invoice(self, created_index: int) -> asyncio.Future[Change]:
        """Wait until an invoice is paid, expires or is deleted."""
        return self._wait(
            lambda change: (
                change.invoice.created_index == created_index
                and not isinstance(change.event, Created | DescriptionRemoved)
            )
        )

    def for_payment(self) -> asyncio.Future[Change]:
        """Wait until any invoice is paid."""
        return self._wait(lambda change: isinstance(change.event, Paid))

    def for_payment_of(self, created_index: int) -> asyncio.Future[Change]:
        """Wait until an invoice is paid."""
        return self._wait(
            lambda change: change.invoice.created_index == created_index and isinstance(change.event, Paid)
        )
