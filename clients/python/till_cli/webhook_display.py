"""Output of `till webhook`: text for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

import typer

from till.webhooks import Delivery, DeliveryAttempt, Webhook, WebhookSecret
from till_cli import display


def show(webhook: Webhook, as_json: bool) -> None:
    """Print a webhook."""
    if as_json:
        _print_json(display.plain(webhook))
    else:
        display.print_lines(display.plain(webhook) | {"types": _types(webhook)})


def print_secret(made: WebhookSecret, as_json: bool, hint: str) -> None:
    """Print the secret; and on standard error the webhook and a hint."""
    webhook, secret = made
    if as_json:
        _print_json(display.plain(webhook) | {"secret": secret})
        return
    typer.echo(secret)
    typer.echo(f"The secret of the webhook {webhook.id} is shown only now; store it.", err=True)
    typer.echo(hint.format(id=webhook.id), err=True)


def print_webhooks(webhooks: Sequence[Webhook], as_json: bool) -> None:
    """Print webhooks as a table."""
    if as_json:
        for each in webhooks:
            _print_json(display.plain(each))
        return
    if not webhooks:
        typer.echo("no webhooks; to create one: till webhook create URL", err=True)
        return
    urls = [display.printable(each.url) for each in webhooks]
    width = max(map(len, [*urls, "URL"]))
    display.print_line(f"{'ID':21}  {'STATE':8}  {'SEQUENCE':>8}  {'URL':{width}}  TYPES")
    for each, url in zip(webhooks, urls, strict=True):
        row = f"{each.id:21}  {_state(each):8}  {each.sequence:>8}  {url:{width}}  {_types(each)}"
        display.print_line(row)


def print_deleted(webhook_id: str, as_json: bool) -> None:
    """Report that a webhook is deleted."""
    if as_json:
        _print_json({"id": webhook_id, "deleted": True})
    else:
        typer.echo(f"deleted: {webhook_id}")


def print_test(attempt: DeliveryAttempt, as_json: bool) -> None:
    """Print how a test ended; a failure on standard error."""
    if as_json:
        _print_json(_attempt(attempt))
        return
    took = f"{_milliseconds(attempt.duration):,} ms"
    if attempt.error:
        typer.echo(f"till: the test failed after {took}: {display.printable(attempt.error)}", err=True)
    else:
        line = f"the test succeeded: status {attempt.status}, {took}"
        typer.echo(typer.style(line, fg="green") if sys.stdout.isatty() else line)


def print_deliveries(deliveries: Iterable[Delivery], zone: tzinfo, as_json: bool) -> int:
    """Print deliveries as a table, with times in a zone. Return their number."""
    count = 0
    for count, each in enumerate(deliveries, 1):
        if as_json:
            attempt = _attempt(each.last_attempt) if each.last_attempt else None
            _print_json(display.plain(each) | {"last_attempt": attempt})
            continue
        if count == 1:
            _row("EVENT ID", "SEQUENCE", "TYPE", "STATE", "ATTEMPTS", "NEXT ATTEMPT", "LAST RESULT")
        _row(
            display.printable(each.event_id),
            str(each.sequence),
            display.printable(each.type),
            each.state,
            str(each.attempts),
            _time(each.next_attempt_at, zone),
            _result(each.last_attempt),
        )
    return count


def _row(
    event_id: str, sequence: str, type_: str, state: str, attempts: str, next_attempt: str, result: str
) -> None:
    line = f"{event_id:25}  {sequence:>8}  {type_:25}  {state:9}  {attempts:>8}  {next_attempt:19}  {result}"
    display.print_line(line.rstrip())


def _result(attempt: DeliveryAttempt | None) -> str:
    if attempt is None:
        return "-"
    return display.printable(attempt.error) if attempt.error else str(attempt.status)


def _time(time: datetime | None, zone: tzinfo) -> str:
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S}" if time else "-"


def _state(webhook: Webhook) -> str:
    if not webhook.enabled:
        return "disabled"
    return "failing" if webhook.failing_since else "enabled"


def _types(webhook: Webhook) -> str:
    return display.printable(", ".join(webhook.types)) or "all"


def _attempt(attempt: DeliveryAttempt) -> dict[str, Any]:
    return {
        "started_at": display.plain(attempt.started_at),
        "duration_ms": _milliseconds(attempt.duration),
        "status": attempt.status,
        "error": attempt.error,
    }


def _milliseconds(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value))
