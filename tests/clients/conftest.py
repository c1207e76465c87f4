"""The clients under test: all whose tools are installed, or those of --clients."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.clients import agent
from tests.clients.choice import built, chosen
from tests.clients.world import Worlds


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clients", default="", help="names of clients, separated by spaces; default: all")
    parser.addoption("--all-clients", action="store_true", help="fail if the tools of a client are missing")


def pytest_configure(config: pytest.Config) -> None:
    if unknown := set(chosen(config)).difference(agent.clients()):
        there = ", ".join(agent.clients())
        raise pytest.UsageError(f"no such client: {', '.join(sorted(unknown))}; there are {there}")


def pytest_configure_node(node: Any) -> None:
    """Build the clients once, in the main process of pytest-xdist, and give the results to each worker."""
    names = [name for name in chosen(node.config) if not agent.missing(name)]
    node.workerinput["builds"] = {name: agent.build(name) for name in names}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "client" in metafunc.fixturenames:
        metafunc.parametrize("client", chosen(metafunc.config), scope="session", indirect=True)


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest) -> str:
    """The name of a built client."""
    name: str = request.param
    built(request.config, name)
    return name


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Report the tested and the skipped clients."""
    for name in chosen(config):
        if missing := agent.missing(name):
            terminalreporter.write_line(f"clients/{name}: SKIPPED, needs {missing}", yellow=True)
        else:
            terminalreporter.write_line(f"clients/{name}: tested")


@pytest.fixture(scope="session")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    async with AsyncExitStack() as stack:
        yield Worlds(stack, tmp_path_factory)
