"""tilld key: who may call."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from tilld.cli.options import Database, DataDir
from tilld.config import Config
from tilld.errors import InvalidRequest, OperatorError
from tilld.key import SHOP, Key, Scope

app = typer.Typer(
    no_args_is_help=True,
    help="API keys: who may call, and what for. From the first one on, every call needs one. "
    "Works beside a running Till, at once.",
)


@app.command()
def create(
    username: Annotated[
        str, typer.Option(metavar="NAME", help="Who calls with it; invoices belong to a username.")
    ],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; give it once for each.")] = list(SHOP),  # noqa: B006
    kind: Annotated[
        str | None,
        typer.Option(
            "--type", metavar="TYPE", help="Only invoices with this type in their metadata: a till in a shop."
        ),
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="When it ends to be good, in UTC."),
    ] = None,
    database: Database = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key, and print it, once: only a hash of it is kept.

    Send it as 'Authorization: Bearer KEY', on REST and gRPC alike.
    """
    try:
        key, token = Key.new(
            username=username,
            scopes=scope,
            type=kind,
            created_at=datetime.now(UTC),
            expires_at=expires and expires.replace(tzinfo=UTC),
        )
    except InvalidRequest as reason:
        raise OperatorError(reason.message) from None

    async def add() -> None:
        from tilld.workbench import open_store

        async with open_store(_config(database, data_dir), create=True) as store:
            await store.add_key(key)

    asyncio.run(add())
    typer.echo(f"key {key.id}: {_told(key)}", err=True)
    typer.echo(token)


@app.command("list")
def list_(database: Database = None, data_dir: DataDir = None) -> None:
    """List all keys that there ever were, by their ids."""

    async def read() -> list[Key]:
        from tilld.workbench import open_store

        async with open_store(_config(database, data_dir), create=False) as store:
            return await store.keys()

    for key in asyncio.run(read()):
        typer.echo(f"{key.id}  {_told(key)}")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as 'tilld key list' tells it.")],
    database: Database = None,
    data_dir: DataDir = None,
) -> None:
    """Revoke a key: from now on nobody can call with it."""

    async def end() -> Key | None:
        from tilld.workbench import open_store

        async with open_store(_config(database, data_dir), create=False) as store:
            return await store.revoke_key(key_id, datetime.now(UTC))

    revoked = asyncio.run(end())
    if not revoked:
        raise OperatorError(f"there is no key {key_id} that could be revoked: see 'tilld key list'")
    typer.echo(f"{revoked.id}  {_told(revoked)}")


def _config(database: Database, data_dir: DataDir) -> Config:
    from tilld import logs

    config = Config.load(database=database, data_dir=data_dir)
    logs.configure(config.log_level, config.log_format)
    return config


def _told(key: Key) -> str:
    facts = [key.username, ",".join(sorted(key.scopes))]
    if key.type is not None:
        facts.append(f"type {key.type}")
    facts.append(f"created {key.created_at:%Y-%m-%d %H:%M}")
    if key.expires_at:
        facts.append(f"expires {key.expires_at:%Y-%m-%d %H:%M}")
    if key.revoked_at:
        facts.append(f"revoked {key.revoked_at:%Y-%m-%d %H:%M}")
    return "  ".join(facts)
