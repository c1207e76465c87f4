"""Which clients are tried: all whose tools are there, or those that are named."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.clients import agent
from tests.clients.world import World, world


def pytest_addoption(parser):
    parser.addoption("--clients", default="", help="names of clients, with spaces between; default: all")
    parser.addoption("--all-clients", action="store_true", help="fail where the tools of one are missing")


def chosen(config):
    """The names of the clients to try."""
    return config.getoption("clients").split() or agent.clients()


def pytest_configure(config):
    if unknown := set(chosen(config)).difference(agent.clients()):
        there = ", ".join(agent.clients())
        raise pytest.UsageError(f"no such client: {', '.join(sorted(unknown))}; there are {there}")


def pytest_generate_tests(metafunc):
    if "client" in metafunc.fixturenames:
        metafunc.parametrize("client", chosen(metafunc.config), scope="session", indirect=True)


@pytest.fixture(scope="session")
def client(request):
    """The name of a client that was built."""
    built(request.config, request.param)
    return request.param


def built(config, name):
    """Build a client, or leave it out."""
    if missing := agent.missing(name):
        left_out(config, f"{name}, which needs {missing}")
    if wrong := agent.build(name):
        pytest.fail(wrong, pytrace=False)


def left_out(config, what):
    """Skip what can't be tried here, or fail where all is to be tried."""
    why = f"client left out: {what}"
    if config.getoption("all_clients"):
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


def pytest_terminal_summary(terminalreporter, config):
    """Say which were tried, and which were not."""
    for name in chosen(config):
        if missing := agent.missing(name):
            terminalreporter.write_line(f"clients/{name}: LEFT OUT, since it needs {missing}", yellow=True)
        else:
            terminalreporter.write_line(f"clients/{name}: tried")


class Worlds:
    """One Till for all cases that want it alike and leave it as they found it."""

    def __init__(self, stack, directories):
        self._stack = stack
        self._directories = directories
        self._known: dict[str, World] = {}

    async def get(self, wanted):
        """A Till as wanted, started if there is none yet."""
        if repr(wanted) not in self._known:
            directory = self._directories.mktemp("till")
            self._known[repr(wanted)] = await self._stack.enter_async_context(world(directory, **wanted))
        return self._known[repr(wanted)]

    def forget(self, wanted):
        """What a case has left may be anything: the next one gets another."""
        self._known.pop(repr(wanted), None)


@pytest.fixture(scope="session")
async def worlds(tmp_path_factory) -> AsyncIterator[Worlds]:
    async with AsyncExitStack() as stack:
        yield Worlds(stack, tmp_path_factory)
