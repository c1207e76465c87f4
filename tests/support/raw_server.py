"""A TCP server that speaks HTTP as a test says, down to its bytes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.support.loopback import HOSTS


class Wire:
    """The server's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> tuple[bytes, bytes]:
        """Return the head and the body of the next request. Raises IncompleteReadError at the end."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        (size,) = (each[16:] for each in head.lower().split(b"\r\n") if each.startswith(b"content-length: "))
        return head, await self.reader.readexactly(int(size))

    async def send(self, content: bytes) -> None:
        """Send bytes. Raises ConnectionError if the client has closed the connection."""
        self.writer.write(content)
        await self.writer.drain()

    async def until_closed(self) -> None:
        """Wait until the client closes the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Script = Callable[[Wire], Awaitable[None]]


class RawServer:
    """A server that runs a script for each connection."""

    def __init__(self, script: Script, host: str = HOSTS[0]) -> None:
        self._script = script
        self.host = host
        self.port = 0
        self.connections = 0
        # The connections whose script has ended, in the order of their ends.
        self.ended: asyncio.Queue[BaseException | None] = asyncio.Queue()

    @property
    def address(self) -> str:
        """The host and the port, as in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """A URL of the server."""
        return f"http://{self.address}/hook"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Run the script for a connection."""
        self.connections += 1
        end: BaseException | None = None
        try:
            await self._script(Wire(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError) as failure:
            end = failure
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self.ended.put_nowait(end)

    async def end(self) -> BaseException | None:
        """Wait until the script of a connection has ended. Return why it ended early, or None."""
        async with asyncio.timeout(20):
            return await self.ended.get()


@asynccontextmanager
async def raw_server(
    script: Script, host: str = HOSTS[0], port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Run a server, at a free port by default."""
    running = RawServer(script, host)
    server = await asyncio.start_server(running.accept, host, port, ssl=tls)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        await server.wait_closed()


def answering(*answers: bytes) -> Script:
    """Return a script that answers one request with each of these bytes, then closes the connection."""

    async def script(wire: Wire) -> None:
        for each in answers:
            await wire.request()
            await wire.send(each)

    return script


def always(answer: bytes) -> Script:
    """Return a script that gives the same answer to all requests of a connection."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(answer)

    return script


def http(status: int, *fields: str, body: bytes = b"") -> bytes:
    """Return an answer whose connection can be used again."""
    lines = "".join(f"{each}\r\n" for each in (*fields, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body
