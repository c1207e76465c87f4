"""Two simulated nodes, each a peer of the other; a test can hold the requests between them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

from lightningd_simulator import Simulator
from lightningd_simulator.peers import MessageLimit
from tests.support.clock import Clock


class Way:
    """A proxy socket for a node; requests of a held method wait until their release."""

    def __init__(self, rpc_file: Path) -> None:
        self.rpc_file = rpc_file
        self.held: str | None = None
        self.waiting = asyncio.Semaphore(0)
        self._released = asyncio.Event()
        self._forwarding: set[asyncio.Task[None]] = set()

    def hold(self, method: str) -> None:
        self.held = method
        self._released.clear()

    def release(self) -> None:
        self.held = None
        self._released.set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._forwarding.add(asyncio.create_task(self._forward(reader, writer)))

    async def close(self) -> None:
        """Cancel what is still forwarded, so that no connection outlives its test."""
        for task in self._forwarding:
            task.cancel()
        await asyncio.gather(*self._forwarding, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(OSError, EOFError):
            await self._exchange(reader, writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A payment in flight arrives even if its sender is killed: read the request before it is held.
        request = await reader.readuntil(b"}}")
        if json.loads(request)["method"] == self.held:
            self.waiting.release()
            await self._released.wait()
        replies, requests = await asyncio.open_unix_connection(self.rpc_file)
        with closing(requests):
            requests.write(request)
            writer.write(await replies.readuntil(b"\n\n"))


class Pair:
    """Node a creates the invoice requests, node b answers them. Both have the same message limit."""

    def __init__(self, directory: Path, clock: Clock, message_limit: MessageLimit | None = None) -> None:
        self._directory = directory
        self._clock = clock
        self._message_limit = message_limit
        self._running: dict[str, AsyncExitStack] = {}
        self.ways = {name: Way(self.rpc_file(name)) for name in "ab"}
        self.nodes: dict[str, Simulator] = {}

    def rpc_file(self, name: str) -> Path:
        return self._directory / name

    def way_to(self, name: str) -> Path:
        return self._directory / f"to-{name}"

    async def start(self, name: str) -> None:
        other = {"a": "b", "b": "a"}[name]
        stack = self._running[name] = AsyncExitStack()
        self.nodes[name] = await stack.enter_async_context(
            Simulator(
                self.rpc_file(name),
                self._directory / f"{name}.jsonl",
                self._clock,
                peers=[self.way_to(other)],
                message_limit=self._message_limit,
            )
        )

    async def kill(self, name: str) -> None:
        await self._running.pop(name).aclose()

    def pass_time(self, seconds: float) -> None:
        self._clock.now += seconds
        for name in self._running:
            self.nodes[name].expire_due()

    async def close(self) -> None:
        for name in list(self._running):
            await self.kill(name)


@asynccontextmanager
async def pair_of_nodes(
    directory: Path, clock: Clock, message_limit: MessageLimit | None = None
) -> AsyncIterator[Pair]:
    pair = Pair(directory, clock, message_limit)
    servers = [
        await asyncio.start_unix_server(way.accept, pair.way_to(name)) for name, way in pair.ways.items()
    ]
    try:
        for name in "ab":
            await pair.start(name)
        yield pair
    finally:
        await pair.close()
        for server in servers:
            server.close()
        for way in pair.ways.values():
            await way.close()
