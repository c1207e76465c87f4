"""Transactions on webhooks, run on the calling thread."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import peewee

from tilld.errors import TooMany
from tilld.event_log.entry import Change, EventType
from tilld.event_log.transactions import LogTransactions
from tilld.events.event import DisabledWebhook
from tilld.formats.times import milliseconds
from tilld.storage.mapper import Row
from tilld.storage.statements import Transactions
from tilld.webhooks.delivery import Delivery
from tilld.webhooks.sql import DELIVERIES, WEBHOOKS, WebhookSQL
from tilld.webhooks.webhook import Webhook

WEBHOOKS_PER_USER = 16

# Deliveries that succeeded immediately are listed for people; the log has all events.
SUCCEEDED_KEPT = 100


class Progress(NamedTuple):
    """A webhook as far as its events were sent, with deliveries that succeeded immediately."""

    webhook: Webhook
    accepted: Sequence[Delivery] = ()


class WebhookTransactions(Transactions):
    """Idempotent transactions on webhooks."""

    def __init__(self, database: peewee.Database, secret: bytes) -> None:
        super().__init__(database)
        self.sql = WebhookSQL(database)
        self._log = LogTransactions(database, secret)

    def add(self, webhook: Webhook) -> Webhook:
        """Insert a webhook for the events that come; return it. Raises TooMany."""
        with self._database.atomic():
            # Creates of a user wait for each other, and for events.
            newest = self._log.lock(webhook.username)
            listed = self.rows(self.sql.of_user(username=webhook.username, limit=WEBHOOKS_PER_USER))
            if len([row for row in listed if row[0] != webhook.id]) >= WEBHOOKS_PER_USER:
                raise TooMany(f"a user has at most {WEBHOOKS_PER_USER} webhooks; delete one")
            added = webhook._replace(sequence=newest)
            self.execute(self.sql.add(values=WEBHOOKS.row(added)))
        return added

    def move(self, webhook_id: str, sequence: int) -> list[Row]:
        """Put the events beyond a sequence in line again; return the changed row, if there is one."""
        with self._database.atomic():
            moved = self.rows(self.sql.move(id=webhook_id, sequence=sequence))
            self.execute(self.sql.remove_deliveries(id=webhook_id, after=sequence))
        return moved

    def remove(self, webhook_id: str) -> bool:
        """Remove a webhook and its deliveries; return whether it was there."""
        with self._database.atomic():
            removed = self.rows(self.sql.remove(id=webhook_id))
            self.execute(self.sql.remove_deliveries(id=webhook_id, after=0))
        return bool(removed)

    def attempted(self, webhook: Webhook, delivery: Delivery) -> bool:
        """Store an attempted delivery, and how far the webhook is; return False if the lease is lost."""
        with self._database.atomic():
            is_held = self._advance_webhook(webhook)
            if is_held:
                self.execute(self.sql.put(values=DELIVERIES.row(delivery)))
        return is_held

    def advance(self, progress: Sequence[Progress]) -> None:
        """Store how far webhooks are. Those whose lease is lost stay unchanged."""
        with self._database.atomic():
            # A fixed order of locks prevents deadlocks.
            for webhook, accepted in sorted(progress, key=lambda each: each.webhook.id):
                if self._advance_webhook(webhook) and accepted:
                    for each in accepted:
                        self.execute(self.sql.put_new(values=DELIVERIES.row(each)))
                    self.execute(self.sql.forget(webhook_id=webhook.id, kept=SUCCEEDED_KEPT))

    def disable(self, webhook: Webhook, now: datetime) -> bool:
        """Disable a webhook for its `disabled_reason`, with an event; return False if its lease is lost."""
        reason = webhook.disabled_reason
        with self._database.atomic():
            disable = self.sql.disable(webhook_id=webhook.id, owner=webhook.owner, reason=reason)
            is_disabled = bool(self.rows(disable))
            if is_disabled and webhook.invoice_id is None:
                detail = DisabledWebhook(webhook.id, webhook.url, reason).detail
                kind, occasion = EventType.WEBHOOK_DISABLED, str(milliseconds(now))
                self._log.add([Change(webhook.username, kind, webhook.id, detail, occasion)])
        return is_disabled

    def _advance_webhook(self, webhook: Webhook) -> bool:
        """Store how far a webhook is; return False if its lease is lost."""
        progress = self.sql.progress(
            webhook_id=webhook.id,
            owner=webhook.owner,
            sequence=webhook.sequence,
            failing_since=webhook.failing_since and milliseconds(webhook.failing_since),
        )
        return bool(self.rows(progress))
