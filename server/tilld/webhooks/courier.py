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
from tilld.webhooks.delivery import Attempt, Delivery, DeliveryState
from tilld.webhooks.http_client import HttpClient
from tilld.webhooks.repository import WebhookStore
from tilld.webhooks.transactions import SUCCEEDED_KEPT, Progress
from tilld.webhooks.webhook import Webhook

log = structlog.get_logger()

# New events that were rejected in a row, after which the line waits for the receiver to recover.
PATIENCE = 3

# Events of a read. The first is sent when all are read.
READ_AT_ONCE = 20

# Deliveries of a read.
DUE_AT_ONCE = 100

GONE = 410


class Slots(NamedTuple):
    """Concurrent attempts of a process. Receivers that hang cannot use up those of healthy ones."""

    healthy: asyncio.Semaphore
    failing: asyncio.Semaphore


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most this long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Office(NamedTuple):
    """What the couriers of a process share.

    `render` returns an event as JSON. `progressed` is set when a courier has progress to store. `report` is
    called with the outcome of each attempt: succeeded, failed or dead.
    """

    store: WebhookStore
    events: EventStore
    feed: Feed
    client: HttpClient
    render: Callable[[Event], bytes]
    slots: Slots
    progressed: asyncio.Event
    report: Callable[[str], None]
    clock: Clock
    intervals: Intervals
    wait: Callable[[asyncio.Event, float], Awaitable[None]] = wait_for


class Courier:
    """Sends the events of a webhook while this process has its lease."""

    def __init__(self, office: Office, webhook: Webhook) -> None:
        self.webhook = webhook
        self._office = office
        self._accepted: list[Delivery] = []
        self._has_progress = False
        # New events that were rejected in a row.
        self._failures = PATIENCE if webhook.failing_since else 0
        self._probes = 0
        self._held_until = webhook.created_at
        # The deliveries that have failed go before the events in line, since these are newer.
        self._repeats_first = webhook.failing_since is not None
        self._repeating = asyncio.Lock()
        self._look = asyncio.Event()
        self._recovered = asyncio.Event()

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

    def put_back(self, progress: Progress) -> None:
        """Keep progress that could not be stored."""
        self._accepted = [*progress.accepted, *self._accepted][-SUCCEEDED_KEPT:]
        self._has_progress = True

    def renew(self, lease_until: datetime) -> None:
        """Note that the lease was renewed."""
        self.webhook = self.webhook._replace(lease_until=lease_until)

    async def _send_new(self) -> None:
        office = self._office
        with office.feed.listen(self.webhook.username) as listener:
            while True:
                try:
                    page = await office.events.page(self.webhook.view, self.webhook.sequence, READ_AT_ONCE)
                except EventsGone as gone:
                    log.error("events were removed before they were sent", webhook_id=self.webhook.id)
                    self._advance(int(gone.facts["oldest_sequence"]) - 1)
                    continue
                for event in page.events:
                    await self._send(event)
                self._advance(page.next)
                while page.is_end and not await listener.beyond(page.next, office.intervals.call_seconds):
                    pass

    async def _send(self, event: Event) -> None:
        """Send the next event in line."""
        await self._wait_in_line()
        entry = event.entry
        attempt, retry_after = await self._attempt(event)
        new = Delivery.new(self.webhook.id, entry.sequence, entry.id, entry.type)
        delivery = new.attempted(attempt, retry_after)
        if attempt.succeeded:
            await self._recover()
            self._office.report(delivery.state)
            # Only the last ones are kept anyway.
            self._accepted = [*self._accepted[1 - SUCCEEDED_KEPT :], delivery]
            self._advance(entry.sequence)
            return
        self._failures += 1
        self.webhook = self.webhook._replace(sequence=entry.sequence)
        await self._fail(delivery, attempt, retry_after)

    async def _wait_in_line(self) -> None:
        """Wait until the receiver has recovered, and has what failed before."""
        office = self._office
        while True:
            self._recovered.clear()
            is_patient = self._failures < PATIENCE
            pauses = office.intervals.webhook_probes
            pause = timedelta(0) if is_patient else timedelta(seconds=pauses.first) * 2**self._probes
            pause = min(pause, timedelta(seconds=pauses.longest))
            # The receiver may have asked for a longer one.
            pause = max(pause, self._held_until - office.clock())
            if pause > timedelta(0):
                self._repeats_first = True
                await office.wait(self._recovered, pause.total_seconds())
            if is_patient:
                break
            # Beyond the longest pause it does not grow.
            self._probes = min(self._probes + 1, 20)
            async with self._repeating:
                oldest = await office.store.pending(self.webhook.id, 1)
                if oldest and self._failures >= PATIENCE:
                    await self._attempt_again(oldest[0])
                elif not oldest:
                    # The next event in line shows whether the receiver has recovered.
                    self._failures = PATIENCE - 1
        if self._repeats_first:
            self._repeats_first = False
            await self._repeat_due()

    async def _repeat(self) -> None:
        """Attempt the deliveries that have failed whenever they are due."""
        office = self._office
        while True:
            self._look.clear()
            await self._repeat_due()
            if self.webhook.invoice_id is not None:
                # A process takes it over again when its next attempt is due.
                return
            due = await office.store.next_due(self.webhook.id)
            pause = due - office.clock() if due else timedelta(days=1)
            await office.wait(self._look, max(pause.total_seconds(), 0))

    async def _repeat_due(self) -> None:
        """Attempt the deliveries that are due, in the order of their events."""
        office = self._office
        async with self._repeating:
            while due := await office.store.due(self.webhook.id, office.clock(), DUE_AT_ONCE):
                for delivery in due:
                    await self._attempt_again(delivery)

    async def _attempt_again(self, delivery: Delivery) -> None:
        event = await self._event(self.webhook.every_type, delivery.sequence)
        if event is None:
            now = self._office.clock()
            removed = Attempt(now, 0, None, "the event was removed before it arrived")
            await self._store(
                delivery.attempted(removed)._replace(state=DeliveryState.DEAD, next_attempt_at=None)
            )
            return
        attempt, retry_after = await self._attempt(event)
        attempted = delivery.attempted(attempt, retry_after)
        if attempt.succeeded:
            await self._recover()
            await self._store(attempted)
        else:
            await self._fail(attempted, attempt, retry_after)

    async def _event(self, view: View, sequence: int) -> Event | None:
        try:
            page = await self._office.events.page(view, sequence - 1, 1)
        except EventsGone:
            return None
        return page.events[0] if page.events else None

    async def _attempt(self, event: Event) -> tuple[Attempt, timedelta | None]:
        """Send an event; return how the attempt ended, and the pause that the receiver asked for."""
        office, webhook = self._office, self.webhook
        body = office.render(event)
        slots = office.slots.failing if webhook.failing_since else office.slots.healthy
        async with slots:
            if office.clock() >= self.webhook.lease_until:
                # Another process may send now.
                raise Unavailable("the lease of a webhook has ended")
            attempt, retry_after = await post(office.client, webhook, event.id, body, office.clock)
        log.debug(
            "webhook attempted",
            webhook_id=webhook.id,
            event_id=event.id,
            status=attempt.last_status,
            error=attempt.last_error,
            milliseconds=attempt.last_milliseconds,
        )
        return attempt, retry_after

    async def _recover(self) -> None:
        """Note that the receiver accepts events again; all deliveries that have failed are due then."""
        if self.webhook.failing_since is None:
            return
        log.info("webhook recovered", webhook_id=self.webhook.id, username=self.webhook.username)
        self.webhook = self.webhook._replace(failing_since=None)
        self._failures = self._probes = 0
        self._repeats_first = True
        await self._office.store.hurry(self.webhook.id, self._office.clock())
        self._recovered.set()
        self._look.set()

    async def _fail(self, delivery: Delivery, attempt: Attempt, retry_after: timedelta | None) -> None:
        """Store a delivery that has failed, and disable the webhook if it is gone or given up."""
        office, webhook, now = self._office, self.webhook, self._office.clock()
        if retry_after and delivery.next_attempt_at:
            self._held_until = delivery.next_attempt_at
        if webhook.failing_since is None:
            log.warning(
                "webhook fails",
                webhook_id=webhook.id,
                username=webhook.username,
                event_id=delivery.event_id,
                error=attempt.last_error,
            )
            self.webhook = webhook = webhook._replace(failing_since=attempt.last_attempt_at)
        await self._store(delivery)
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
        if await office.store.disable(webhook._replace(disabled_reason=reason), now):
            log.error("webhook disabled", webhook_id=webhook.id, username=webhook.username, reason=reason)
        raise Disabled

    async def _store(self, delivery: Delivery) -> None:
        """Store an attempt now, and what was sent before."""
        self._office.report(delivery.state if delivery.state is not DeliveryState.PENDING else "failed")
        if not await self._office.store.attempted(self.webhook, delivery):
            raise Unavailable("the webhook was changed, or its lease has ended")

    def _advance(self, sequence: int) -> None:
        """Note that the events up to a sequence are no longer in line; stored soon, with other progress."""
        self.webhook = self.webhook._replace(sequence=sequence)
        self._has_progress = True
        self._office.progressed.set()


async def post(
    client: HttpClient, webhook: Webhook, event_id: str, body: bytes, clock: Clock
) -> tuple[Attempt, timedelta | None]:
    """Send an event to a webhook; return how the attempt ended, and the pause that the receiver asked for."""
    now = clock()
    outcome = await client.post(webhook.url, webhook.headers(event_id, body, now), body)
    attempt = Attempt(now, round(outcome.seconds * 1000), outcome.status, outcome.error)
    return attempt, None if outcome.retry_after is None else timedelta(seconds=outcome.retry_after)


class Disabled(Exception):
    """The webhook was disabled, so the courier ends."""
