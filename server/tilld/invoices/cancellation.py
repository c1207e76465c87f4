"""Cancels invoices: at the node first, then in the store. An interrupted cancellation is completed later."""

import structlog

from tilld.errors import Conflict, NodeOffline
from tilld.formats.times import Clock
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.lightningd.errors import MayExist

log = structlog.get_logger()

# A lost reply, or a change between lookup and deletion, needs another round.
ROUNDS = 3


class Cancellations:
    """Cancels open invoices.

    A mark is stored before the node is asked. After a crash the node's state decides: an invoice that is gone
    was canceled.
    """

    def __init__(self, store: Store, node: InvoiceNode, clock: Clock) -> None:
        self._store = store
        self._node = node
        self._clock = clock

    async def cancel(self, invoice: Invoice) -> Invoice:
        """Cancel an invoice; return it. A canceled invoice stays canceled.

        Raises Conflict if it is paid or expired; NodeOffline.
        """
        if not invoice.is_final:
            invoice = await self._cancel(invoice)
        if invoice.status is not Status.CANCELED:
            raise Conflict(f"the invoice is {invoice.status} and cannot be canceled")
        return invoice

    async def recover(self, node_id: str) -> None:
        """Complete the cancellations that a crash interrupted."""
        hashes = await self._store.cancellations(node_id)
        for invoice in await self._store.get_by_payment_hashes(hashes):
            found = await self._node.find_by_payment_hash(invoice.payment_hash)
            await self._node.check_is(node_id)
            await self._settle(invoice, found.seen if found else invoice.missing(self._clock()))

    async def _cancel(self, invoice: Invoice) -> Invoice:
        if invoice.is_bolt12:
            raise Conflict("an invoice sent to another node cannot be canceled; it expires")
        await self._check_node(invoice)
        await self._store.begin_cancel(invoice)
        await self._settle(invoice, await self._delete(invoice))
        return await self._store.get(invoice.invoice_id) or invoice

    async def _delete(self, invoice: Invoice) -> InvoiceUpdate:
        """Delete an unpaid invoice at the node; return its last state there."""
        for _ in range(ROUNDS):
            # An imported invoice has another label at the node.
            found = await self._node.find_by_payment_hash(invoice.payment_hash)
            await self._check_node(invoice)
            if found is None:
                return invoice.missing(self._clock())
            if found.seen.status is not Status.UNPAID:
                return found.seen
            try:
                is_deleted = await self._node.delete_unpaid(found.label)
            except MayExist:
                continue
            await self._check_node(invoice)
            if is_deleted:
                return InvoiceUpdate(invoice.payment_hash, Status.CANCELED, None)
        raise NodeOffline

    async def _check_node(self, invoice: Invoice) -> None:
        if await self._node.identity() != invoice.node_id:
            raise NodeOffline("the lightning node that has the invoice is offline; try again later")

    async def _settle(self, invoice: Invoice, seen: InvoiceUpdate) -> None:
        """Store the outcome of a cancellation."""
        for each in await self._store.end_cancel(invoice.node_id, seen):
            log.info(f"invoice {each.status}", invoice_id=each.invoice_id, username=each.username)
