"""Floors: the lowest cost of each operation, measured without Till's own work.

As a program: `python -m benchmarks.floors serve` runs empty gRPC handlers, and streams that send a second
message on request. `commit FILE SECONDS` writes one row per commit. `node SOCKET SECONDS CONNECTIONS` creates
invoices at the node, one at a time per connection. `post URL SECONDS` posts to a receiver, one at a time.
"""

import asyncio
import json
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from tilld.config import Config
from tilld.runtime import gc_pauses

Config.load().prepare_grpc()

import grpc.aio  # noqa: E402
from google.protobuf.empty_pb2 import Empty  # noqa: E402

from benchmarks.load import Load  # noqa: E402
from benchmarks.stores import METADATA  # noqa: E402
from tilld.grpc_api.server import MAX_CALLS, OPTIONS  # noqa: E402

SERVICE = "till.benchmark.Floor"


class Floor:
    """Handlers that do nothing."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    async def unary(self, request: Empty, context: Any) -> Empty:
        """Return an empty reply."""
        return Empty()

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Send back the request immediately, and again after a call of the method Tell."""
        yield request
        await self._told.wait()
        yield request

    async def tell(self, request: bytes, context: Any) -> bytes:
        """Send the second message on all streams; return the monotonic time."""
        told, self._told = self._told, asyncio.Event()
        told_at = time.monotonic()
        told.set()
        return repr(told_at).encode()

    def handlers(self) -> Any:
        """Return the handlers for grpc."""
        empty = (Empty.FromString, Empty.SerializeToString)
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary, *empty),
                "Stream": grpc.unary_stream_rpc_method_handler(self.stream),
                "Tell": grpc.unary_unary_rpc_method_handler(self.tell),
            },
        )


async def serve() -> None:
    """Serve with the settings of tilld; print the address."""
    server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
    server.add_generic_rpc_handlers((Floor().handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    gc_pauses.spare_what_stays()
    _say(f"127.0.0.1:{port}")
    await ending.wait()
    await server.stop(0)


def commit(file: str, seconds: float) -> None:
    """Write rows for this time, one per commit, with tilld's durability; print the figures."""
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode = wal")
    database.execute("PRAGMA synchronous = full")
    database.execute("CREATE TABLE IF NOT EXISTS invoices (id TEXT PRIMARY KEY, row TEXT)")
    row = METADATA.ljust(600)

    took: list[float] = []
    before = _cpu_seconds()
    started = time.monotonic()
    while (now := time.monotonic()) - started < seconds:
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO invoices VALUES (?, ?)", (f"{time.time_ns():024x}", row))
        database.execute("COMMIT")
        took.append(time.monotonic() - now)
    _say_cost(took, time.monotonic() - started, _cpu_seconds() - before)
    database.close()
    Path(file).unlink()


async def node(socket: str, seconds: float, connections: int) -> None:
    """Create invoices at a node for this time; print the figures."""
    took: list[float] = []

    async def one_by_one() -> None:
        reader, writer = await asyncio.open_unix_connection(socket)
        for number in range(sys.maxsize):
            if (now := time.monotonic()) - started > seconds:
                break
            params = {
                "amount_msat": 5000, "label": f"floor-{time.time_ns()}-{id(writer)}-{number}",
                "description": "a coffee", "expiry": 3600,
            }  # fmt: skip
            call = {"jsonrpc": "2.0", "id": f"floor#{number}", "method": "invoice", "params": params}
            writer.write(json.dumps(call).encode())
            reply = json.loads(await reader.readuntil(b"\n\n"))
            if "error" in reply:
                raise SystemExit(f"the node cannot create an invoice: {reply['error']}")
            took.append(time.monotonic() - now)
        writer.close()

    before = _cpu_seconds()
    started = time.monotonic()
    await asyncio.gather(*(one_by_one() for _ in range(connections)))
    _say_cost(took, time.monotonic() - started, _cpu_seconds() - before)


async def post(url: str, seconds: float) -> None:
    """Post an event to a receiver one by one for this time; print the figures."""
    took: list[float] = []
    event = {
        "id": "evt_" + "0" * 21,
        "sequence": 1,
        "data": {"invoiceid": "0" * 21, "description": "a coffee" * 60},
    }
    body = json.dumps(event).encode()
    async with aiohttp.ClientSession() as session:
        before = _cpu_seconds()
        started = time.monotonic()
        while (now := time.monotonic()) - started < seconds:
            async with session.post(url, data=body) as response:
                await response.read()
            took.append(time.monotonic() - now)
        _say_cost(took, time.monotonic() - started, _cpu_seconds() - before)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _say_cost(took: list[float], seconds: float, cpu_seconds: float) -> None:
    figures = Load([each * 1000 for each in took], seconds, cpu_seconds).figures()
    figures["cpu_us_floor"] = figures.pop("cpu_us_client")
    _say(json.dumps(figures))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            uvloop.run(serve())
        case ["commit", file, seconds]:
            commit(file, float(seconds))
        case ["post", url, seconds]:
            uvloop.run(post(url, float(seconds)))
        case ["node", socket, seconds, connections]:
            uvloop.run(node(socket, float(seconds), int(connections)))
