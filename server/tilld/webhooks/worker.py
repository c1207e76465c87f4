"""Delivers the events of one webhook: new ones in line, and beside them those whose delivery has failed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from tilld.config import Intervals
from tilld.errors import EventsGone, Unavailable
from tilld.events.event import Event
from tilld.events.feed import Feed
from tilld.events.repository import EventStore
from tilld.events.terms import View
from tilld.formats.times import Clock
from tilld.webhooks.attempts import Attempts
from tilld.webhooks.delivery import Attempt, Delivery, DeliveryState
from tilld.webhooks.outage import Outage
from tilld.webhooks.repository import WebhookStore
from tilld.webhooks.transactions import SUCCEEDED_KEPT, Progress
from tilld.webhooks.webhook import Webhook

log = structlog.get_logger()

# Events of a read. The first is sent when all are read.
READ_AT_ONCE = 20
# Deliveries of a read.
DUE_AT_ONCE = 100

GONE = 410


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most this long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Shared(NamedTuple):
    """The parts that the workers of a process share.

    `render` returns an event as JSON. `progressed` is set when a worker has progress to store.
    """

    store: WebhookStore
    events: EventStore
    feed: Feed
    attempts: Attempts
    render: Callable[[Event], bytes]
    progressed: asyncio.Event
    clock: Clock
    intervals: Intervals
    wait: Callable[[asyncio.Event, float], Awaitable[None]] = wait_for


class Worker:
    """Sends the events of a webhook while this process has its lease."""

    def __init__(self, shared: Shared, webhook: Webhook) -> None:
        self.webhook = webhook
        self._shared = shared
        self._accepted: list[Delivery] = []
        self._has_progress = False
        is_out = webhook.failing_since is not None and webhook.invoice_id is None
        self._outage = Outage(shared.intervals.webhook_probes, shared.clock(), is_on=is_out)
        # The deliveries that have failed go before the events in line, since these are newer.
        self._repeats_first = True
        self._repeating = asyncio.Lock()
        self._look = asyncio.Event()
        self._probed = asyncio.Event()

    async def run(self) -> None:
        """Send until cancelled, or the webhook is disabled. Raises Unavailable."""
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._repeat())
            if self.webhook.invoice_id is None:
                lanes.create_task(self._send_new())

    def look(self) -> None:
        """Look for deliveries that are due."""
        self._look.set()

    def take_progress(self) -> Progress | None:
        """Return the progress since the last call, or None if there is none."""
        if not self._has_progress:
            return None
        accepted, self._accepted, self._has_progress = self._accepted, [], False
        return Progress(self.webhook, accepted)

    def renew(self, lease_until: datetime) -> None:
        """Note that the lease was renewed."""
        self.webhook = self.webhook._replace(lease_until=lease_until)

    async def _send_new(self) -> None:
        shared = self._shared
        with shared.feed.listen(self.webhook.username, is_stream=False) as listener:
            while True:
                try:
                    page = await shared.events.page(self.webhook.view, self.webhook.sequence, READ_AT_ONCE)
                except EventsGone as gone:
                    log.error("events were removed before they were sent", webhook_id=self.webhook.id)
                    self._advance(int(gone.facts["oldest_sequence"]) - 1)
                    continue
                for event in page.events:
                    await self._send(event)
                self._advance(page.next)
                while page.is_end and not await listener.beyond(page.next, shared.intervals.call_seconds):
                    pass

    async def _send(self, event: Event) -> None:
        """Send the next event in line."""
        await self._wait_in_line()
        entry = event.entry
        attempt, retry_after = await self._attempt(event)
        new = Delivery.new(self.webhook.id, entry.sequence, entry.id, entry.type)
        delivery = new.attempted(attempt, retry_after)
        if attempt.succeeded:
            self._shared.attempts.count(delivery.state)
            # Only the last ones are kept anyway.
            self._accepted = [*self._accepted[1 - SUCCEEDED_KEPT :], delivery]
            self._advance(entry.sequence)
            await self._recover()
        else:
            self._outage.reject(self._shared.clock())
            await self._fail(delivery, attempt, retry_after, entry.sequence)
            self._look.set()

    async def _wait_in_line(self) -> None:
        """Wait before the next event in line, if the receiver has asked for it, or rejects all events."""
        shared = self._shared
        self._probed.clear()
        if self._outage.is_on:
            await self._probed.wait()
        elif (pause := self._outage.held_until - shared.clock()) > timedelta(0):
            self._repeats_first = True
            await shared.wait(self._probed, pause.total_seconds())
        if self._repeats_first:
            self._repeats_first = False
            await self._repeat_due()

    async def _repeat(self) -> None:
        """Attempt the deliveries that have failed when they are due; during an outage, also in between."""
        shared = self._shared
        while True:
            self._look.clear()
            await self._repeat_due()
            if self.webhook.invoice_id is not None:
                # A process takes it over again when its next attempt is due.
                return
            outage = self._outage
            moment = outage.probe_at if outage.is_on else await shared.store.next_due(self.webhook.id)
            pause = moment - shared.clock() if moment else timedelta(days=1)
            await shared.wait(self._look, max(pause.total_seconds(), 0))
            if self._outage.is_on and shared.clock() >= self._outage.probe_at:
                await self._probe()

    async def _probe(self) -> None:
        """Find out whether the receiver accepts the oldest event again.

        If not, the next event in line is tried too, since the receiver may reject only the oldest.
        """
        async with self._repeating:
            for oldest in await self._shared.store.pending(self.webhook.id, 1):
                await self._attempt_again(oldest)
        self._outage.probed(self._shared.clock())
        self._probed.set()

    async def _repeat_due(self) -> None:
        """Attempt the deliveries that are due, in the order of their events.

        During an outage only those that a caller wants now: the others keep their order, and follow a probe.
        """
        shared = self._shared
        async with self._repeating:
            while due := await shared.store.due(
                self.webhook.id, shared.clock(), DUE_AT_ONCE, are_new=self._outage.is_on
            ):
                for delivery in due:
                    await self._attempt_again(delivery)

    async def _attempt_again(self, delivery: Delivery) -> None:
        event = await self._event(self.webhook.every_type, delivery.sequence)
        if event is None:
            now = self._shared.clock()
            removed = Attempt(now, 0, None, "the event was removed before it arrived")
            await self._store(
                delivery.attempted(removed)._replace(state=DeliveryState.DEAD, next_attempt_at=None)
            )
            return
        attempt, retry_after = await self._attempt(event)
        attempted = delivery.attempted(attempt, retry_after)
        if attempt.succeeded:
            await self._store(attempted)
            await self._recover()
        else:
            await self._fail(attempted, attempt, retry_after)

    async def _event(self, view: View, sequence: int) -> Event | None:
        try:
            page = await self._shared.events.page(view, sequence - 1, 1)
        except EventsGone:
            return None
        return page.events[0] if page.events else None

    async def _attempt(self, event: Event) -> tuple[Attempt, timedelta | None]:
        """Send an event; return how the attempt ended, and the pause that the receiver asked for."""
        return await self._shared.attempts.send(lambda: self.webhook, event.id, self._shared.render(event))

    async def _recover(self) -> None:
        """Note that the receiver accepts events; after an outage, all deliveries that have failed are due."""
        was_out = self._outage.accept()
        if self.webhook.failing_since is None:
            return
        self.webhook = self.webhook._replace(failing_since=None)
        self._advance(self.webhook.sequence)
        if was_out:
            log.info(
                "webhook accepts events again", webhook_id=self.webhook.id, username=self.webhook.username
            )
            self._repeats_first = True
            await self._shared.store.hurry(self.webhook.id, self._shared.clock())
            self._look.set()
            self._probed.set()

    async def _fail(
        self,
        delivery: Delivery,
        attempt: Attempt,
        retry_after: timedelta | None,
        sequence: int | None = None,
    ) -> None:
        """Store a delivery that has failed, and disable the webhook if it is gone or given up."""
        shared, webhook, now = self._shared, self.webhook, self._shared.clock()
        if retry_after and delivery.next_attempt_at:
            self._outage.hold(delivery.next_attempt_at)
        if webhook.failing_since is None:
            log.warning(
                "webhook fails",
                webhook_id=webhook.id,
                username=webhook.username,
                event_id=delivery.event_id,
                error=attempt.last_error,
            )
            self.webhook = webhook = webhook._replace(failing_since=attempt.last_attempt_at)
        await self._store(delivery, sequence)
        if delivery.state is DeliveryState.DEAD:
            log.error("event was not accepted in 75 hours", webhook_id=webhook.id, event_id=delivery.event_id)
        if attempt.last_status == GONE:
            reason = "the receiver answered 410 (Gone); enable the webhook when it accepts events again"
        elif webhook.has_given_up(now):
            reason = (
                f"no event was accepted for 5 days ({attempt.last_error}); enable the webhook when it works"
            )
        else:
            return
        if await shared.store.disable(webhook._replace(disabled_reason=reason), now):
            log.error("webhook disabled", webhook_id=webhook.id, username=webhook.username, reason=reason)
        raise Disabled

    async def _store(self, delivery: Delivery, sequence: int | None = None) -> None:
        """Store an attempt now; `sequence` is that of an event that was in line."""
        self._shared.attempts.count(delivery.state)
        sequence = self.webhook.sequence if sequence is None else sequence
        if not await self._shared.store.attempted(self.webhook._replace(sequence=sequence), delivery):
            raise Unavailable("the lease of a webhook has ended")
        # Not before: otherwise an event would be neither in line nor listed.
        self.webhook = self.webhook._replace(sequence=max(sequence, self.webhook.sequence))

    def _advance(self, sequence: int) -> None:
        """Note that the events up to a sequence are no longer in line; stored soon, with other progress."""
        self.webhook = self.webhook._replace(sequence=sequence)
        self._has_progress = True
        self._shared.progressed.set()


class Disabled(Exception):
    """The webhook was disabled, so the worker ends."""
