"""Totals of invoices, received amounts and payouts. Pure."""

from collections.abc import Iterable
from typing import NamedTuple, Self

from tilld.invoices.invoice import Invoice

# The largest integer of a database. A simulated node can exceed it.
MAX_VOLUME_MSAT = 2**63 - 1


class Totals(NamedTuple):
    """Number of invoices, number of open ones, and the sums received and paid out (msat)."""

    invoices: int = 0
    open_invoices: int = 0
    volume_msat: int = 0
    volume_out_msat: int = 0

    @classmethod
    def created(cls, invoice: Invoice) -> Self:
        """Return what a new invoice adds to the totals."""
        return cls(1, not invoice.is_final, _received_msat(invoice))

    @classmethod
    def settled(cls, invoice: Invoice) -> Self:
        """Return what an open invoice adds when it is settled."""
        return cls(0, -1, _received_msat(invoice))

    @classmethod
    def paid_late(cls, invoice: Invoice) -> Self:
        """Return what an expired or canceled invoice adds when a payment of it becomes known."""
        return cls(0, 0, _received_msat(invoice))

    @classmethod
    def sum(cls, totals: "Iterable[Totals]") -> Self:
        """Return the sum of totals. Volumes saturate at the largest integer."""
        invoices, open_invoices, *volumes = map(sum, zip(cls(), *totals, strict=True))
        return cls(invoices, open_invoices, *(min(volume, MAX_VOLUME_MSAT) for volume in volumes))

    def __str__(self) -> str:
        received = f"{self.invoices} invoices, {self.open_invoices} open, {self.volume_msat} msat received"
        return f"{received}, {self.volume_out_msat} msat paid out" if self.volume_out_msat else received


def _received_msat(invoice: Invoice) -> int:
    return invoice.payment.amount_received_msat if invoice.payment else 0
