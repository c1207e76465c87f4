"""Opens the webhooks in the store for the operator, also while Till is running."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from tilld.auth.limits import Allowance, Limits
from tilld.cli.resources import open_store
from tilld.config import Config
from tilld.event_log.repository import EventLog
from tilld.rest_api.schemas import webhook_json
from tilld.webhooks.attempts import Attempts
from tilld.webhooks.backlog import Backlog
from tilld.webhooks.http.client import HttpClient
from tilld.webhooks.http.targets import Targets
from tilld.webhooks.repository import WebhookStore
from tilld.webhooks.service import Webhooks
from tilld.webhooks.webhook import Webhook


class WebhookResources(NamedTuple):
    """The webhooks in an open store, as the operator manages them."""

    service: Webhooks
    store: WebhookStore
    log: EventLog

    async def backlog(self, webhook: Webhook) -> Backlog:
        """Return what a webhook has yet to deliver."""
        return await self.store.backlog(webhook, (await self.log.bounds(webhook.username)).removed)

    async def backlogs(self, username: str | None = None) -> list[Backlog]:
        """Return those of a user, or of all users."""
        webhooks = await self.store.of_all_users()
        return [await self.backlog(each) for each in webhooks if username in (None, each.username)]


@asynccontextmanager
async def open_webhooks(config: Config) -> AsyncIterator[WebhookResources]:
    """Open the webhooks of an existing store until the context ends; errors are those of `open_store`."""
    async with open_store(config, create=False) as database:
        targets = Targets.of(config.webhook_allow)
        attempts = Attempts(HttpClient(targets))
        store, log = WebhookStore(database), EventLog(database)
        # A running Till looks for changes itself.
        service = Webhooks(
            store, log, attempts, targets, Limits(Allowance()), webhook_json.ping, changed=lambda: None
        )
        try:
            yield WebhookResources(service, store, log)
        finally:
            await attempts.close()
