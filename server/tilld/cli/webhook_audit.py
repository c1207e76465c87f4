"""The part of `tilld doctor` about webhooks, of which nothing is a difference from the node."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from tilld.config.advice import shell_command
from tilld.event_log.repository import EventLog
from tilld.formats.times import utc_now
from tilld.storage.executor import Executor
from tilld.webhooks.backlog import LATE, Backlog, Failed
from tilld.webhooks.repository import WebhookStore


class WebhookAudit(NamedTuple):
    """The webhooks of users with their backlogs, and the deliveries of other webhooks.

    `of_nobody` counts deliveries that belong to no webhook; a repair removes them.
    """

    backlogs: Sequence[Backlog]
    of_invoices: Failed
    of_nobody: int


async def audit(database: Executor, *, repair: bool) -> WebhookAudit:
    """Read the webhooks of a store. `repair` removes deliveries that belong to no webhook."""
    store, log = WebhookStore(database), EventLog(database)
    backlogs = [
        await store.backlog(each, (await log.bounds(each.username)).removed)
        for each in await store.of_all_users()
    ]
    of_nobody = await store.deliveries_of_nobody()
    if repair and of_nobody:
        await store.remove_deliveries_of_nobody()
    return WebhookAudit(backlogs, await store.failed_of_invoices(), of_nobody)


def described(audit: WebhookAudit, *, repaired: bool, now: datetime | None = None) -> Iterator[str]:
    """Yield a line for each webhook that needs a person, and for what else was found."""
    now = now or utc_now()
    if audit.backlogs:
        yield f"webhooks: {len(audit.backlogs)}, all of them: {shell_command('webhook', 'list')}"
    for each in audit.backlogs:
        webhook = each.webhook
        name = f"webhook {webhook.id} of {webhook.username} ({webhook.host})"
        if not webhook.enabled:
            yield f"{name} is disabled: {webhook.disabled_reason or 'by its user'}{_events(each)}"
        elif each.is_late(now):
            yield f"{name} is late{_events(each)}"
        elif each.dead:
            yield f"{name} works{_events(each)}"
    pending, dead, since = audit.of_invoices
    if since and now - since > LATE:
        yield f"webhooks of invoices are late; final states that wait: {pending}, {_since(since)}"
    if dead:
        yield f"webhooks of invoices; final states that were given up: {dead}"
    if audit.of_nobody and repaired:
        yield f"deliveries that belonged to no webhook, removed: {audit.of_nobody}"
    elif audit.of_nobody:
        repair = shell_command("doctor", "--repair")
        yield f"deliveries that belong to no webhook: {audit.of_nobody}; to remove them, run: {repair}"


def _events(backlog: Backlog) -> str:
    """Return a text about the events that did not arrive."""
    parts = [
        f"wait: {backlog.waiting}, {_since(backlog.since)}" if backlog.since else "",
        f"were given up: {backlog.dead}" if backlog.dead else "",
        f"were removed before they were sent: {backlog.removed} at most" if backlog.removed else "",
    ]
    return "".join(f"; events that {each}" for each in parts if each)


def _since(time: datetime) -> str:
    return f"since {time:%Y-%m-%d %H:%M:%S} UTC"
