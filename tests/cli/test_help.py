"""The help of every command of both programs."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from till_cli.main import app as till
from tilld.cli import app as tilld
from tilld.config.fields import SWITCH
from tilld.config.settings import SETTINGS

PROGRAMS = {"till": till, "tilld": tilld}


def commands(group: Any) -> Iterator[tuple[str, ...]]:
    """Yield the arguments for a group, and for each command in the group."""
    yield ()
    for name, command in getattr(group, "commands", {}).items():
        yield from ((name, *rest) for rest in commands(command))


COMMANDS = [
    (program, path) for program, app in PROGRAMS.items() for path in commands(typer.main.get_command(app))
]


@pytest.mark.parametrize(("program", "path"), COMMANDS, ids=lambda value: "-".join(value) or "itself")
def test_a_flag_has_no_type(program: str, path: tuple[str, ...]) -> None:
    """A flag takes no value, but <bool> would suggest one."""
    told = CliRunner().invoke(PROGRAMS[program], [*path, "--help"], env={"COLUMNS": "200"})

    assert told.exit_code == 0
    assert "--help" in told.stdout
    assert "bool" not in told.stdout.lower()


def test_the_version_names_the_parts() -> None:
    """It takes no call of another program, and no node."""
    lines = CliRunner().invoke(tilld, ["--version"]).stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["tilld", "Envoy", "gRPC", "Python", "SQLite"]
    assert all(re.fullmatch(r"[0-9]+\.[0-9.]+", line.split()[1]) for line in lines)


@pytest.mark.parametrize(
    "command", ["run", "envoy", "doctor", "import", "key list", "webhook list", "webhook test"]
)
def test_the_help_of_a_command_lists_its_settings(command: str) -> None:
    """The help lists the flag and the variable of each setting, and no others."""
    told = CliRunner().invoke(tilld, [*command.split(), "--help"], env={"COLUMNS": "400"}).stdout
    taken = [each for each in SETTINGS if {command, command.split(maxsplit=1)[0]} & {*each.commands}]

    assert set(re.findall(r"[A-Z]+_[A-Z_]+", told)) == {each.variable for each in taken}
    assert set(re.findall(r"^\W*(--[a-z-]+)", told, re.MULTILINE)) >= {
        each.flag for each in taken if each.flag
    }
    assert all(each.default in told for each in taken if each.metavar != SWITCH)
