"""Use cases of invoices: create, read and watch; information about Till and its node."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from tilld.auth.caller import Caller, Creator, Scope
from tilld.auth.limits import Limits
from tilld.auth.watch_token import WatchToken
from tilld.config import USUAL, Intervals
from tilld.errors import Conflict, InvalidRequest, NodeOffline, NotFound, PermissionDenied, TillError
from tilld.formats import bolt11
from tilld.formats.ids import is_id, is_invoice_id, is_payment_hash
from tilld.formats.text import is_label
from tilld.formats.times import Clock, utc_now
from tilld.invoices.cancellation import Cancellations
from tilld.invoices.hub import Hub
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.payability import EXISTED, Payability
from tilld.invoices.repository import Store
from tilld.invoices.terms import InvoiceTerms
from tilld.invoices.totals import Totals
from tilld.invoices.webhook import CheckURL, InvoiceWebhook, check_same_webhook, checked_webhook_url
from tilld.lightningd.errors import MayExist
from tilld.lightningd.info import NodeInfo
from tilld.storage.nodes import NodeStore

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Info:
    """The result of GetInfo. `node` is as last seen, or None if never seen."""

    totals: Totals
    online: bool
    node: NodeInfo | None


class NewInvoice(NamedTuple):
    """The result of a create, with the node's estimate of whether the invoice can be paid."""

    invoice: Invoice
    payability: Payability
    webhook: InvoiceWebhook | None = None


# Reports whether a user's label is in use for an invoice sent to another node.
LabelCheck = Callable[[str, str], Awaitable[bool]]


class Invoices:
    """Operations of callers on invoices."""

    def __init__(
        self,
        store: Store,
        node: InvoiceNode,
        hub: Hub,
        limits: Limits,
        is_sent: LabelCheck,
        check_url: CheckURL,
        clock: Clock = utc_now,
        intervals: Intervals = USUAL,
    ) -> None:
        self._store = store
        self._nodes = NodeStore(store)
        self._node = node
        self._hub = hub
        self._limits = limits
        self._is_sent = is_sent
        self._check_url = check_url
        self._clock = clock
        self._cancellations = Cancellations(store, node, clock)
        self._info_seconds = intervals.info_patience_seconds

    async def create(
        self, caller: Caller, order: InvoiceTerms, webhook_field: str = "webhook_url"
    ) -> NewInvoice:
        """Create an invoice, or return the one that the same order with the same label created before.

        `webhook_field` is the caller's name of the webhook's URL. Raises Conflict if the label belongs to
        another order; PermissionDenied if the key does not permit the type; TooMany; NodeOffline.
        """
        if caller.type is not None and caller.type != order.type:
            raise PermissionDenied(
                f'metadata must have the type "{caller.type}", the only one that the key permits'
            )
        url = checked_webhook_url(caller, order.webhook_url, self._check_url, webhook_field)
        if order.label is not None:
            earlier = await self._store.get_by_label(caller.username, order.label)
            if earlier:
                found = await self._still_there(_answering(caller, order, earlier))
                return await self._repeated(caller, url, found)
            if await self._is_sent(caller.username, order.label):
                raise Conflict("label is in use for an invoice sent to another node; use another label")
        await self._limits.turn(caller)
        async with self._limits.creating(caller, lambda: self._store.open_invoices(caller.creator)):
            with self._store.expecting():
                issued, seen, payability = await self._issue(caller.creator, order)
            webhook = InvoiceWebhook.of(caller, issued, url, self._store.secret) if url else None
            invoice = await self._store.add(issued, webhook)
        if invoice is not issued:
            return await self._repeated(caller, url, _answering(caller, order, invoice))
        if seen:
            # The follower ignores updates of invoices that the store lacks.
            await self._store.settle(invoice.node_id, [seen])
            invoice = invoice.updated(seen)
        return NewInvoice(shown(caller, invoice), payability, webhook)

    async def get(self, caller: Caller, invoice_id: str) -> Invoice:
        """Return the invoice with a public id.

        Raises NotFound.
        """
        return self._read(caller, await self._store.get(invoice_id) if is_invoice_id(invoice_id) else None)

    async def get_by_id(self, caller: Caller, internal_id: str) -> Invoice:
        """Return the invoice with an internal id.

        Raises NotFound.
        """
        return self._read(caller, await self._store.get_by_id(internal_id) if is_id(internal_id) else None)

    async def get_by_label(self, caller: Caller, label: str) -> Invoice:
        """Return a user's invoice with a label.

        Raises NotFound.
        """
        invoice = await self._store.get_by_label(caller.username, label) if is_label(label) else None
        return self._read(caller, invoice)

    async def get_by_payment_hash(self, caller: Caller, payment_hash: str) -> Invoice:
        """Return the invoice with a payment hash.

        Raises NotFound.
        """
        wanted = payment_hash.lower()
        invoice = await self._store.get_by_payment_hash(wanted) if is_payment_hash(wanted) else None
        return self._read(caller, invoice)

    async def get_by_bolt11(self, caller: Caller, text: str) -> Invoice:
        """Return the invoice with a payment request, as people and QR codes write it.

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
        """Yield the current state of an invoice immediately, then every change until a final state.

        Raises NotFound; TooMany; Unavailable when Till stops.
        """
        await self._limits.may_watch(caller)
        # Subscribe before reading, so that no payment between the two is lost.
        with self._limits.watching(caller), self._hub.subscribe(invoice_id) as changes:
            invoice = await self._store.get(invoice_id) if is_invoice_id(invoice_id) else None
            if invoice is None or not invoice.is_visible_to(caller):
                raise NotFound
            # Only the node's state counts: a state derived from the clock may still change.
            while True:
                yield shown(caller, invoice)
                if invoice.is_final:
                    return
                # Free the invoice: the next change may be hours away.
                del invoice
                invoice = await changes.next()

    async def cancel(self, caller: Caller, invoice_id: str) -> Invoice:
        """Cancel an unpaid invoice, and return it. A canceled invoice stays canceled.

        Raises NotFound; Conflict if the invoice is paid or expired; NodeOffline.
        """
        invoice = await self._store.get(invoice_id) if is_invoice_id(invoice_id) else None
        if invoice is None or not invoice.is_visible_to(caller):
            raise NotFound
        return await self._cancellations.cancel(invoice)

    def watch_token(self, caller: Caller, invoice: Invoice) -> str:
        """Return a token that permits watching one invoice of the caller.

        Raises PermissionDenied if the caller has only a watch token.
        """
        if caller.invoice_id:
            raise PermissionDenied("a watch token cannot create another one; use a key")
        return WatchToken.of(invoice.invoice_id, invoice.expires_at, caller.key_id, self._clock()).signed(
            self._store.secret
        )

    async def info(self, caller: Caller) -> Info:
        """Return the node's state and the caller's totals; an admin gets the totals of all users.

        Node failures do not raise.
        """
        totals = await self._store.totals(None if Scope.ADMIN in caller.scopes else caller.username)
        try:
            return Info(totals, online=True, node=await self._node.recent_info(self._info_seconds))
        except TillError:
            return Info(totals, online=False, node=self._node.last_info or await self._nodes.last())

    async def _still_there(self, invoice: Invoice) -> Invoice:
        """Return an existing invoice, updated from the node if it is open and the node is online.

        An open invoice that was deleted at the node is canceled. Its label never gets a second invoice.
        """
        if invoice.is_final or not self._node.is_there(invoice.node_id):
            return invoice
        try:
            async with asyncio.timeout(self._info_seconds):
                found = await self._node.find_by_payment_hash(invoice.payment_hash)
                # A missing invoice means nothing if another node replied.
                await self._node.check_is(invoice.node_id)
        except (TillError, TimeoutError):
            return invoice
        seen = found.seen if found else invoice.missing(self._clock())
        if seen.status is Status.UNPAID:
            return invoice
        await self._store.settle(invoice.node_id, [seen])
        return await self._store.get(invoice.invoice_id) or invoice

    async def _repeated(self, caller: Caller, url: str | None, invoice: Invoice) -> NewInvoice:
        """Return the existing invoice of a label if it has the same webhook. Raises Conflict."""
        stored = await self._store.webhook_url(invoice.invoice_id)
        check_same_webhook(invoice, url, stored)
        webhook = InvoiceWebhook.of(caller, invoice, stored, self._store.secret) if stored else None
        return NewInvoice(shown(caller, invoice), EXISTED, webhook)

    def _read(self, caller: Caller, invoice: Invoice | None) -> Invoice:
        """Return an invoice visible to the caller, or raise NotFound."""
        if invoice is None or not invoice.is_visible_to(caller):
            raise NotFound
        # While the node is online its state counts, not the clock.
        is_there = self._node.is_there(invoice.node_id)
        return shown(caller, invoice if is_there else invoice.by_the_clock(self._clock()))

    async def _issue(
        self, creator: Creator, order: InvoiceTerms
    ) -> tuple[Invoice, InvoiceUpdate | None, Payability]:
        """Create an invoice at the node, or adopt one of an earlier try with its present state."""
        invoice_id = order.invoice_id(creator.username, self._store.secret)
        # The second try covers a request that the node never received: labels are unique there.
        for _ in range(2):
            try:
                issued = await self._node.invoice(invoice_id, order)
                return Invoice.opened(invoice_id, creator, order, issued), None, issued.payability
            except (MayExist, InvalidRequest) as failure:
                found = await self._node.find(invoice_id)
                if found:
                    return Invoice.adopted(creator, order, found), found.seen, EXISTED
                if isinstance(failure, InvalidRequest):
                    raise
        raise NodeOffline


def _answering(caller: Caller, order: InvoiceTerms, invoice: Invoice) -> Invoice:
    """Return the existing invoice of a label if it matches the order.

    Raises Conflict.
    """
    # A key of one type must not learn about invoices of other types.
    if not invoice.is_visible_to(caller):
        raise Conflict("label is in use; use another label")
    return invoice.answering(order)


def shown(caller: Caller, invoice: Invoice) -> Invoice:
    """Return an invoice with the proof of payment only for a key that may read."""
    if not invoice.payment or (Scope.READ in caller.scopes and not caller.invoice_id):
        return invoice
    return invoice._replace(payment=invoice.payment._replace(payment_preimage=None))
