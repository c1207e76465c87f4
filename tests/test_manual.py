"""The manual pages of both programs, made from their help."""

import re
import shutil
from pathlib import Path
from subprocess import run

import pytest
import typer

from scripts import manual
from scripts.commands import called, commands
from tilld.config.settings import SETTINGS

ROOT = Path(__file__).parents[1]
PAGES = {"tilld": ROOT / "man/tilld.1", "till": ROOT / "clients/python/man/till.1"}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    assert PAGES[name].read_text() == manual.page(name), "run 'make generate'"


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
@pytest.mark.parametrize("name", PAGES)
def test_man_shows_each_command_with_its_parameters(name: str) -> None:
    """All characters of options and paths are plain ones, so that a reader can copy them."""
    command = ("man", "--warnings=w", "--encoding=UTF-8", "--local-file", PAGES[name])
    shown = run(
        command, check=True, capture_output=True, text=True, env={"MANWIDTH": "200", "LC_ALL": "C.UTF-8"}
    )

    assert shown.stderr == ""
    for path, each in commands(typer.main.get_command(manual.PROGRAMS[name].app), name):
        section = shown.stdout.partition(f"\n   {path}\n")[2] or shown.stdout
        assert all(called(parameter) in section for parameter in each.params if not parameter.hidden)
    if name == "tilld":
        assert all(each.variable in shown.stdout for each in SETTINGS)
    assert shown.stdout.isascii()
    assert not re.search(r"\*\*|`|\\", shown.stdout)
