"""Use case: send an invoice for an invoice request exactly once, also after crashes and time-outs."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from tilld.auth.caller import Caller
from tilld.auth.limits import Limits
from tilld.auth.turns import Turns
from tilld.config import USUAL, Intervals
from tilld.errors import (
    Conflict,
    NodeOffline,
    NotPaid,
    PermissionDenied,
    TillError,
    TookTooLong,
    Unavailable,
)
from tilld.formats.times import Clock, utc_now
from tilld.invoices.hub import Hub
from tilld.invoices.repository import Store
from tilld.lightningd.errors import MayExist
from tilld.sent_invoices.attempt import SendAttempt, SendTerms, Sent, State, attempt_seconds
from tilld.sent_invoices.lightningd import SentInvoiceNode, Unknown, parameters
from tilld.sent_invoices.recovery import Recovery, not_sent, unknown
from tilld.sent_invoices.repository import AttemptStore

log = structlog.get_logger()

# lightningd reads a burst of four onion messages from each peer, then four a second, and drops the rest. One
# less leaves room for jitter.
BURST, PER_SECOND = 3, 3.0

# An unpaid invoice is stored after this time, so that callers can watch it.
SOON_SECONDS = 1.0
# The follower ignores invoices that are not in the store yet.
LOOK_SECONDS = 1.0
# The node counts whole seconds, so a shorter attempt is useless.
LEAST_SECONDS = 0.5
# Work ends in time on its own, unless a node or a database hangs.
GRACE_SECONDS = 5.0

Key = tuple[str, str]


@dataclass(slots=True)
class _Work:
    """An order in progress, its number of waiting callers, and whether it waits for the rate limit."""

    order: SendTerms
    task: "asyncio.Task[Sent]"
    callers: int = 0
    is_waiting: bool = False


class SentInvoices:
    """Sends invoices. Of all attempts under one label of a user, at most one is payable at any time."""

    def __init__(
        self,
        store: Store,
        attempts: AttemptStore,
        node: SentInvoiceNode,
        hub: Hub,
        limits: Limits,
        clock: Clock = utc_now,
        intervals: Intervals = USUAL,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._node = node
        self._outcomes = Recovery(store, attempts, node, clock, intervals)
        self._hub = hub
        self._limits = limits
        self._first_attempt_seconds = intervals.first_attempt_seconds
        self._clock = clock
        self.turns = Turns(BURST, PER_SECOND)
        self._works: dict[Key, _Work] = {}

    async def send(self, caller: Caller, order: SendTerms, patience: float | None = None) -> Sent:
        """Send an invoice and wait until it is paid, or return the payment that the label already has.

        `patience` is the caller's deadline in seconds, and may shorten the order's timeout.

        Raises Conflict if the label belongs to another order; PermissionDenied if the key does not permit the
        type; TooMany. InvalidRequest, NotActive, Expired, Unreachable, Refused and NotPaid mean that the
        invoice was not paid and cannot be. Unavailable means that the outcome is not known yet.
        """
        if caller.type not in (None, order.type):
            raise PermissionDenied(
                f'metadata must have the type "{caller.type}", the only one that the key permits'
            )
        seconds: float = order.timeout
        if patience is not None:
            # The reply must arrive before the caller's deadline.
            seconds = min(seconds, patience - LEAST_SECONDS)
        key = (caller.username, order.label)
        before = self._works.get(key)
        if before:
            _check_repeats(caller, order, before.order)
        work = before or self._start(key, caller, order, time.monotonic() + seconds)
        work.callers += 1
        try:
            async with asyncio.timeout(seconds + GRACE_SECONDS):
                # Work continues after a caller disconnects: the sent invoice may be paid.
                return await asyncio.shield(work.task)
        except TimeoutError:
            raise unknown() from None
        except asyncio.CancelledError:
            if not work.task.cancelled():
                raise
            raise Unavailable("Till is stopping; try again with the same label") from None
        finally:
            work.callers -= 1
            if work.is_waiting and not work.callers:
                # Nothing was sent yet, so the place in the queue is free for others.
                del self._works[key]
                work.task.cancel()

    @property
    def under_way(self) -> int:
        """The number of orders in progress."""
        return len(self._works)

    async def run(self) -> None:
        """Resolve abandoned attempts until cancelled."""
        await self._outcomes.resolve(lambda sending: (sending.username, sending.label) in self._works)

    async def stop(self) -> None:
        """Cancel all work. Recovery resolves the attempts after the next start."""
        works = [work.task for work in self._works.values()]
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        await self.turns.stop()

    def _start(self, key: Key, caller: Caller, order: SendTerms, until: float) -> "_Work":
        task = asyncio.create_task(self._work(key, caller, order, until))
        work = self._works[key] = _Work(order, task)

        def end(task: "asyncio.Task[Sent]") -> None:
            if self._works.get(key) is work:
                del self._works[key]
            # Retrieve the exception, since the callers may have gone. The store has the failure.
            if not task.cancelled():
                task.exception()

        task.add_done_callback(end)
        return work

    async def _work(self, key: Key, caller: Caller, order: SendTerms, until: float) -> Sent:
        sending = await self._attempts.latest(caller.username, order.label)
        if sending:
            _check_repeats(caller, order, sending)
        invoice = await self._store.get_by_label(caller.username, order.label)
        if invoice and not invoice.is_bolt12:
            raise Conflict(
                "label is in use for an invoice that was not sent to another node; use another label"
            )
        tried = 0
        while not (sending and sending.state is State.PAID):
            left = until - time.monotonic()
            if sending and sending.state is State.SENDING:
                sending = await self._follow(sending, left)
            elif sending and tried and sending.code != NotPaid.code:
                raise sending.failure
            elif left < LEAST_SECONDS:
                raise sending.failure if sending else TookTooLong()
            else:
                tried += 1
                number = sending.attempt + 1 if sending else 1
                sending = await self._attempt(key, caller, order, number, tried, until)
        return await self._sent(sending)

    async def _attempt(
        self, key: Key, caller: Caller, order: SendTerms, number: int, tried: int, until: float
    ) -> SendAttempt:
        """Make attempt `number` of the label, `tried` of this call, and return its state."""
        if reason := (await self._node.abilities()).no_collecting:
            raise Unavailable(reason)
        node_id = await self._node.identity()
        (await self._node.read(order.invreq)).check(order, node_id, self._clock())
        node_label = order.node_label(caller.username, self._store.secret, number)
        sending = SendAttempt.reserved(
            caller.creator,
            order,
            attempt=number,
            node_id=node_id,
            node_label=node_label,
            timeout=0,
            created_at=self._clock(),
        )
        await self._node.check(parameters(sending))
        await self._limits.turn(caller)
        async with self._limits.creating(caller, lambda: self._store.open_invoices(caller.creator)):
            await self._wait_for_turn(key, caller, until - LEAST_SECONDS)
            seconds = attempt_seconds(tried, until - time.monotonic(), self._first_attempt_seconds)
            sending = replace(sending, timeout=seconds, created_at=self._clock())
            if not await self._attempts.reserve(sending):
                # Another process on this store was first.
                return await self._attempts.latest(caller.username, order.label) or sending
            log.info(
                "sending an invoice",
                invoice_id=node_label,
                username=sending.username,
                key_id=sending.key_id,
                attempt=sending.attempt,
            )
            try:
                await self._send(sending)
            except (Unknown, MayExist):
                return await self._outcomes.look(sending)
            except NodeOffline as failure:
                return await self._outcomes.end(sending.failed(failure))
            except TillError as failure:
                return await self._outcomes.look(sending, failure)
            return await self._outcomes.look(sending)

    async def _wait_for_turn(self, key: Key, caller: Caller, until: float) -> None:
        work = self._works[key]
        if not work.callers:
            raise not_sent()
        work.is_waiting = True
        try:
            await self.turns.take(
                caller.key_id,
                until - time.monotonic(),
                f"rate limit exceeded ({PER_SECOND:g} sent invoices per second, shared by all "
                "keys); try again later, or with a longer timeout",
            )
        finally:
            work.is_waiting = False

    async def _send(self, sending: SendAttempt) -> None:
        """Have the node send the invoice, and store the invoice meanwhile for watchers."""
        call = asyncio.create_task(self._node.send(sending))
        try:
            is_kept = False
            while not (await asyncio.wait([call], timeout=None if is_kept else SOON_SECONDS))[0]:
                is_kept = await self._outcomes.keep_if_there(sending)
            await call
        finally:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    async def _follow(self, sending: SendAttempt, left: float) -> SendAttempt:
        """Wait for the outcome of an attempt that another process began, or a crash interrupted."""
        with self._hub.subscribe(sending.node_label) as changes:
            looked = await self._outcomes.look(sending)
            if looked.state is State.SENDING:
                if left <= 0:
                    raise unknown(sending.node_label)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, LOOK_SECONDS)):
                        await changes.next()
        return await self._attempts.latest(sending.username, sending.label) or looked

    async def _sent(self, sending: SendAttempt) -> Sent:
        """Return a paid invoice with its proof of payment, which only the node has."""
        invoice = await self._store.get(sending.node_label)
        if await self._node.identity() != sending.node_id:
            raise NodeOffline
        found = await self._node.find(sending.node_label)
        if not (invoice and found and found.payment_preimage):
            raise Unavailable(
                f"the lightning node no longer has the proof of payment; read invoice {sending.node_label}"
            )
        return Sent(invoice, found.invoice.created_index, found.updated_index, found.payment_preimage)


def _check_repeats(caller: Caller, order: SendTerms, earlier: SendTerms | SendAttempt) -> None:
    # A key of one type must not learn about invoices of other types.
    if caller.type not in (None, earlier.type):
        raise Conflict("label is in use; use another label")
    order.check_repeats(earlier)
