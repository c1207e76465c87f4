"""The choice of clients to test, and the treatment of missing tools."""

from typing import NoReturn

import pytest

from tests.clients import agent


def chosen(config: pytest.Config) -> list[str]:
    """Return the names of the clients to test."""
    named: list[str] = config.getoption("clients").split()
    return named or agent.clients()


def built(config: pytest.Config, name: str) -> None:
    """Check that a client is built. Skip the test if tools are missing, fail it if the build fails."""
    if missing := agent.missing(name):
        left_out(config, f"{name}, which needs {missing}")
    # With several processes, the main one has built all clients: two builds at a time would collide.
    builds: dict[str, str] = getattr(config, "workerinput", {}).get("builds", {})
    if wrong := builds[name] if name in builds else agent.build(name):
        pytest.fail(wrong, pytrace=False)


def left_out(config: pytest.Config, what: str) -> NoReturn:
    """Skip a test that cannot run here, or fail it with --all-clients."""
    why = f"client skipped: {what}"
    if config.getoption("all_clients"):
        pytest.fail(why, pytrace=False)
    pytest.skip(why)
