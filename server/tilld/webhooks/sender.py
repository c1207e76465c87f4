"""Sends the events of webhooks. Of several processes, each sends those whose lease it has."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import structlog

from tilld.config import USUAL, Intervals
from tilld.errors import Unavailable
from tilld.event_log.entry import ALL_USERS
from tilld.events.event import Event
from tilld.events.feed import Feed
from tilld.events.repository import EventStore
from tilld.formats.ids import new_public_id
from tilld.formats.times import Clock, utc_now
from tilld.runtime.retry import retry_forever
from tilld.webhooks.attempts import Attempts
from tilld.webhooks.repository import WebhookStore
from tilld.webhooks.transactions import Progress
from tilld.webhooks.webhook import Webhook
from tilld.webhooks.worker import Disabled, Shared, Worker, wait_for

log = structlog.get_logger()


class Sender:
    """Sends the events of webhooks while its process runs.

    `owner` is the name of a process that is alone, which need not wait for its leases of before a crash.
    """

    def __init__(
        self,
        store: WebhookStore,
        events: EventStore,
        feed: Feed,
        attempts: Attempts,
        render: Callable[[Event], bytes],
        clock: Clock = utc_now,
        intervals: Intervals = USUAL,
        wait: Callable[[asyncio.Event, float], Awaitable[None]] = wait_for,
        owner: str = "",
    ) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._intervals = intervals
        self._wait = wait
        self._owner = owner or new_public_id()
        self._workers: dict[str, Worker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # The progress of workers that have ended, and what could not be stored, oldest first.
        self._left: list[Progress] = []
        self._storing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._progressed = asyncio.Event()
        self._has_open_invoices = asyncio.Event()
        self._shared = Shared(store, events, feed, attempts, render, self._progressed, clock, intervals, wait)

    def changed(self) -> None:
        """Note that a webhook or a delivery was changed by a caller."""
        self._changed.set()

    async def run(self) -> None:
        """Send until cancelled, with retries after failures."""
        async with asyncio.TaskGroup() as tasks:
            for name, work in {
                "taking over webhooks of": self._lead,
                "storing the progress of webhooks of": self._keep_progress,
                "watching invoices with webhooks of": self._watch_invoices,
            }.items():
                tasks.create_task(retry_forever(name, work, self._intervals.retry))

    async def stop(self) -> None:
        """Stop sending, store the progress, and let other processes take over."""
        for webhook_id in [*self._tasks]:
            await self._end(webhook_id)
        with suppress(Unavailable):
            await self._store_progress()
            await self._store.release(self._owner)
        await self._shared.attempts.close()

    async def _lead(self) -> None:
        while True:
            self._changed.clear()
            await self._round()
            await self._wait(self._changed, self._intervals.webhook_round_seconds)

    async def _round(self) -> None:
        """Take over free webhooks, and follow the changes of those that this process sends."""
        now, lease = self._clock(), timedelta(seconds=self._intervals.webhook_lease_seconds)
        held = await self._held()
        ended = [each for each in self._tasks if not self._goes_on(each, held.get(each))]
        for webhook_id in ended:
            await self._end(webhook_id)
        # What was sent counts also for a changed webhook, but not after a replay. That takes the lease, and
        # the store refuses progress without it, so this must come before the lease is taken again.
        await self._store_progress()
        if any(each.lease_until < now + lease / 2 for each in held.values()):
            await self._store.renew(self._owner, now + lease)
        await self._store.claim(self._owner, now, now + lease, besides=self._workers)
        for webhook in (await self._held()).values():
            if not webhook.enabled or (webhook.id in ended and webhook.invoice_id):
                await self._store.release(self._owner, webhook.id)
            elif worker := self._workers.get(webhook.id):
                worker.renew(webhook.lease_until)
            else:
                self._begin(webhook)
        for webhook_id in await self._store.due_webhooks(self._owner, now):
            if worker := self._workers.get(webhook_id):
                worker.look()
        if await self._store.has_open_invoices():
            self._has_open_invoices.set()
        else:
            self._has_open_invoices.clear()

    async def _held(self) -> dict[str, Webhook]:
        return {each.id: each for each in await self._store.held(self._owner)}

    def _goes_on(self, webhook_id: str, webhook: Webhook | None) -> bool:
        """Return whether a worker works, and need not begin again."""
        return (
            webhook is not None
            and webhook.enabled
            and webhook.version == self._workers[webhook_id].webhook.version
            and not self._tasks[webhook_id].done()
        )

    def _begin(self, webhook: Webhook) -> None:
        worker = self._workers[webhook.id] = Worker(self._shared, webhook)
        self._tasks[webhook.id] = asyncio.create_task(self._deliver(worker))

    async def _deliver(self, worker: Worker) -> None:
        try:
            await worker.run()
        except* Disabled:
            self._changed.set()
        except* Unavailable as reasons:
            log.warning(
                "sending a webhook was interrupted; retrying",
                webhook_id=worker.webhook.id,
                reason=str(reasons.exceptions[0]),
            )
        except* Exception:
            log.exception("sending a webhook failed; retrying", webhook_id=worker.webhook.id)

    async def _end(self, webhook_id: str) -> None:
        """End a worker; keep its progress."""
        task = self._tasks.pop(webhook_id)
        task.cancel()
        await asyncio.wait([task])
        if progress := self._workers.pop(webhook_id).take_progress():
            self._left.append(progress)

    async def _keep_progress(self) -> None:
        """Store progress some time after it was made, since each commit holds up those of creates."""
        while True:
            await self._progressed.wait()
            await asyncio.sleep(self._intervals.webhook_progress_seconds)
            await self._store_progress()

    async def _store_progress(self) -> None:
        # One at a time, so that all progress of before is stored or given back when this returns.
        async with self._storing:
            self._progressed.clear()
            taken = [each.take_progress() for each in self._workers.values()]
            unstored, self._left = [*self._left, *filter(None, taken)], []
            try:
                if unstored:
                    await self._store.advance(unstored)
            except BaseException:
                # Also if this was cancelled: it is stored at the stop.
                self._left = [*unstored, *self._left]
                self._progressed.set()
                raise

    async def _watch_invoices(self) -> None:
        """Notice immediately that the final state of an invoice is due at its webhook."""
        while True:
            await self._has_open_invoices.wait()
            with self._feed.listen(ALL_USERS, is_stream=False) as listener:
                while self._has_open_invoices.is_set():
                    position = self._feed.newest.get(ALL_USERS, 0)
                    if await self._store.has_due_invoices(self._clock()):
                        self._changed.set()
                    await listener.beyond(position, self._intervals.webhook_lease_seconds)
