"""Servers that are not Till: a port that never answers, a relay that falls silent."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

from tests.support.shop import ANY_PORT


@contextmanager
def silence() -> Iterator[str]:
    """Yield an address that neither accepts a connection nor refuses it, as behind a firewall."""
    with socket.create_server(ANY_PORT, backlog=0) as full:
        # The backlog has room for one connection, and this one is never accepted.
        with socket.create_connection(full.getsockname()):
            yield "{}:{}".format(*full.getsockname())


@contextmanager
def mute() -> Iterator[str]:
    """Yield an address that accepts connections and sends nothing."""
    with socket.create_server(ANY_PORT) as server:
        yield "{}:{}".format(*server.getsockname())


class Relay:
    """Forwards connections to an address, until they are muted."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._connections: set[asyncio.Task[None]] = set()
        # Set: the connections so far forward nothing more.
        self._muted = asyncio.Event()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        task = asyncio.create_task(self._pass_on(reader, writer, self._muted))
        self._connections.add(task)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, muted: asyncio.Event
    ) -> None:
        host, _, port = self._upstream.rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        with closing(writer), closing(back):
            await asyncio.gather(_copy(reader, back, muted), _copy(there, writer, muted))

    def mute(self) -> None:
        """Drop what open connections send from now on; forward new connections."""
        self._muted.set()
        self._muted = asyncio.Event()

    async def close(self) -> None:
        """End all connections."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, muted: asyncio.Event) -> None:
    while data := await reader.read(2**16):
        if not muted.is_set():
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def relay(upstream: str) -> AsyncIterator[tuple[str, Relay]]:
    """Run a Relay; yield its address and the Relay."""
    passing = Relay(upstream)
    server = await asyncio.start_server(passing.accept, *ANY_PORT)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname()), passing
    finally:
        server.close()
        await passing.close()
