"""Thousands of watchers, over gRPC, and over server-sent events as in browsers."""

import asyncio
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from benchmarks.http2 import OK, Connection
from benchmarks.load import Call, connect
from tilld.errors import OperatorError

CONNECTIONS = 100
PATIENCE_SECONDS = 60.0


class _Told:
    """Counts the watches that have begun with a state, and records the times of later changes."""

    def __init__(self) -> None:
        self.opened = 0
        self.refused = 0
        self._times: list[float] = []
        self._changed = asyncio.Event()

    def first(self) -> None:
        self.opened += 1
        self._changed.set()

    def again(self) -> None:
        self._times.append(time.monotonic())
        self._changed.set()

    def refuse(self) -> None:
        self.refused += 1
        self._changed.set()

    async def until_open(self, count: int) -> None:
        """Wait until this many watches are open or refused in total."""
        await self._until(lambda: self.opened + self.refused >= count, f"{count} watches did not begin")

    async def told(self, count: int) -> list[float]:
        """Wait for this many changes; return and forget their monotonic times."""
        await self._until(lambda: len(self._times) >= count, f"{count} changes did not arrive")
        times, self._times = self._times[:count], self._times[count:]
        return times

    async def _until(self, is_so: Callable[[], bool], otherwise: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not is_so():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise OperatorError(f"{otherwise} in {PATIENCE_SECONDS:.0f} s") from None


class Watchers(_Told):
    """Watches over gRPC, spread over 100 connections."""

    def __init__(self, address: str, key: str) -> None:
        super().__init__()
        self._address = address
        self._key = key
        self._connections: list[Connection] = []

    async def open(self, calls: Sequence[Call]) -> None:
        """Open watches in a burst, and wait for the first state of each."""
        before = self.opened + self.refused
        each = [calls[start::CONNECTIONS] for start in range(min(CONNECTIONS, len(calls)))]
        connections = [await self._connect() for _ in each]
        for connection, share in zip(connections, each, strict=True):
            connection.write(b"".join(connection.call(*call)[1] for call in share))
        self._connections += connections
        await self.until_open(before + len(calls))

    def close(self) -> None:
        """Close all watches."""
        for connection in self._connections:
            connection.close()

    async def _connect(self) -> Connection:
        seen: set[int] = set()

        def on_message(stream: int) -> None:
            if stream in seen:
                self.again()
            else:
                seen.add(stream)
                self.first()

        def on_end(stream: int, status: str) -> None:
            if stream not in seen:
                self.refuse()
            elif status != OK:
                self.opened -= 1
                self.refuse()

        return await connect(self._address, self._key, on_end, on_message)


class Browsers(_Told):
    """Watches over server-sent events, each with its own connection."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__()
        self._where = urlsplit(url)
        self._key = key
        self._transports: list[asyncio.Transport] = []

    async def open(self, paths: Sequence[str]) -> None:
        """Open watches, 100 connections at a time, and wait for the first state of each."""
        before = self.opened + self.refused
        room = asyncio.Semaphore(CONNECTIONS)

        async def one(path: str) -> None:
            async with room:
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: _Browser(self), self._where.hostname or "", self._where.port or 0
                )
            lines = [
                f"GET {path} HTTP/1.1",
                f"Host: {self._where.netloc}",
                f"Authorization: Bearer {self._key}",
            ]
            transport.write("\r\n".join([*lines, "Accept: text/event-stream", "", ""]).encode())
            self._transports.append(transport)

        await asyncio.gather(*map(one, paths))
        await self.until_open(before + len(paths))

    def close(self) -> None:
        """Close all watches."""
        for transport in self._transports:
            transport.abort()


class _Browser(asyncio.Protocol):
    """An EventSource that only counts events."""

    def __init__(self, told: _Told) -> None:
        self._told = told
        self._events = 0

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"data:")):
            self._events += 1
            if self._events == 1:
                self._told.first()
            else:
                self._told.again()

    def connection_lost(self, reason: Exception | None) -> None:
        if not self._events:
            self._told.refuse()
