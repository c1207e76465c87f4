"""The commands `tilld key`, which manage API keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from till_cli.app import App
from tilld.auth.caller import OPERATOR, SHOP, TERMINAL, Scope
from tilld.auth.key import Key
from tilld.cli.options import command
from tilld.cli.table import aligned
from tilld.config import USUAL, Config
from tilld.config.advice import shell_command
from tilld.errors import NotFound, OperatorError

if TYPE_CHECKING:
    from tilld.auth.service import Keyring
    from tilld.invoices.repository import Store

app = App(
    help="Create, list and revoke API keys. Once the first key exists, every call needs a key. "
    "Changes take effect immediately, also in a running Till.",
)


@command(app, "key")
def create(
    config: Config,
    username: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="User whose invoices the key creates and reads: 1 to 64 letters, digits, or any of _ . @ -.",
        ),
    ],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            metavar="SCOPE",
            help=f"Permission of the key: {', '.join(Scope)}. Repeat the flag for each scope. "
            f"[default: {', '.join(SHOP)}; with --type: {', '.join(TERMINAL)}]",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Limit the key to invoices with this type in their metadata, for example of one terminal. "
            f"Excludes the scopes {Scope.ADMIN} and {Scope.PAYOUTS}.",
        ),
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Expiry time in UTC, such as 2030-12-31 or 2030-12-31T18:00:00. [default: never]",
        ),
    ] = None,
) -> None:
    """Create a key and print it. Till stores only its hash, so it cannot be printed again.

    Send the key as 'Authorization: Bearer KEY', over REST and gRPC.
    """

    async def add() -> str:
        async with _store(config, create=True) as store:
            _, token = await _keyring(store).create(
                OPERATOR,
                username=username,
                scopes=scope or (),
                type=kind,
                expires_at=expires and expires.replace(tzinfo=UTC),
            )
            return token

    typer.echo(asyncio.run(add()))


@command(app, "key", "list")
def list_(config: Config) -> None:
    """List all keys in the order of their ids, including expired and revoked keys."""

    async def tell() -> None:
        last = ""
        async with _store(config, create=False) as store:
            keyring = _keyring(store)
            while page := await keyring.page(last, USUAL.store_page):
                rows = [_facts(key) for key in page]
                if not last:
                    rows.insert(0, ("ID", "USERNAME", "SCOPES", "DATES (UTC)"))
                for line in aligned(rows):
                    typer.echo(line)
                last = page[-1].id
        if not last:
            make = shell_command("key", "create", "--username", "NAME")
            advice = f"there are no keys: anyone who can reach Till may call; create one: {make}"
            typer.echo(advice, err=True)

    asyncio.run(tell())


@command(app, "key")
def revoke(
    config: Config,
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the key: the first column of 'tilld key list'.")
    ],
) -> None:
    """Revoke a key. New calls with it fail immediately, and open watches before their next event.

    Webhooks that it created stay; the command says how many, and how to list them.
    """

    async def end() -> tuple[Key, int]:
        from tilld.webhooks.repository import WebhookStore

        async with _store(config, create=False) as store:
            try:
                key = await _keyring(store).revoke(OPERATOR, key_id)
            except NotFound:
                raise OperatorError(
                    f"there is no key {key_id} to revoke; list the keys: {shell_command('key', 'list')}"
                ) from None
            webhooks = await WebhookStore(store).of_user(key.username)
            return key, len([each for each in webhooks if each.key_id == key.id])

    key, webhooks = asyncio.run(end())
    typer.echo("  ".join(_facts(key)))
    if webhooks:
        listed = shell_command("webhook", "list", "--username", key.username)
        typer.echo(f"webhooks of this key, which stay: {webhooks}; list them: {listed}", err=True)


@asynccontextmanager
async def _store(config: Config, *, create: bool) -> AsyncIterator["Store"]:
    from tilld.cli.resources import open_store
    from tilld.runtime import logs

    logs.configure(config.log_level, config.log_format, colors=config.colors)
    async with open_store(config, create=create) as store:
        yield store


def _keyring(store: "Store") -> "Keyring":
    from tilld.auth.repository import KeyStore
    from tilld.auth.service import Keyring

    return Keyring(KeyStore(store))


def _facts(key: Key) -> tuple[str, str, str, str]:
    """Return the columns of a key: id, username, scopes, and the rest."""
    more = [] if key.type is None else [f"type {key.type}"]
    more.append(f"created {key.created_at:%Y-%m-%d %H:%M}")
    if key.expires_at:
        more.append(f"expires {key.expires_at:%Y-%m-%d %H:%M}")
    if key.revoked_at:
        more.append(f"revoked {key.revoked_at:%Y-%m-%d %H:%M}")
    return key.id, key.username, ",".join(sorted(key.scopes)), "  ".join(more)
