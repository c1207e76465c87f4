"""The use cases: create an invoice, read it, watch it; tell about Till and its node."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import structlog

from tilld.auth.caller import Caller, Creator, Scope
from tilld.auth.limits import Limits
from tilld.auth.watch_token import WatchToken
from tilld.config import USUAL, Intervals
from tilld.errors import Conflict, NodeOffline, NotFound, PermissionDenied, TillError
from tilld.formats import bolt11
from tilld.formats.ids import is_id, is_invoice_id, is_payment_hash
from tilld.formats.text import is_label
from tilld.formats.times import Clock, utc_now
from tilld.invoices.hub import Hub
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.invoices.terms import InvoiceTerms
from tilld.invoices.totals import Totals
from tilld.lightningd.errors import MayExist
from tilld.lightningd.info import NodeInfo
from tilld.storage.nodes import NodeStore

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Info:
    """What GetInfo tells. `node` is as last seen; None: it was never seen."""

    totals: Totals
    online: bool
    node: NodeInfo | None


# Whether a label of a user is in use for something else than an invoice that they created.
LabelCheck = Callable[[str, str], Awaitable[bool]]


class Invoices:
    """What callers can do with invoices."""

    def __init__(
        self,
        store: Store,
        node: InvoiceNode,
        hub: Hub,
        limits: Limits,
        is_sent: LabelCheck,
        clock: Clock = utc_now,
        intervals: Intervals = USUAL,
    ) -> None:
        self._store = store
        self._nodes = NodeStore(store)
        self._node = node
        self._hub = hub
        self._limits = limits
        self._is_sent = is_sent
        self._clock = clock
        self._info_seconds = intervals.info_patience_seconds

    async def create(self, caller: Caller, order: InvoiceTerms) -> Invoice:
        """Create an invoice, or find the one that the same order with the same label created before.

        Raises Conflict where the label belongs to another order; PermissionDenied for a type that is not
        the caller's; TooMany; NodeOffline.
        """
        if caller.type is not None and caller.type != order.type:
            raise PermissionDenied(
                f'metadata must have the type "{caller.type}", the only one that the key permits'
            )
        if order.label is not None:
            earlier = await self._store.get_by_label(caller.username, order.label)
            if earlier:
                return await self._still_there(_answering(caller, order, earlier))
            if await self._is_sent(caller.username, order.label):
                raise Conflict("label is in use for an invoice sent to another node; use another label")
        await self._limits.turn(caller)
        async with self._limits.creating(caller, lambda: self._store.open_invoices(caller.creator)):
            with self._store.expecting():
                issued, seen = await self._issue(caller.creator, order)
            invoice = await self._store.add(issued)
        if invoice is not issued:
            return _answering(caller, order, invoice)
        if seen:
            # What became of it since has passed by the follower, which did not know of it.
            await self._store.settle(invoice.node_id, [seen])
            invoice = invoice.updated(seen)
        return invoice

    async def get(self, caller: Caller, invoice_id: str) -> Invoice:
        """Read an invoice by its public id.

        Raises NotFound.
        """
        return self._read(caller, await self._store.get(invoice_id) if is_invoice_id(invoice_id) else None)

    async def get_by_id(self, caller: Caller, internal_id: str) -> Invoice:
        """Read an invoice by its internal id.

        Raises NotFound.
        """
        return self._read(caller, await self._store.get_by_id(internal_id) if is_id(internal_id) else None)

    async def get_by_label(self, caller: Caller, label: str) -> Invoice:
        """Read a user's invoice by its label.

        Raises NotFound.
        """
        invoice = await self._store.get_by_label(caller.username, label) if is_label(label) else None
        return self._read(caller, invoice)

    async def get_by_payment_hash(self, caller: Caller, payment_hash: str) -> Invoice:
        """Read an invoice by its payment hash.

        Raises NotFound.
        """
        wanted = payment_hash.lower()
        invoice = await self._store.get_by_payment_hash(wanted) if is_payment_hash(wanted) else None
        return self._read(caller, invoice)

    async def get_by_bolt11(self, caller: Caller, text: str) -> Invoice:
        """Read an invoice by its payment request, as people and QR codes write it.

        Raises NotFound.
        """
        request = bolt11.pasted(text)
        try:
            payment_hash = bolt11.read(request).payment_hash
        except ValueError:
            raise NotFound from None
        invoice = await self._store.get_by_payment_hash(payment_hash)
        return self._read(caller, invoice if invoice and invoice.bolt11 == request else None)

    async def watch(self, caller: Caller, invoice_id: str) -> AsyncIterator[Invoice]:
        """Follow an invoice: its current state at once, then every change, until a final state.

        Raises NotFound; TooMany; Unavailable when Till stops.
        """
        await self._limits.may_watch(caller)
        # Subscribe before reading: a payment between the two would be lost.
        with self._limits.watching(caller), self._hub.subscribe(invoice_id) as changes:
            invoice = await self._store.get(invoice_id) if is_invoice_id(invoice_id) else None
            if invoice is None or not invoice.is_visible_to(caller):
                raise NotFound
            # As the node said: what the clock can know is not the last word.
            while True:
                yield invoice
                if invoice.is_final:
                    return
                # Nobody needs it any more, and the next one may be hours away.
                del invoice
                invoice = await changes.next()

    def watch_token(self, caller: Caller, invoice: Invoice) -> str:
        """A token that lets others watch an invoice of the caller's.

        Raises PermissionDenied for who has no more than such a token.
        """
        if caller.invoice_id:
            raise PermissionDenied("a watch token cannot create another one; use a key")
        return WatchToken.of(invoice.invoice_id, invoice.expires_at, caller.key_id, self._clock()).signed(
            self._store.secret
        )

    async def info(self, caller: Caller) -> Info:
        """Tell about the node and the caller's invoices; an admin is told of all.

        Never fails because of the node.
        """
        totals = await self._store.totals(None if Scope.ADMIN in caller.scopes else caller.username)
        try:
            return Info(totals, online=True, node=await self._node.recent_info(self._info_seconds))
        except TillError:
            return Info(totals, online=False, node=self._node.last_info or await self._nodes.last())

    async def _still_there(self, invoice: Invoice) -> Invoice:
        """An invoice of an earlier order, with the node's word if it is open and the node can be asked.

        One that somebody has deleted at the node cannot be paid: it is expired from then on, and a label is
        never given a second invoice.
        """
        if invoice.is_final or not self._node.is_there(invoice.node_id):
            return invoice
        try:
            async with asyncio.timeout(self._info_seconds):
                found = await self._node.find_by_payment_hash(invoice.payment_hash)
                # What another node does not know says nothing.
                await self._node.check_is(invoice.node_id)
        except (TillError, TimeoutError):
            return invoice
        if found is None:
            log.warning("an open invoice is gone at the node: it is expired", invoice_id=invoice.invoice_id)
        seen = found.seen if found else InvoiceUpdate(invoice.payment_hash, Status.EXPIRED, None)
        if seen.status is Status.UNPAID:
            return invoice
        self._hub.publish(await self._store.settle(invoice.node_id, [seen]))
        return await self._store.get(invoice.invoice_id) or invoice

    def _read(self, caller: Caller, invoice: Invoice | None) -> Invoice:
        """An invoice as its owner may see it; another's does not exist."""
        if invoice is None or not invoice.is_visible_to(caller):
            raise NotFound
        # The node's word counts, where it can be had.
        is_there = self._node.is_there(invoice.node_id)
        return invoice if is_there else invoice.by_the_clock(self._clock())

    async def _issue(self, creator: Creator, order: InvoiceTerms) -> tuple[Invoice, InvoiceUpdate | None]:
        """Have the node issue an invoice, or adopt one of an earlier try, with what became of it since."""
        invoice_id = order.invoice_id(creator.username, self._store.secret)
        # Once more where the node never heard of it: a label can't be used twice.
        for _ in range(2):
            try:
                issued = await self._node.invoice(invoice_id, order)
                return Invoice.opened(invoice_id, creator, order, issued), None
            except MayExist:
                found = await self._node.find(invoice_id)
                if found:
                    return Invoice.adopted(creator, order, found), found.seen
        raise NodeOffline


def _answering(caller: Caller, order: InvoiceTerms, invoice: Invoice) -> Invoice:
    """The invoice that has the label of an order already, if it is the answer to it.

    Raises Conflict.
    """
    # What differs would tell a key of one type about invoices of others.
    if not invoice.is_visible_to(caller):
        raise Conflict("label is in use; use another label")
    return invoice.answering(order)
