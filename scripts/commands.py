"""Writes docs/reference/commands.md from the help of both programs. Run by make."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from till_cli.main import app as till
from tilld.cli import app as tilld

HEAD = """# Commands

The programs `tilld` and `till`, from their help; `--help` prints the same.
[Configuration](configuration.md) has the settings behind the flags of `tilld`, and their defaults.

<!-- Made from the programs by 'make generate-commands'. -->
"""


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for name, app in (("tilld", tilld), ("till", till)):
        for path, command in commands(typer.main.get_command(app), name):
            parts += [f"\n## {path}\n", *sentences(command.help), *table(command)]
    return "\n".join(parts) + "\n"


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield a command and its subcommands, with their paths."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{path} {name}")


def sentences(text: str | None) -> list[str]:
    """Return the text with one paragraph per line."""
    return ["\n\n".join(" ".join(each.split()) for each in (text or "").split("\n\n"))]


def table(command: Any) -> list[str]:
    """Return a table with a row per parameter."""
    rows = [row(each) for each in command.params if not getattr(each, "hidden", False)]
    return ["\n| parameter | meaning |\n| --- | --- |", *rows] if rows else []


def row(parameter: Any) -> str:
    """Return the row of a parameter."""
    return f"| `{escaped(called(parameter))}` | {escaped(meaning(parameter))} |"


def called(parameter: Any) -> str:
    """Return the names of a parameter and the form of its value."""
    is_option = parameter.param_type_name == "option"
    names = ", ".join(parameter.opts) if is_option else ""
    value = "" if is_option and parameter.is_flag else parameter.metavar or parameter.display_name_raw.upper()
    return f"{names} {value}".strip()


def meaning(parameter: Any) -> str:
    """Return the help of a parameter with its variable and its default."""
    is_option = parameter.param_type_name == "option"
    text = " ".join((parameter.help or "").split())
    if is_option and parameter.required:
        text += " [required]"
    elif parameter.show_default and parameter.default not in (None, False, [], ()):
        is_named = isinstance(parameter.show_default, str)
        shown = parameter.show_default if is_named else parameter.default
        text += f" [default: {shown}]"
    if parameter.envvar:
        text += f" [{parameter.envvar}]"
    return text


def escaped(text: str) -> str:
    """Return the text with escapes for a table cell."""
    return text.replace("|", r"\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
