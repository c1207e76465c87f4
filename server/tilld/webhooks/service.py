"""Use cases of webhooks. The log records each change with its author."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import structlog

from tilld.auth.caller import Caller
from tilld.auth.limits import Limits
from tilld.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from tilld.event_log.repository import EventLog
from tilld.events.repository import gone
from tilld.formats.ids import is_event_id, is_public_id, new_public_id
from tilld.formats.times import Clock, utc_now
from tilld.webhooks.attempts import Attempts
from tilld.webhooks.delivery import Attempt, Delivery, DeliveryState
from tilld.webhooks.http.targets import Targets, checked_url
from tilld.webhooks.repository import WebhookStore
from tilld.webhooks.terms import WebhookTerms, checked_types
from tilld.webhooks.webhook import Webhook

log = structlog.get_logger()

# Callers that change a webhook at the same time.
ROUNDS = 5

MAX_DELIVERIES = 1000
DELIVERIES = 100
# Beyond every sequence.
NEWEST = 2**63 - 1

# Returns a ping as JSON, from its id, its time and the id of the webhook.
Ping = Callable[[str, datetime, str], bytes]


class WebhookChange(NamedTuple):
    """Changes by a caller; None: no change. `disabled_reason` is kept while the webhook is disabled."""

    url: str | None = None
    types: Iterable[str] | None = None
    enabled: bool | None = None
    disabled_reason: str = ""


class Webhooks:
    """The webhooks of users, as callers manage them. `changed` is called after each change."""

    def __init__(
        self,
        store: WebhookStore,
        event_log: EventLog,
        attempts: Attempts,
        targets: Targets,
        limits: Limits,
        ping: Ping,
        changed: Callable[[], None],
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._log = event_log
        self._attempts = attempts
        self._targets = targets
        self._limits = limits
        self._ping = ping
        self._changed = changed
        self._clock = clock

    def checked_url(self, url: str, field: str = "url") -> str:
        """Return a URL that webhooks may reach, as it is stored. Raises InvalidRequest, naming the field."""
        return str(checked_url(url, self._targets, field))

    async def create(
        self, caller: Caller, url: str, types: Iterable[str], owner: Caller | None = None
    ) -> Webhook:
        """Create a webhook for the events that come; return it, with its secret.

        It receives what the `owner`, by default the caller, may read.
        Raises InvalidRequest; PermissionDenied; TooMany.
        """
        owner = owner or caller
        if owner.invoice_id:
            raise PermissionDenied("a watch token cannot create webhooks; use a key")
        terms = WebhookTerms(self.checked_url(url), checked_types(owner, types))
        webhook = await self._store.add(Webhook.new(owner, terms, self._clock()))
        self._log_change("webhook created", caller, webhook)
        self._changed()
        return webhook

    async def get(self, caller: Caller, webhook_id: str) -> Webhook:
        """Return a webhook. Raises NotFound."""
        webhook = await self._store.get(webhook_id) if is_public_id(webhook_id) else None
        if webhook is None or not webhook.is_visible_to(caller):
            raise NotFound
        return webhook

    async def listed(self, caller: Caller) -> list[Webhook]:
        """Return the caller's webhooks, oldest first, without those of single invoices."""
        return [each for each in await self._store.of_user(caller.username) if each.is_visible_to(caller)]

    async def change(self, caller: Caller, webhook_id: str, change: WebhookChange) -> Webhook:
        """Change a webhook; return it. One that is enabled gets the events that have waited.

        Raises NotFound; InvalidRequest; PermissionDenied.
        """
        url = None if change.url is None else self.checked_url(change.url)
        types = None if change.types is None else checked_types(caller, change.types)

        def changed(webhook: Webhook) -> Webhook:
            enabled = webhook.enabled if change.enabled is None else change.enabled
            return webhook._replace(
                url=url or webhook.url,
                types=webhook.types if types is None else types,
                enabled=enabled,
                disabled_reason="" if enabled else change.disabled_reason or webhook.disabled_reason,
                failing_since=None if url or change.enabled else webhook.failing_since,
            )

        stored = await self._change("webhook changed", caller, webhook_id, changed)
        if url or change.enabled:
            # The reason why deliveries failed may be gone.
            await self._store.hurry(webhook_id, self._clock())
        self._changed()
        return stored

    async def rotate(self, caller: Caller, webhook_id: str) -> Webhook:
        """Replace the secret of a webhook; return it. For a day the old one signs too.

        Raises NotFound; PermissionDenied.
        """
        now = self._clock()
        rotated = await self._change(
            "secret of a webhook rotated", caller, webhook_id, lambda webhook: webhook.rotated(now)
        )
        self._changed()
        return rotated

    async def remove(self, caller: Caller, webhook_id: str) -> None:
        """Remove a webhook and its deliveries. Raises NotFound."""
        webhook = await self.get(caller, webhook_id)
        await self._store.remove(webhook_id)
        self._log_change("webhook deleted", caller, webhook)
        self._changed()

    async def test(self, caller: Caller, webhook_id: str) -> Attempt:
        """Send a ping now; return how the attempt ended. Raises NotFound; TooMany."""
        webhook = await self.get(caller, webhook_id)
        await self._limits.may_test(caller)
        event_id = f"evt_{new_public_id()}"
        body = self._ping(event_id, self._clock(), webhook.id)
        attempt, _ = await self._attempts.post(webhook, event_id, body)
        return attempt

    async def deliveries(
        self,
        caller: Caller,
        webhook_id: str,
        state: DeliveryState | None = None,
        before: int = NEWEST,
        limit: int = DELIVERIES,
    ) -> list[Delivery]:
        """Return deliveries of events before a sequence, the newest first. Raises NotFound."""
        webhook = await self.get(caller, webhook_id)
        return await self._store.deliveries(webhook.id, state, before, min(limit, MAX_DELIVERIES))

    async def redeliver(self, caller: Caller, webhook_id: str, event_id: str) -> Delivery:
        """Make the delivery of an event due now; return it. Raises NotFound; EventsGone."""
        webhook = await self.get(caller, webhook_id)
        found = await self._store.delivery(webhook, event_id) if is_event_id(event_id) else None
        if found is None:
            raise NotFound
        delivery = found.again(self._clock())
        await self._store.put(delivery)
        self._changed()
        return delivery

    async def replay(self, caller: Caller, webhook_id: str, after: int) -> Webhook:
        """Send all events after a sequence again; return the webhook.

        Raises NotFound; InvalidRequest if the sequence is beyond the newest event; EventsGone.
        """
        webhook = await self.get(caller, webhook_id)
        if webhook.invoice_id:
            raise InvalidRequest("the webhook of an invoice has one event; redeliver it")
        newest, removed = await self._log.bounds(webhook.username)
        if after > newest:
            raise InvalidRequest(f"after is beyond the newest event, whose sequence is {newest}")
        if after < removed:
            raise gone(webhook.username, removed + 1)
        moved = await self._store.move(webhook.id, after)
        if moved is None:
            raise NotFound
        self._log_change("events of a webhook replayed", caller, moved)
        self._changed()
        return moved

    async def _change(
        self, event: str, caller: Caller, webhook_id: str, changed: Callable[[Webhook], Webhook]
    ) -> Webhook:
        """Change a webhook; return it."""
        for _ in range(ROUNDS):
            webhook = await self.get(caller, webhook_id)
            if not webhook.may_be_changed_by(caller):
                raise PermissionDenied(
                    "the webhook receives what this key may not read; use a key with the scopes "
                    f"{' and '.join(sorted(webhook.scopes))}"
                )
            stored = await self._store.change(changed(webhook)._replace(version=webhook.version + 1))
            if stored:
                self._log_change(event, caller, stored)
                return stored
        raise Conflict("others change this webhook; try again")

    def _log_change(self, event: str, caller: Caller, webhook: Webhook) -> None:
        log.info(
            event,
            webhook_id=webhook.id,
            username=webhook.username,
            host=webhook.host,
            by=caller.username,
            by_key_id=caller.key_id,
        )


def place_of(page_token: str, name: str) -> int:
    """Return the sequence before which a page of deliveries begins.

    Raises InvalidRequest, naming the field.
    """
    if not page_token:
        return NEWEST
    if not (page_token.isascii() and page_token.isdecimal() and len(page_token) <= len(str(NEWEST))):
        raise InvalidRequest(f"{name} is not from an earlier page of deliveries")
    return min(int(page_token), NEWEST)


def next_page(deliveries: Sequence[Delivery], limit: int) -> str:
    """Return the token of the next page, or "" if this page is the last one."""
    return str(deliveries[-1].sequence) if len(deliveries) == limit else ""
