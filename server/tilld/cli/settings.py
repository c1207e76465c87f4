"""The command `tilld config`, which prints settings."""

import json
from typing import Annotated, Any

import typer

from tilld.cli.table import aligned
from tilld.config import Config
from tilld.config.example import example
from tilld.config.settings import SETTINGS
from tilld.config.values import without_password


def _show_example(wanted: bool) -> None:
    if wanted:
        typer.echo(example(Config(), SETTINGS), nl=False)
        raise typer.Exit


def config(
    config: Config,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: an object with the value and source of each setting.")
    ] = False,
    show_example: Annotated[
        bool,
        typer.Option(
            "--example",
            is_eager=True,
            callback=_show_example,
            help="Print a file for --config with all defaults, commented out.",
        ),
    ] = False,
) -> None:
    """Print all settings, and the source of each value: flag, variable, file or default.

    The command takes the flags of all other commands. It does not print passwords.
    """
    values = {name: _without_password(value) for name, value in config.model_dump(mode="json").items()}
    origins = {name: config.origin(name) for name in values}
    if as_json:
        settings = {
            name: {"value": value, "source": origins[name].kind, "name": origins[name].name}
            for name, value in values.items()
        }
        typer.echo(json.dumps(settings, indent=2))
        return
    rows = [("SETTING", "VALUE", "SOURCE")]
    for each in SETTINGS:
        kind, name = origins[each.name]
        text = each.default or "none" if kind == "default" else _text(values[each.name])
        rows.append((each.name, text, f"{kind} {name or ''}"))
    for line in aligned(rows):
        typer.echo(line)


def _without_password(value: Any) -> Any:
    return without_password(value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value)
