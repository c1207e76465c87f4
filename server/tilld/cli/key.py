"""tilld key: who may call."""

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
from tilld.config import USUAL, Config
from tilld.config.advice import shell_command
from tilld.errors import NotFound, OperatorError

if TYPE_CHECKING:
    from tilld.auth.service import Keyring

app = App(
    help="API keys: who may call, and what for. From the first one on, every call needs one. "
    "Works beside a running Till, at once.",
)


@command(app, "key")
def create(
    config: Config,
    username: Annotated[
        str, typer.Option(metavar="NAME", help="Who calls with it; invoices belong to a username.")
    ],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            help="What it may do; give it once for each. "
            f"[default: {', '.join(SHOP)}; with --type: {', '.join(TERMINAL)}]"
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--type", metavar="TYPE", help="Only invoices with this type in their metadata: a till in a shop."
        ),
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Expiry time, in UTC."),
    ] = None,
) -> None:
    """Make a key, and print it, once: only a hash of it is kept.

    Send it as 'Authorization: Bearer KEY', on REST and gRPC alike.
    """

    async def add() -> str:
        async with _keyring(config, create=True) as keyring:
            _, token = await keyring.create(
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
    """List all keys that there ever were, by their ids."""

    async def tell() -> None:
        last = ""
        async with _keyring(config, create=False) as keyring:
            while page := await keyring.page(last, USUAL.store_page):
                rows = [_facts(key) for key in page]
                if not last:
                    rows.insert(0, ("ID", "USERNAME", "SCOPES", "DATES (UTC)"))
                widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
                for row in rows:
                    typer.echo("  ".join(map(str.ljust, row, widths)).rstrip())
                last = page[-1].id
        if not last:
            make = shell_command("key", "create", "--username", "NAME")
            advice = f"there are no keys: anyone who can reach Till may call; make one: {make}"
            typer.echo(advice, err=True)

    asyncio.run(tell())


@command(app, "key")
def revoke(
    config: Config,
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the key, as 'tilld key list' prints it.")
    ],
) -> None:
    """Revoke a key: from now on nobody can call with it."""

    async def end() -> Key:
        async with _keyring(config, create=False) as keyring:
            try:
                return await keyring.revoke(OPERATOR, key_id)
            except NotFound:
                raise OperatorError(
                    f"there is no key {key_id} to revoke; list the keys: {shell_command('key', 'list')}"
                ) from None

    typer.echo(_told(asyncio.run(end())))


@asynccontextmanager
async def _keyring(config: Config, *, create: bool) -> AsyncIterator["Keyring"]:
    from tilld.auth.repository import KeyStore
    from tilld.auth.service import Keyring
    from tilld.cli.resources import open_store
    from tilld.runtime import logs

    logs.configure(config.log_level, config.log_format, colors=config.colors)
    async with open_store(config, create=create) as store:
        yield Keyring(KeyStore(store))


def _told(key: Key) -> str:
    return "  ".join(_facts(key))


def _facts(key: Key) -> tuple[str, str, str, str]:
    """Id, username, scopes, and all else."""
    more = [] if key.type is None else [f"type {key.type}"]
    more.append(f"created {key.created_at:%Y-%m-%d %H:%M}")
    if key.expires_at:
        more.append(f"expires {key.expires_at:%Y-%m-%d %H:%M}")
    if key.revoked_at:
        more.append(f"revoked {key.revoked_at:%Y-%m-%d %H:%M}")
    return key.id, key.username, ",".join(sorted(key.scopes)), "  ".join(more)
