"""The commands of `till` for webhooks."""

from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from till.client import Client
from till_cli import periods, webhook_display
from till_cli.commands import Json
from till_cli.events import AFTER, listed
from till_cli.lists import ROWS, Tz, usage

EVERY_TYPE = "all"


class ListedState(StrEnum):
    """The states to choose from."""

    PENDING = "pending"
    DEAD = "dead"
    SUCCEEDED = "succeeded"


WebhookId = Annotated[str, typer.Argument(metavar="ID", help="The ID of the webhook.")]
Types = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPES",
        help=f"Types of events to send, separated by commas, such as invoice.paid,invoice.expired; or "
        f"{EVERY_TYPE}.",
    ),
]


def create(
    ctx: typer.Context,
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="Where to send events: https, at a public address, unless Till's operator permits the host.",
        ),
    ],
    types: Types = None,
    json_: Json = False,
) -> None:
    """Create a webhook, and print its secret: Till posts each event from now on to the URL, signed with it.

    No other command shows the secret, so store it where the receiver reads it. Without --types: every type
    that the key may read.

    Example: `till webhook create https://shop.example/till --types invoice.paid`
    """
    client: Client = ctx.obj
    made = client.create_webhook(url, _types(types) or ())
    webhook_display.print_secret(made, json_, "To test the webhook: till webhook test {id}")


def list_(ctx: typer.Context, json_: Json = False) -> None:
    """List the webhooks of the user, the oldest first."""
    client: Client = ctx.obj
    webhook_display.print_webhooks(client.list_webhooks(), json_)


def show(ctx: typer.Context, webhook_id: WebhookId, json_: Json = False) -> None:
    """Show a webhook: where events are sent, and whether they arrive."""
    client: Client = ctx.obj
    webhook_display.show(client.get_webhook(webhook_id), json_)


def update(
    ctx: typer.Context,
    webhook_id: WebhookId,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Send events there from now on.")] = None,
    types: Types = None,
    enable: Annotated[
        bool | None,
        typer.Option(
            "--enable/--disable",
            help="Send events again, those that have waited first; or let them wait.",
            show_default=False,
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Change a webhook, disable it, or enable it again.

    Example: `till webhook update ID --enable`
    """
    wanted = _types(types)
    if url is None and wanted is None and enable is None:
        raise typer.BadParameter("pass what to change: --url, --types, --enable or --disable")
    client: Client = ctx.obj
    changed = client.update_webhook(webhook_id, url=url, types=wanted, enabled=enable)
    webhook_display.show(changed, json_)


def delete(ctx: typer.Context, webhook_id: WebhookId, json_: Json = False) -> None:
    """Delete a webhook: events that have not arrived are not sent any more."""
    client: Client = ctx.obj
    client.delete_webhook(webhook_id)
    webhook_display.print_deleted(webhook_id, json_)


def rotate(ctx: typer.Context, webhook_id: WebhookId, json_: Json = False) -> None:
    """Replace the secret, and print the new one. For 24 hours both sign, so that no event is lost."""
    client: Client = ctx.obj
    rotated = client.rotate_secret(webhook_id)
    webhook_display.print_secret(rotated, json_, "For 24 hours the old secret signs too.")


def ping(ctx: typer.Context, webhook_id: WebhookId, json_: Json = False) -> None:
    """Send an event of type "ping" now. The exit code is 0 if the receiver answered 2xx, else 1."""
    client: Client = ctx.obj
    attempt = client.test_webhook(webhook_id)
    webhook_display.print_test(attempt, json_)
    if attempt.error:
        raise typer.Exit(1)


def deliveries(
    ctx: typer.Context,
    webhook_id: WebhookId,
    state: Annotated[
        ListedState | None,
        typer.Option(
            metavar="STATE",
            help="Only pending ones, which are attempted again; dead ones, whose attempts have all failed; "
            "or succeeded ones.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            help=f"The largest number of deliveries; 0: all. [default: {ROWS}; with --json: all]",
            show_default=False,
        ),
    ] = None,
    tz: Tz = None,
    json_: Json = False,
) -> None:
    """List deliveries, the newest event first: all that are pending or dead, and the last that succeeded.

    Example, which retries all dead ones:
    `till webhook deliveries ID --state dead --json | jq -r .event_id | xargs till webhook redeliver ID`
    """
    with usage():
        zone = periods.zone(tz)
    if limit is None:
        limit = 0 if json_ else ROWS
    client: Client = ctx.obj
    # One more shows whether there are more.
    size = min(limit + 1, 1000) if limit else 1000
    found = client.list_deliveries(webhook_id, state=state, page_size=size)
    shown = islice(found, limit or None)
    if not webhook_display.print_deliveries(shown, zone, json_):
        typer.echo("no deliveries", err=True)
    elif limit and next(found, None):
        typer.echo("and more; --limit 0 lists all", err=True)


def redeliver(
    ctx: typer.Context,
    webhook_id: WebhookId,
    event_ids: Annotated[list[str], typer.Argument(metavar="EVENT...", help="IDs of events, such as evt_….")],
    tz: Tz = None,
    json_: Json = False,
) -> None:
    """Attempt the delivery of events immediately, whatever their state. Failures are repeated as usual."""
    with usage():
        zone = periods.zone(tz)
    client: Client = ctx.obj
    due = (client.redeliver_event(webhook_id, event_id) for event_id in event_ids)
    webhook_display.print_deliveries(due, zone, json_)


def replay(
    ctx: typer.Context,
    webhook_id: WebhookId,
    after: Annotated[
        int, typer.Option(metavar="SEQUENCE", min=0, max=2**64 - 1, help=f"{AFTER}; 0: the first event.")
    ],
    json_: Json = False,
) -> None:
    """Send all events after a sequence again, in order, then new ones.

    Their webhook-id is that of the first time, so the receiver ignores those that it has seen.

    Example: `till webhook replay ID --after 4711`
    """
    client: Client = ctx.obj
    webhook_display.show(client.replay_events(webhook_id, after), json_)


def _types(given: list[str] | None) -> list[str] | None:
    """Return the types; empty: every type. Raise typer.BadParameter for "all" beside others."""
    if given is None:
        return None
    types = listed(given)
    if EVERY_TYPE not in types:
        return types
    if len(types) > 1:
        raise typer.BadParameter(f"--types has {EVERY_TYPE} beside other types; pass either")
    return []
