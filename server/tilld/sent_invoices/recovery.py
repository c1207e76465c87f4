"""Determines the outcome of sent invoices from the node, and stores it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog

from tilld.config import USUAL, Intervals
from tilld.errors import NodeOffline, NotPaid, TillError, TookTooLong, Unavailable
from tilld.formats.times import Clock, utc_now
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status
from tilld.invoices.repository import Store
from tilld.runtime.retry import retry_forever
from tilld.sent_invoices.attempt import SendAttempt, State, harmless
from tilld.sent_invoices.lightningd import AGAIN, Found, SentInvoiceNode
from tilld.sent_invoices.repository import AttemptStore

log = structlog.get_logger()


class Recovery:
    """Determines the outcome of attempts. Idempotent, also across processes."""

    def __init__(
        self,
        store: Store,
        attempts: AttemptStore,
        node: SentInvoiceNode,
        clock: Clock = utc_now,
        intervals: Intervals = USUAL,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._node = node
        self._clock = clock
        self._intervals = intervals

    async def resolve(self, is_worked_on: Callable[[SendAttempt], bool]) -> None:
        """Resolve abandoned attempts until cancelled.

        A crash or an offline node leaves such attempts behind.
        """
        work = partial(self._resolve, is_worked_on)
        await retry_forever("looking up invoices sent by", work, self._intervals.retry)

    async def look(self, sending: SendAttempt, failure: TillError | None = None) -> SendAttempt:
        """Look an attempt up at the node, store its present state, and return it.

        `failure` is the error that the node returned for the attempt: an unpaid invoice is then withdrawn.
        Raises Unavailable.
        """
        try:
            if await self._node.identity() != sending.node_id:
                raise NodeOffline
            found = await self._node.find(sending.node_label)
            if found is None and failure is None:
                return await self._nothing_there(sending)
            if found is None or not found.invoice.issued.is_bolt12:
                return await self.end(sending.failed(failure or not_sent()))
            seen = found.invoice.seen
            if seen.status is Status.UNPAID and failure:
                if not await self._node.withdraw(sending.node_label):
                    # The invoice was paid or has expired in the meantime.
                    return await self.look(sending, failure)
                return await self.end(sending.failed(failure))
        except (NodeOffline, TookTooLong):
            raise unknown(sending.node_label) from None
        if seen.status is Status.EXPIRED:
            return await self.end(sending.failed(failure or NotPaid()))
        await self._keep(sending, found)
        if seen.status is Status.UNPAID:
            return sending
        await self._settle(sending, seen)
        return await self.end(sending.paid())

    async def keep_if_there(self, sending: SendAttempt) -> bool:
        """Store the invoice of an attempt in flight; return whether the node has it."""
        try:
            found = await self._node.find(sending.node_label)
            if found:
                await self._keep(sending, found)
        except TillError:
            return False
        return bool(found)

    async def end(self, sending: SendAttempt) -> SendAttempt:
        """Store an outcome and return it."""
        if sending.state is State.FAILED:
            # Settled first: the invoice of the next attempt takes over the label.
            kept = await self._store.get(sending.node_label)
            if kept and kept.is_bolt12:
                await self._settle(sending, InvoiceUpdate(kept.payment_hash, Status.EXPIRED, None))
        await self._attempts.end(sending)
        log.info(
            "sending ended",
            invoice_id=sending.node_label,
            state=sending.state,
            code=sending.code,
        )
        return sending

    async def _resolve(self, is_worked_on: Callable[[SendAttempt], bool]) -> None:
        while True:
            for sending in await self._attempts.pending(await self._node.identity()):
                if not is_worked_on(sending):
                    await self.look(sending)
            await asyncio.sleep(self._intervals.recovery_seconds)

    async def _nothing_there(self, sending: SendAttempt) -> SendAttempt:
        """Claim the label at the node, so that a call in flight cannot create the invoice."""
        young = timedelta(seconds=self._intervals.young_seconds)
        is_young = self._clock() - young < sending.created_at
        if is_young or not await self._node.claim_label(sending.node_label):
            return sending
        return await self.end(sending.failed(not_sent()))

    async def _keep(self, sending: SendAttempt, found: Found) -> None:
        """Store the invoice of an attempt."""
        issued = found.invoice.issued
        await self._attempts.add(
            Invoice.sent(
                sending.node_label,
                sending.creator,
                label=sending.label,
                amount_msat=found.invoice.amount_msat,
                description=harmless(found.description or "") or None,
                metadata=sending.metadata,
                issued=issued,
                created_at=issued.expires_at - timedelta(seconds=sending.timeout),
            )
        )

    async def _settle(self, sending: SendAttempt, seen: InvoiceUpdate) -> None:
        for invoice in await self._store.settle(sending.node_id, [seen]):
            log.info(
                f"invoice {invoice.status}",
                invoice_id=invoice.invoice_id,
                username=invoice.username,
                amount_received_msat=invoice.payment and invoice.payment.amount_received_msat,
            )


def unknown(invoice_id: str = "") -> Unavailable:
    """Return the error for an invoice that may or may not be paid."""
    look = f", or read invoice {invoice_id}" if invoice_id else ""
    return Unavailable(f"whether the invoice is paid is not known yet; try again with the same label{look}")


def not_sent() -> Unavailable:
    """Return the error for an invoice that the node never sent."""
    return Unavailable(f"the invoice was not sent; {AGAIN}")
