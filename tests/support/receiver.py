"""A receiver of webhooks: an HTTP server that records requests, and answers as a test says."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import NamedTuple, Self

from tests.support.shop import ANY_PORT


class Delivery(NamedTuple):
    """A request: its first line, its headers with names in lower case, and its body."""

    line: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Takes webhooks at an address that is known before it listens.

    answers: the statuses and headers of the next answers; afterwards it answers 204.
    arrived: called with each delivery before its answer. may_answer: answers wait for it.
    """

    def __init__(self) -> None:
        # Bound, but not listening, so that connections are refused.
        self._socket = socket.socket()
        self._socket.bind(ANY_PORT)
        self._server: asyncio.Server | None = None
        self.address = "{}:{}".format(*self._socket.getsockname())
        self.url = f"http://localhost:{self._socket.getsockname()[1]}/hook?shop=1"
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
        self.arrived: Callable[[Delivery], None] = lambda _: None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def listen(self) -> None:
        """Begin to accept connections."""
        self._server = await asyncio.start_server(self._accept, sock=self._socket)

    async def next(self) -> Delivery:
        """Return the next delivery."""
        async with asyncio.timeout(20):
            return await self.deliveries.get()

    def all(self) -> list[Delivery]:
        """Return all deliveries that arrived since the last call."""
        return [self.deliveries.get_nowait() for _ in range(self.deliveries.qsize())]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in fields)}
        body = await reader.readexactly(int(headers["content-length"]))
        delivery = Delivery(line, headers, body)
        self.deliveries.put_nowait(delivery)
        self.arrived(delivery)
        await self.may_answer.wait()
        status, more = self.answers.pop(0) if self.answers else (204, {})
        answer = {"content-length": "0", "connection": "close"} | more
        told = "".join(f"{name}: {value}\r\n" for name, value in answer.items())
        writer.write(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{told}\r\n".encode())
        await writer.drain()
        writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End, and release the address."""
        if self._server:
            self._server.close()
        self._socket.close()


@asynccontextmanager
async def receiver(*answers: tuple[int, dict[str, str]]) -> AsyncIterator[Receiver]:
    """Run a receiver that first gives these answers."""
    async with Receiver() as running:
        running.answers = list(answers)
        await running.listen()
        yield running
