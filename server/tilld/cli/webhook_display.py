"""Output of `tilld webhook`: tables for people, JSON for programs."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import typer

from tilld.cli.table import aligned
from tilld.rest_api.schemas import webhook_json
from tilld.rest_api.schemas.invoice_json import time
from tilld.webhooks.backlog import Backlog
from tilld.webhooks.delivery import Attempt, Delivery
from tilld.webhooks.webhook import Webhook


def print_webhooks(backlogs: Sequence[Backlog], as_json: bool) -> None:
    """Print webhooks as a table."""
    if as_json:
        for each in backlogs:
            typer.echo(json.dumps(_plain(each)))
        return
    if not backlogs:
        typer.echo("there are no webhooks", err=True)
        return
    rows = [("ID", "USERNAME", "STATE", "WAITING", "SINCE (UTC)", "DEAD", "HOST")]
    rows += [
        (
            each.webhook.id,
            each.webhook.username,
            state_of(each.webhook),
            str(each.waiting),
            _time(each.since),
            str(each.dead),
            each.webhook.host,
        )
        for each in backlogs
    ]
    for line in aligned(rows):
        typer.echo(line)


def show(backlog: Backlog, as_json: bool) -> None:
    """Print a webhook."""
    shown = _plain(backlog)
    if as_json:
        typer.echo(json.dumps(shown))
        return
    for line in aligned([(name, _text(value)) for name, value in shown.items()]):
        typer.echo(line)


def state_of(webhook: Webhook) -> str:
    """Return the state in one word."""
    if not webhook.enabled:
        return "disabled"
    return "failing" if webhook.failing_since else "enabled"


def print_secret(webhook: Webhook) -> None:
    """Print the secret; and on standard error the webhook, and what to do."""
    typer.echo(webhook.secret)
    typer.echo(f"The secret of webhook {webhook.id} is shown only now; store it.", err=True)


def print_deliveries(deliveries: Sequence[Delivery], as_json: bool) -> None:
    """Print deliveries as a table, with times in UTC."""
    if as_json:
        for each in deliveries:
            typer.echo(webhook_json.delivery(each).decode())
        return
    if not deliveries:
        typer.echo("no deliveries", err=True)
        return
    rows = [("EVENT ID", "SEQUENCE", "TYPE", "STATE", "ATTEMPTS", "NEXT ATTEMPT (UTC)", "LAST RESULT")]
    rows += [
        (
            each.event_id,
            str(each.sequence),
            each.type,
            str(each.state),
            str(each.attempts),
            _time(each.next_attempt_at),
            _result(each.last_attempt),
        )
        for each in deliveries
    ]
    for line in aligned(rows):
        typer.echo(line)


def _result(attempt: Attempt | None) -> str:
    return "-" if attempt is None else attempt.last_error or str(attempt.last_status)


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else "-"


def _plain(backlog: Backlog) -> dict[str, Any]:
    """Return a webhook as REST shows it, with its user and the events that it has yet to deliver."""
    shown: dict[str, Any] = json.loads(webhook_json.webhook(backlog.webhook))
    return {
        "id": shown.pop("id"),
        "username": backlog.webhook.username,
        **shown,
        "waiting": backlog.waiting,
        "waiting_since": backlog.since and time(backlog.since),
        "dead": backlog.dead,
        "removed": backlog.removed,
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "all"
    return "-" if value in (None, "") else str(value)
