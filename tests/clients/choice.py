"""The choice of clients to try, and what happens where the tools of one are missing."""

from typing import NoReturn

import pytest

from tests.clients import agent


def chosen(config: pytest.Config) -> list[str]:
    """The names of the clients to try."""
    named: list[str] = config.getoption("clients").split()
    return named or agent.clients()


def built(config: pytest.Config, name: str) -> None:
    """Build a client, or leave it out."""
    if missing := agent.missing(name):
        left_out(config, f"{name}, which needs {missing}")
    if wrong := agent.build(name):
        pytest.fail(wrong, pytrace=False)


def left_out(config: pytest.Config, what: str) -> NoReturn:
    """Skip what can't be tried here, or fail where all is to be tried."""
    why = f"client left out: {what}"
    if config.getoption("all_clients"):
        pytest.fail(why, pytrace=False)
    pytest.skip(why)
