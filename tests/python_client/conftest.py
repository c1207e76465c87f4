"""Fixtures: a Till to call, and both kinds of client behind one interface."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Self, TypeVar

import pytest
import structlog
from typer.testing import CliRunner, Result

import till
from tests.support.shop import config
from till_cli.main import app
from tilld.app import Running, Till
from tilld.lightningd import play_money
from tilld.runtime import logs

Item = TypeVar("Item")


async def in_thread(items: Iterator[Item]) -> AsyncIterator[Item]:
    while item := await asyncio.to_thread(next, items, None):
        yield item


class Threaded:
    """The synchronous client in threads, so that tests await its methods like those of the async client."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._client = till.Client(*arguments, **settings)

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if not callable(member):
            return member

        async def method(*arguments: Any, **named: Any) -> Any:
            return await asyncio.to_thread(member, *arguments, **named)

        return method

    def watch(self, *arguments: Any, **named: Any) -> AsyncIterator[till.Invoice]:
        return in_thread(self._client.watch(*arguments, **named))

    def list_invoices(self, **named: Any) -> AsyncIterator[till.Invoice]:
        return in_thread(self._client.list_invoices(**named))

    def export_invoices(self, **named: Any) -> AsyncIterator[str]:
        return in_thread(self._client.export_invoices(**named))

    def events(self, *arguments: Any, **named: Any) -> AsyncIterator[till.Event]:
        return in_thread(self._client.events(*arguments, **named))

    def list_deliveries(self, *arguments: Any, **named: Any) -> AsyncIterator[till.Delivery]:
        return in_thread(self._client.list_deliveries(*arguments, **named))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.close()


@pytest.fixture(params=[Threaded, till.AsyncClient], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> type[till.AsyncClient]:
    """Return each kind of client."""
    kind: type[till.AsyncClient] = request.param
    return kind


@pytest.fixture(scope="package")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Yield a Till that all tests of this package share."""
    directory = tmp_path_factory.mktemp("till")
    with (directory / "tests.log").open("w") as log:
        # The command's output must not contain log lines.
        logs.configure("debug", "json", log)
        structlog.configure(cache_logger_on_first_use=False)
        async with Till(config(directory, no_rest=True)) as shared:
            yield shared.running
        structlog.reset_defaults()


@pytest.fixture
def address(running: Running) -> str:
    return str(running.grpc)


@pytest.fixture
def pay(running: Running) -> Callable[..., Awaitable[None]]:
    """Return a function that pays with play money."""

    async def pay(invoice: till.Invoice, amount_msat: int | None = None) -> None:
        await play_money.pay(running.rpc_file, invoice.bolt11, amount_msat)

    return pay


@pytest.fixture
async def client(connect: type[till.AsyncClient], address: str) -> AsyncIterator[till.AsyncClient]:
    async with connect(address) as client:
        yield client


@pytest.fixture
def run(address: str) -> Callable[..., Awaitable[Result]]:
    """Return a function that runs the command and returns its result."""

    async def run(*arguments: str, **environment: str) -> Result:
        settings = {"TILL_ADDRESS": address} | environment
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, env=settings)

    return run
