"""The commands `tilld webhook`, for the webhooks of all users."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from till_cli.app import App
from tilld.auth.caller import OPERATOR, Caller, Scope
from tilld.cli.options import command
from tilld.config import Config
from tilld.config.advice import shell_command
from tilld.errors import NotFound, OperatorError
from tilld.formats.ids import is_username
from tilld.webhooks.delivery import Delivery, DeliveryState

if TYPE_CHECKING:
    from tilld.cli.webhook_resources import WebhookResources
    from tilld.webhooks.backlog import Backlog

app = App(
    help="Manage the webhooks of all users. A running Till notices changes within a second.",
)

Done = TypeVar("Done")
Id = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the webhook: the first column of 'tilld webhook list'.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
# Rows of a table, and of a read.
ROWS, PAGE = 50, 1000


@command(app, "webhook create")
def create(
    config: Config,
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="Receiver: https, at a public address or an allowed host."),
    ],
    username: Annotated[str, typer.Option(metavar="NAME", help="User whose events it receives.")],
    types: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPES",
            help="Types of events, separated by commas, such as invoice.paid,invoice.expired. "
            "[default: every type]",
        ),
    ] = None,
    payouts: Annotated[
        bool,
        typer.Option(
            "--payouts",
            help="Also send events of invoice requests. The receiver can then collect them.",
        ),
    ] = False,
) -> None:
    """Create a webhook, and print its secret, which is not shown again. It receives events from now on."""
    from tilld.cli import webhook_display as display

    if not is_username(username):
        raise OperatorError("--username must have 1 to 64 letters, digits, or any of _ . @ -")
    scopes = {Scope.READ, Scope.PAYOUTS} if payouts else {Scope.READ}
    owner = Caller(username, frozenset(scopes))
    wanted = ",".join(types or ()).replace(",", " ").split()
    display.print_secret(_run(config, lambda opened: opened.service.create(OPERATOR, url, wanted, owner)))


@command(app, "webhook", "list")
def list_(
    config: Config,
    username: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only the webhooks of this user. [default: all users]")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the webhooks of all users, without those of single invoices.

    WAITING counts events that are sent when the receiver accepts them, SINCE is when the oldest happened, and
    DEAD counts those that were given up.
    """
    from tilld.cli import webhook_display as display

    display.print_webhooks(_run(config, lambda opened: opened.backlogs(username)), as_json)


@command(app, "webhook")
def show(config: Config, webhook_id: Id, as_json: Json = False) -> None:
    """Show a webhook: its user, where events are sent, and whether they arrive. Never its secret."""
    from tilld.cli import webhook_display as display

    async def read(opened: "WebhookResources") -> "Backlog":
        return await opened.backlog(await opened.service.get(OPERATOR, webhook_id))

    display.show(_run(config, read, webhook_id), as_json)


@command(app, "webhook")
def deliveries(
    config: Config,
    webhook_id: Id,
    state: Annotated[
        DeliveryState | None,
        typer.Option(metavar="STATE", help=f"Only deliveries in this state: {', '.join(DeliveryState)}."),
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, help="The largest number of deliveries; 0: all.")
    ] = ROWS,
    as_json: Json = False,
) -> None:
    """List deliveries, the newest event first: all that are pending or dead, and the last that succeeded."""
    from tilld.cli import webhook_display as display

    async def read(opened: "WebhookResources") -> list[Delivery]:
        found: list[Delivery] = []
        while not limit or len(found) < limit:
            before = {"before": found[-1].sequence} if found else {}
            size = min(limit - len(found), PAGE) if limit else PAGE
            page = await opened.service.deliveries(OPERATOR, webhook_id, state, limit=size, **before)
            found += page
            if len(page) < size:
                break
        return found

    display.print_deliveries(_run(config, read, webhook_id), as_json)


@command(app, "webhook")
def disable(
    config: Config,
    webhook_id: Id,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Reason, which the user sees.")
    ] = "the operator of Till has disabled it",
) -> None:
    """Disable a webhook. Its events wait, and are kept as long as others."""
    _change(config, webhook_id, enabled=False, disabled_reason=reason)


@command(app, "webhook")
def enable(config: Config, webhook_id: Id) -> None:
    """Enable a webhook. Events that have waited are sent first."""
    _change(config, webhook_id, enabled=True)


@command(app, "webhook")
def delete(config: Config, webhook_id: Id) -> None:
    """Delete a webhook. Events that have not arrived are not sent any more."""
    _run(config, lambda opened: opened.service.remove(OPERATOR, webhook_id), webhook_id)
    typer.echo(f"deleted: {webhook_id}")


@command(app, "webhook")
def rotate(config: Config, webhook_id: Id) -> None:
    """Replace the secret, and print the new one. For 24 hours both sign."""
    from tilld.cli import webhook_display as display

    display.print_secret(_run(config, lambda opened: opened.service.rotate(OPERATOR, webhook_id), webhook_id))


@command(app, "webhook test")
def test(config: Config, webhook_id: Id) -> None:
    """Send an event of type ping from this computer. The exit code is 0 if the receiver accepted it."""
    attempt = _run(config, lambda opened: opened.service.test(OPERATOR, webhook_id), webhook_id)
    if not attempt.succeeded:
        raise OperatorError(f"the test failed after {attempt.last_milliseconds} ms: {attempt.last_error}")
    typer.echo(f"the test succeeded: status {attempt.last_status}, {attempt.last_milliseconds} ms")


@command(app, "webhook")
def redeliver(
    config: Config,
    webhook_id: Id,
    event_ids: Annotated[list[str], typer.Argument(metavar="EVENT...", help="Ids of events, such as evt_….")],
) -> None:
    """Send events again, whatever the state of their delivery. Failures are repeated as usual."""
    from tilld.cli import webhook_display as display

    async def due(opened: "WebhookResources") -> list[Delivery]:
        await opened.service.get(OPERATOR, webhook_id)
        made = []
        for event_id in event_ids:
            try:
                made.append(await opened.service.redeliver(OPERATOR, webhook_id, event_id))
            except NotFound:
                raise OperatorError(
                    f"the log of this user has no event {event_id}; list deliveries: "
                    f"{shell_command('webhook', 'deliveries', webhook_id)}"
                ) from None
        return made

    display.print_deliveries(_run(config, due, webhook_id), as_json=False)


@command(app, "webhook")
def replay(
    config: Config,
    webhook_id: Id,
    after: Annotated[
        int, typer.Option(metavar="SEQUENCE", min=0, help="Sequence of an event; 0: before the first event.")
    ],
) -> None:
    """Send all events after a sequence again, in order. The receiver ignores those that it has seen."""
    _run(config, lambda opened: opened.service.replay(OPERATOR, webhook_id, after), webhook_id)
    typer.echo(f"sent again: the events after {after}")


def _change(config: Config, webhook_id: str, **changes: Any) -> None:
    from tilld.cli import webhook_display as display
    from tilld.webhooks.service import WebhookChange

    change = WebhookChange(**changes)
    changed = _run(config, lambda opened: opened.service.change(OPERATOR, webhook_id, change), webhook_id)
    typer.echo(f"{display.state_of(changed)}: {changed.id}")


def _run(config: Config, work: Callable[["WebhookResources"], Awaitable[Done]], webhook_id: str = "") -> Done:
    """Run work with the webhooks of the database; raise OperatorError for an unknown webhook."""
    from tilld.cli.webhook_resources import open_webhooks
    from tilld.runtime import logs

    async def work_there() -> Done:
        logs.configure(config.log_level, config.log_format, colors=config.colors)
        async with open_webhooks(config) as opened:
            try:
                return await work(opened)
            except NotFound:
                listed = shell_command("webhook", "list")
                raise OperatorError(f"there is no webhook {webhook_id}; list them: {listed}") from None

    return asyncio.run(work_there())
