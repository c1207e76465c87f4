"""Prints the manual page of a program, from its help: manual.py PROGRAM. Run by make."""

import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import typer

from scripts.commands import called, commands, meaning, sentences
from till_cli.main import app as till
from tilld.cli import app as tilld
from tilld.config.settings import SETTINGS

ROOT = Path(__file__).parent.parent
# Characters that troff replaces by typographic ones.
ESCAPES = str.maketrans({"\\": r"\e", "-": r"\-", "'": r"\(aq", "~": r"\(ti", "^": r"\(ha", "`": r"\(ga"})


class Program(NamedTuple):
    """A program, the project that contains it, and a program whose page belongs to it."""

    app: typer.Typer
    project: Path
    other: str


PROGRAMS = {
    "tilld": Program(tilld, ROOT / "pyproject.toml", "till"),
    "till": Program(till, ROOT / "clients/python/pyproject.toml", "tilld"),
}


def page(name: str) -> str:
    """Return the page of a program."""
    return "\n".join(lines(name, PROGRAMS[name])) + "\n"


def lines(name: str, program: Program) -> Iterator[str]:
    """Yield the lines of a page."""
    project = tomllib.loads(program.project.read_text())["project"]
    (_, itself), *others = commands(typer.main.get_command(program.app), name)
    yield rf".\" Made from the help of {name} by make generate."
    yield f'.TH {name.upper()} 1 "" "Till {project["version"]}" "Till"'
    # No hyphenation and no justification, which would change paths and URLs.
    yield from (".nh", ".ad l")
    yield from (".SH NAME", prose(f"{name} - {project['description']}"))
    yield from (".SH SYNOPSIS", f".B {name}", escaped("[OPTION]... COMMAND [OPTION]... [ARGUMENT]..."))
    yield from (".SH DESCRIPTION", *paragraphs(itself.help))
    yield from (".SH OPTIONS", *parameters(itself))
    yield ".SH COMMANDS"
    for path, command in others:
        yield from (f'.SS "{escaped(path)}"', *paragraphs(command.help), *parameters(command))
    if name == "tilld":
        yield from (".SH ENVIRONMENT", "Settings without a flag:")
        for each in SETTINGS:
            if not each.flag:
                of = f" Read by: {', '.join(each.commands)}."
                yield from entry(each.variable, f"{each.description}{of} [default: {each.default}]")
    yield from (".SH SEE ALSO", f".BR {program.other} (1)")


def paragraphs(text: str | None) -> Iterator[str]:
    """Yield the paragraphs of a help text."""
    yield "\n.PP\n".join(map(prose, "".join(sentences(text)).split("\n\n")))


def parameters(command: Any) -> Iterator[str]:
    """Yield an entry for each parameter."""
    for each in command.params:
        if not getattr(each, "hidden", False):
            yield from entry(called(each), meaning(each))


def entry(term: str, text: str) -> Iterator[str]:
    """Yield a term in bold, and the indented text below it."""
    names = re.match(r"(?:-[\w-]+(?:, )?)*|\w+", term)
    bold = names[0] if names else ""
    yield from (".TP", rf"\fB{escaped(bold)}\fR{escaped(term.removeprefix(bold))}", prose(text))


def prose(text: str) -> str:
    """Return text in short lines; bold and code of Markdown are bold."""
    shown = re.sub(r"\*\*(.+?)\*\*|\\\(ga(.+?)\\\(ga", r"\\fB\1\2\\fR", escaped(text))
    lines = textwrap.wrap(shown, 80, break_long_words=False, break_on_hyphens=False)
    # A period at the start of a line begins a request.
    return "\n".join(rf"\&{line}" if line.startswith(".") else line for line in lines)


def escaped(text: str) -> str:
    """Return text whose characters troff prints as they are."""
    return text.translate(ESCAPES)


if __name__ == "__main__":
    print(page(sys.argv[1]), end="")
