"""The commands of `till` for events: print them, or forward them as webhooks."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from till.client import Client
from till.events import Event
from till.retries import Connection
from till_cli import display, forward, periods
from till_cli.commands import Json
from till_cli.envelope import envelope, one_line
from till_cli.lists import Tz, usage

PAGE_SIZE = 1000


class Place(StrEnum):
    """The places to begin at, besides a sequence."""

    BEGINNING = "beginning"
    NOW = "now"


AFTER = "Begin after the event with this sequence"
From = Annotated[
    Place | None,
    typer.Option(
        "--from",
        metavar="PLACE",
        help="Begin at the beginning, which is the oldest event that Till still has, or now.",
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPES",
        help="Only these types, separated by commas, such as invoice.paid,invoice.expired.",
    ),
]
MetadataType = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Only events of invoices with this type in their metadata."),
]


def events(
    ctx: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for new events, until Ctrl-C. Reconnects.")
    ] = False,
    after: Annotated[
        str | None,
        typer.Option(metavar="SEQUENCE", help=f"{AFTER}; with --all-users, after this cursor."),
    ] = None,
    place: From = None,
    types: Types = None,
    metadata_type: MetadataType = None,
    all_users: Annotated[
        bool, typer.Option("--all-users", help="The events of all users, for a key with the scope admin.")
    ] = False,
    tz: Tz = None,
    json_: Json = False,
) -> None:
    """Print events, the oldest first: each change of an invoice or an invoice request.

    Without --after and --from: from the beginning; with --follow: from now. With --json each line is the
    JSON of an event over REST.

    Examples: `till events --types invoice.paid`, `till events --follow --json | jq .data.label`
    """
    if ctx.invoked_subcommand:
        _refuse_options(ctx)
        return
    where = _start(after, place, all_users)
    wanted: Any = {**where, **_filter(types, metadata_type), "all_users": all_users}
    with usage():
        zone = periods.zone(tz)
    client: Client = ctx.obj
    found = client.events(**wanted, on_connection=_note) if follow else _pages(client, wanted)
    if json_:
        for event in found:
            typer.echo(one_line(envelope(event)))
    elif not display.print_events(found, zone, all_users):
        typer.echo("no events", err=True)


def forward_(
    ctx: typer.Context,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Where to post, such as http://localhost:3000/webhook.")
    ],
    after: Annotated[str | None, typer.Option(metavar="SEQUENCE", help=f"{AFTER}.")] = None,
    place: From = None,
    types: Types = None,
    metadata_type: MetadataType = None,
    secret: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET",
            envvar="TILL_WEBHOOK_SECRET",
            help="The secret that signs: whsec_ and base64. [default: a new one, which is printed]",
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Post each event to a URL on this machine as a signed webhook, until Ctrl-C.

    For developing and testing a receiver of webhooks: the requests are those of Standard Webhooks 1.0, so its
    libraries verify them. Events are posted one after the other, in order. A 2xx status within 15 s is a
    success; anything else is retried, after 1 s and then up to 30 s. Without --after and --from: from now.

    Example: `till events forward http://localhost:3000/webhook --types invoice.paid`
    """
    where = _start(after, place, all_users=False)
    with usage():
        forward.check_url(url)
        if secret is not None:
            forward.check_secret(secret)
    client: Client = ctx.obj
    receiver = forward.Receiver(url, secret or forward.announced_secret())
    found = client.events(**where, **_filter(types, metadata_type), on_connection=_note)
    begin = where.get("after")
    forward.Forwarding(receiver, begin if isinstance(begin, int) else None, json_).run(found)


def listed(texts: Iterable[str]) -> list[str]:
    """Return the parts of texts that are separated by commas."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    return [part for part in parts if part]


def _refuse_options(ctx: typer.Context) -> None:
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params if name != "json_"}
    if any(source and source.name == "COMMANDLINE" for source in sources.values()):
        raise typer.BadParameter(
            f"write the options after the command: till events {ctx.invoked_subcommand} URL OPTIONS"
        )


def _start(after: str | None, place: Place | None, all_users: bool) -> dict[str, Any]:
    """Return where to begin, as the client takes it. Raise typer.BadParameter."""
    if after is None:
        return {} if place is None else {"after": place.value}
    if place is not None:
        raise typer.BadParameter("pass either --after or --from")
    if all_users:
        return {"cursor": after}
    if not (after.isascii() and after.isdecimal() and int(after) < 2**64):
        raise typer.BadParameter("--after is a sequence: a whole number; 0 is before the first event")
    return {"after": int(after)}


def _filter(types: list[str] | None, metadata_type: str | None) -> dict[str, Any]:
    return {"types": listed(types or ()), "metadata_type": metadata_type}


def _pages(client: Client, wanted: dict[str, Any]) -> Iterator[Event]:
    """Yield the events that the log has now."""
    while True:
        page = client.list_events(**wanted, page_size=PAGE_SIZE)
        yield from page.events
        if not page.has_more:
            return
        next_ = {"cursor": page.next_cursor} if page.next_cursor else {"after": page.next_after}
        wanted = {**wanted, "after": None, **next_}


def _note(change: Connection) -> None:
    """Report on standard error that the connection is lost, or back."""
    if not change.lost:
        typer.echo("connected again", err=True)
    elif change.attempt == 1:
        typer.echo(f"{change.error}; reconnecting", err=True)
