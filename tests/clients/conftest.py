"""Which clients are tried: all whose tools are there, or those that are named."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.clients import agent
from tests.clients.choice import built, chosen
from tests.clients.world import Worlds


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clients", default="", help="names of clients, with spaces between; default: all")
    parser.addoption("--all-clients", action="store_true", help="fail where the tools of one are missing")


def pytest_configure(config: pytest.Config) -> None:
    if unknown := set(chosen(config)).difference(agent.clients()):
        there = ", ".join(agent.clients())
        raise pytest.UsageError(f"no such client: {', '.join(sorted(unknown))}; there are {there}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "client" in metafunc.fixturenames:
        metafunc.parametrize("client", chosen(metafunc.config), scope="session", indirect=True)


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest) -> str:
    """The name of a client that was built."""
    name: str = request.param
    built(request.config, name)
    return name


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which were tried, and which were not."""
    for name in chosen(config):
        if missing := agent.missing(name):
            terminalreporter.write_line(f"clients/{name}: LEFT OUT, since it needs {missing}", yellow=True)
        else:
            terminalreporter.write_line(f"clients/{name}: tried")


@pytest.fixture(scope="session")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    async with AsyncExitStack() as stack:
        yield Worlds(stack, tmp_path_factory)
