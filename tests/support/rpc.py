"""A small client for lightningd's JSON-RPC that returns every reply unchanged."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Params = Mapping[str, Any] | Sequence[Any]
Reply = dict[str, Any]


class Rpc:
    """One connection; any number of requests may be in flight."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._arrived: dict[Any, Reply] = {}

    async def call(self, method: str, params: Params | None = None) -> Reply:
        """Send a request and wait for its reply: a result or an error."""
        return await self.reply_to(self.send(method, params))

    async def result(self, method: str, /, **params: Any) -> Any:
        """Call a method that must succeed, and return its result."""
        reply = await self.call(method, params)
        assert "result" in reply, reply
        return reply["result"]

    def send(self, method: str, params: Params | None = None) -> int:
        number = next(self._ids)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
        self.write(json.dumps(request, ensure_ascii=False).encode())
        return number

    async def start(self, method: str, /, **params: Any) -> int:
        """Send a request that blocks; return when the node has begun to serve it."""
        number = self.send(method, params)
        await self.call("getinfo")
        return number

    async def reply_to(self, number: int) -> Reply:
        while number not in self._arrived:
            reply = await self.next_reply()
            self._arrived[reply["id"]] = reply
        return self._arrived.pop(number)

    async def next_reply(self) -> Reply:
        """Return the next reply. Raise IncompleteReadError when the node closes the connection."""
        text = (await self._reader.readuntil(b"\n\n")).decode(errors="replace")
        reply: Reply = json.loads(text)
        return reply

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def end_input(self) -> None:
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def connected(rpc_file: Path) -> AsyncIterator[Rpc]:
    reader, writer = await asyncio.open_unix_connection(rpc_file, limit=2**26)
    rpc = Rpc(reader, writer)
    try:
        yield rpc
    finally:
        rpc.close()
