"""The HTTP client of webhooks, with DNS for tests."""

import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from tilld.config import Intervals
from tilld.webhooks.http.client import HttpClient
from tilld.webhooks.http.targets import Targets


class FixedResolver(AbstractResolver):
    """Answers each lookup with the next of these lists of addresses, and then always with the last one."""

    def __init__(self, *answers: Iterable[str]) -> None:
        self._answers: Iterator[Iterable[str]] = iter(answers)
        self._last: Iterable[str] = ()
        self.lookups = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the next addresses, whatever the host."""
        self.lookups += 1
        self._last = next(self._answers, self._last)
        return [
            ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0)
            for each in self._last
        ]

    async def close(self) -> None:
        """Do nothing."""


@asynccontextmanager
async def http_client(opened: Iterable[str], intervals: Intervals, **more: Any) -> AsyncIterator[HttpClient]:
    """Run a client that may reach these hosts and networks besides public addresses."""
    client = HttpClient(Targets.of(opened), intervals, **more)
    try:
        yield client
    finally:
        await client.close()
