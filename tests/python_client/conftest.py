"""A Till to call, and clients of both kinds that tests use alike."""

import asyncio

import pytest
import structlog

import till
from tests.support.shop import config
from tilld.app import Till
from tilld.lightningd import play_money
from tilld.runtime import logs


class Threaded:
    """The ordinary client, in threads: its methods are awaited as those of the async one."""

    def __init__(self, *arguments, **settings):
        self._client = till.Client(*arguments, **settings)

    def __getattr__(self, name):
        member = getattr(self._client, name)
        if not callable(member):
            return member

        async def method(*arguments, **named):
            return await asyncio.to_thread(member, *arguments, **named)

        return method

    async def watch(self, *arguments, **named):
        states = self._client.watch(*arguments, **named)
        while state := await asyncio.to_thread(next, states, None):
            yield state

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self._client.close()


@pytest.fixture(params=[Threaded, till.AsyncClient], ids=["sync", "async"])
def connect(request):
    """Either kind of client."""
    return request.param


@pytest.fixture(scope="package")
async def running(tmp_path_factory):
    """A Till that all these tests share."""
    directory = tmp_path_factory.mktemp("till")
    with (directory / "tests.log").open("w") as log:
        # Not among what the command prints.
        logs.configure("debug", "json", log)
        structlog.configure(cache_logger_on_first_use=False)
        async with Till(config(directory, no_rest=True)) as shared:
            yield shared.running
        structlog.reset_defaults()


@pytest.fixture
def address(running):
    return str(running.grpc)


@pytest.fixture
def pay(running):
    """Pays with play money."""

    async def pay(invoice, amount_msat=None):
        await play_money.pay(running.rpc_file, invoice.bolt11, amount_msat)

    return pay


@pytest.fixture
async def client(connect, address):
    async with connect(address) as client:
        yield client
