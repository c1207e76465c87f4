"""A whole Till for tests: simulated node, tilld and the real Envoy."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import httpx

from lightningd_simulator import Simulator, channels
from tests.support.databases import sqlite_database
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.app import Till
from tilld.config import USUAL, Address, Config, Intervals
from tilld.envoy.process import Envoy
from tilld.lightningd import play_money

ANY_PORT = Address("127.0.0.1", 0)
HEARTBEAT_SECONDS = 0.3


@dataclass(frozen=True)
class Shop:
    """A running Till, and the clients of a shop."""

    till: Till
    rest: httpx.AsyncClient
    channel: grpc.aio.Channel
    rpc_file: Path

    @property
    def invoices(self) -> Any:
        """A stub of the typed API."""
        return InvoiceServiceStub(self.channel)

    async def create(self, **fields: Any) -> Any:
        """Create an invoice over REST; return its JSON as reads have it."""
        body = {"msat": 5000, "metadata": {"type": "shop"}} | fields
        reply = await self.rest.post("/lightning/invoice/create", json=body)
        assert reply.status_code == 200, reply.text
        return {name: value for name, value in reply.json().items() if name != "payability"}

    async def outcome(self, created: Any) -> Any:
        """Watch an invoice over REST until it is final; return its last state."""
        reply = await self.rest.get(f"/lightning/invoice/{created['invoiceid']}/watch")
        *_, last = [line for line in reply.text.splitlines() if line.startswith("data: ")]
        return json.loads(last.removeprefix("data: "))

    async def pay(self, payreq: str, amount_msat: int | None = None) -> int:
        """Pay an invoice with play money."""
        return await play_money.pay(self.rpc_file, payreq, amount_msat)


def config(data_dir: Path, **settings: Any) -> Config:
    """Return settings for a Till on free ports whose state in the directory survives a restart."""
    defaults: dict[str, Any] = {
        "data_dir": data_dir,
        "grpc": ANY_PORT,
        "rest": ANY_PORT,
        "grace_seconds": 2.0,
        "heartbeat_seconds": HEARTBEAT_SECONDS,
        "simulated_payment_seconds": 0,
    }
    return Config(**defaults | settings)


@asynccontextmanager
async def open_shop(
    settings_of_till: Config, intervals: Intervals = USUAL, envoy: type[Envoy] = Envoy
) -> AsyncIterator[Shop]:
    """Run a Till until the context ends.

    Its simulated node runs in this process, and its SQLite file is a copy: to start a process and to migrate
    a file take more time than all else.
    """
    directory = settings_of_till.data_dir
    directory.mkdir(parents=True, exist_ok=True)
    settings = settings_of_till
    async with AsyncExitStack() as stack:
        if not (settings.database or settings.database_file):
            sqlite_database(directory / "till.db")
        if not settings.lightning_rpc:
            node = Simulator(settings.simulated_rpc_file, directory / "node.jsonl", channels=channels.USUAL)
            await stack.enter_async_context(node)
            settings = settings.model_copy(update={"lightning_rpc": node.rpc_file})
        till = await stack.enter_async_context(Till(settings, intervals, envoy))
        yield await stack.enter_async_context(talk_to(till))


@asynccontextmanager
async def talk_to(till: Till) -> AsyncIterator[Shop]:
    """Connect to a running Till as a shop does."""
    async with (
        httpx.AsyncClient(base_url=f"http://{till.running.rest}", timeout=10) as rest,
        grpc.aio.insecure_channel(str(till.running.grpc)) as channel,
    ):
        yield Shop(till, rest, channel, till.running.rpc_file)
