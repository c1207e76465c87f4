"""The store of webhooks and deliveries. Its interface uses domain types."""

from collections.abc import Container, Sequence
from datetime import datetime

from tilld.event_log.entry import EventType
from tilld.formats.times import milliseconds, utc_of_milliseconds
from tilld.storage.executor import Executor
from tilld.storage.mapper import Row
from tilld.storage.statements import padded
from tilld.webhooks.backlog import Backlog, Failed
from tilld.webhooks.delivery import Delivery, DeliveryState
from tilld.webhooks.sql import CHANGED, DELIVERIES, WEBHOOKS
from tilld.webhooks.transactions import Progress, WebhookTransactions
from tilld.webhooks.webhook import Webhook

# Webhooks of single invoices that a process takes over in one step.
CLAIMED_AT_ONCE = 100


class WebhookStore:
    """The webhooks in the database of a store. Raises the store's errors."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        self._do = WebhookTransactions(store.database, store.secret)
        self._sql = self._do.sql

    async def add(self, webhook: Webhook) -> Webhook:
        """Add a webhook, for the events that are recorded from now on; return it. Raises TooMany."""
        return await self._store.write(lambda _: self._do.add(webhook))

    async def get(self, webhook_id: str) -> Webhook | None:
        """Return the webhook with an id, or None."""
        return WEBHOOKS.first(await self._store.read(self._sql.by_id(id=webhook_id)))

    async def of_user(self, username: str) -> list[Webhook]:
        """Return the webhooks of a user, oldest first, without those of single invoices."""
        of_user = self._sql.of_user(username=username, limit=self._store.page_size)
        return WEBHOOKS.all(await self._store.read(of_user))

    async def of_all_users(self) -> list[Webhook]:
        """Return the webhooks of all users, without those of single invoices."""
        return WEBHOOKS.all(await self._store.read(self._sql.of_all_users()))

    async def change(self, webhook: Webhook) -> Webhook | None:
        """Store a changed webhook, whose version is one more; return it, or None if it changed meanwhile."""
        row = WEBHOOKS.row(webhook)
        change = self._sql.change(**{name: row[WEBHOOKS.at(name)] for name in ("id", *CHANGED)})
        return WEBHOOKS.first(await self._store.write(lambda do: do.rows(change)))

    async def move(self, webhook_id: str, sequence: int) -> Webhook | None:
        """Send the events beyond a sequence again; return the webhook, or None if it is unknown."""
        return WEBHOOKS.first(await self._store.write(lambda _: self._do.move(webhook_id, sequence)))

    async def remove(self, webhook_id: str) -> bool:
        """Remove a webhook and its deliveries; return whether it was there."""
        return await self._store.write(lambda _: self._do.remove(webhook_id))

    async def deliveries(
        self, webhook_id: str, state: DeliveryState | None, before: int, limit: int
    ) -> list[Delivery]:
        """Return deliveries of events before a sequence, the newest first."""
        sql = self._sql
        facts = {"webhook_id": webhook_id, "before": before, "limit": limit}
        page = sql.deliveries_in(state=state.value, **facts) if state else sql.deliveries(**facts)
        return DELIVERIES.all(await self._store.read(page))

    async def delivery(self, webhook: Webhook, event_id: str) -> Delivery | None:
        """Return the delivery of an event, a new one if the log has the event, or None."""
        listed = self._sql.delivery(webhook_id=webhook.id, event_id=event_id)
        found = DELIVERIES.first(await self._store.read(listed))
        if found:
            return found
        # Reads all events of the user, so it goes to the thread for long reads.
        rows = await self._store.scan(self._sql.event(username=webhook.username, event_id=event_id))
        return Delivery.new(webhook.id, rows[0][0], event_id, rows[0][1]) if rows else None

    async def put(self, delivery: Delivery) -> None:
        """Store a delivery."""
        put = self._sql.put(values=DELIVERIES.row(delivery))
        await self._store.write(lambda do: do.execute(put))

    async def claim(self, owner: str, now: datetime, until: datetime, besides: Container[str] = ()) -> None:
        """Take over webhooks that no process sends, but none of `besides`."""
        facts = {"owner": owner, "now": milliseconds(now)}
        rows = await self._store.read(self._sql.free_of_users(**facts))
        rows += await self._store.read(self._sql.free_of_invoices(limit=CLAIMED_AT_ONCE, **facts))
        ids = [webhook_id for (webhook_id,) in rows if webhook_id not in besides]
        if ids:
            values = padded(ids[: self._store.page_size])
            claim = self._sql.claim(len(values))(until=milliseconds(until), values=values, **facts)
            await self._store.write(lambda do: do.execute(claim))

    async def renew(self, owner: str, until: datetime) -> None:
        """Renew the leases of a process."""
        renew = self._sql.renew(owner=owner, until=milliseconds(until))
        await self._store.write(lambda do: do.execute(renew))

    async def held(self, owner: str) -> list[Webhook]:
        """Return the webhooks that a process sends."""
        return WEBHOOKS.all(await self._store.read(self._sql.held(owner=owner)))

    async def release(self, owner: str, webhook_id: str | None = None) -> None:
        """Give up the lease of a webhook, or all leases of a process."""
        sql = self._sql
        release = sql.release(owner=owner, id=webhook_id) if webhook_id else sql.release_all(owner=owner)
        await self._store.write(lambda do: do.execute(release))

    async def has_open_invoices(self) -> bool:
        """Return whether an open invoice has a webhook."""
        return bool(await self._store.read(self._sql.any_open_invoice()))

    async def has_due_invoices(self, now: datetime) -> bool:
        """Return whether the final state of an invoice is due at its webhook."""
        return bool(await self._store.read(self._sql.due_of_invoices(now=milliseconds(now), limit=1)))

    async def due_webhooks(self, owner: str, now: datetime) -> list[str]:
        """Return the ids of webhooks that a process sends, and that have deliveries that are due."""
        due = self._sql.due_webhooks(owner=owner, now=milliseconds(now))
        return [webhook_id for (webhook_id,) in await self._store.read(due)]

    async def due(
        self, webhook_id: str, now: datetime, limit: int, *, are_new: bool = False
    ) -> list[Delivery]:
        """Return the first deliveries that are due, in the order of their events.

        With `are_new`, only those that have had no attempt since they were asked for.
        """
        statement = self._sql.due_first if are_new else self._sql.due
        due = statement(webhook_id=webhook_id, now=milliseconds(now), limit=limit)
        return DELIVERIES.all(await self._store.read(due))

    async def pending(self, webhook_id: str, limit: int) -> list[Delivery]:
        """Return the first pending deliveries, in the order of their events."""
        pending = self._sql.pending(webhook_id=webhook_id, limit=limit)
        return DELIVERIES.all(await self._store.read(pending))

    async def next_due(self, webhook_id: str) -> datetime | None:
        """Return when the next delivery is due, or None."""
        [(moment,)] = await self._store.read(self._sql.next_due(webhook_id=webhook_id))
        return None if moment is None else utc_of_milliseconds(moment)

    async def hurry(self, webhook_id: str, now: datetime) -> None:
        """Make all pending deliveries due now."""
        hurry = self._sql.hurry(webhook_id=webhook_id, now=milliseconds(now))
        await self._store.write(lambda do: do.execute(hurry))

    async def attempted(self, webhook: Webhook, delivery: Delivery) -> bool:
        """Store the outcome of an attempt, and how far the webhook is. Return False if the lease is lost."""
        return await self._store.write(lambda _: self._do.attempted(webhook, delivery))

    async def advance(self, progress: Sequence[Progress]) -> None:
        """Store how far webhooks are. Those whose lease is lost stay unchanged."""
        await self._store.write(lambda _: self._do.advance(progress))

    async def disable(self, webhook: Webhook, now: datetime) -> bool:
        """Disable a webhook for its `disabled_reason`, with an event. Return False if its lease is lost."""
        return await self._store.write(lambda _: self._do.disable(webhook, now))

    async def backlog(self, webhook: Webhook, removed: int) -> Backlog:
        """Return what a webhook has yet to deliver; the log of its user lacks events up to `removed`."""
        in_line, recorded = (0, None) if webhook.invoice_id else await self._line(webhook)
        failed = _failed(await self._store.scan(self._sql.states(webhook_id=webhook.id)))
        since = min((each for each in (recorded, failed.since) if each is not None), default=None)
        return Backlog(
            webhook,
            in_line=in_line,
            pending=failed.pending,
            dead=failed.dead,
            since=since,
            removed=0 if webhook.invoice_id else max(removed - webhook.sequence, 0),
        )

    async def failed_of_invoices(self) -> Failed:
        """Return the failed deliveries to the webhooks of single invoices."""
        return _failed(await self._store.scan(self._sql.states_of_invoices()))

    async def _line(self, webhook: Webhook) -> tuple[int, datetime | None]:
        """Return how many events are in line, and when the oldest was recorded."""
        view = webhook.view
        types = [str(each) for each in view.types] or [""]
        line = {
            "username": webhook.username,
            "after": webhook.sequence,
            "types": types + types[-1:] * (len(EventType) - len(types)),
        }
        of_type = {"metadata_type": view.metadata_type}
        counted = self._sql.line_of_type(**line, **of_type) if view.metadata_type else self._sql.line(**line)
        # They read all events that wait.
        [(count, recorded)] = await self._store.scan(counted)
        return count, None if recorded is None else utc_of_milliseconds(recorded)

    async def deliveries_of_nobody(self) -> int:
        """Return how many deliveries belong to no webhook."""
        [(count,)] = await self._store.scan(self._sql.of_nobody())
        return int(count)

    async def remove_deliveries_of_nobody(self) -> None:
        """Remove deliveries that belong to no webhook."""
        await self._store.write(lambda do: do.execute(self._sql.remove_of_nobody()))

    async def oldest_waiting(self) -> datetime | None:
        """Return since when the event waits that waits longest at an enabled webhook, or None."""
        [(moment,)] = await self._store.read(self._sql.oldest())
        return None if moment is None else utc_of_milliseconds(moment)

    async def disabled(self) -> int:
        """Return how many webhooks of users are disabled."""
        [(count,)] = await self._store.read(self._sql.disabled())
        return int(count)


def _failed(rows: Sequence[Row]) -> Failed:
    """Return the failed deliveries of rows with a state, a number and the oldest time."""
    of_state = {state: (number, moment) for state, number, moment in rows}
    pending, since = of_state.get(DeliveryState.PENDING, (0, None))
    dead, _ = of_state.get(DeliveryState.DEAD, (0, None))
    return Failed(pending, dead, None if since is None else utc_of_milliseconds(since))
