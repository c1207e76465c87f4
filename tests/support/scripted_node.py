"""A lightningd that answers as a test tells it: for what the simulated one never does."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Request = dict[str, Any]
# What to send back, as it is; None: nothing; LastWords: and hang up.
Answer = Callable[[Request], Awaitable[bytes | None]]


class LastWords(bytes):
    """An answer after which the node closes the connection."""


def result(request: Request, value: Any) -> bytes:
    """A good reply to a request."""
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": value}).encode() + b"\n\n"


def error(request: Request, code: int, message: str) -> bytes:
    """An error in reply to a request."""
    reply = {"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}
    return json.dumps(reply).encode() + b"\n\n"


async def ask(rpc_file: Path, request: Request) -> bytes:
    """Hand a request on to a node; returns the reply as it came."""
    reader, writer = await asyncio.open_unix_connection(rpc_file, limit=2**26)
    try:
        writer.write(json.dumps(request, ensure_ascii=False).encode())
        return await reader.readuntil(b"\n\n")
    finally:
        writer.close()


@asynccontextmanager
async def scripted_node(rpc_file: Path, answer: Answer) -> AsyncIterator[None]:
    """Listen on a socket for as long as the context lasts; a request is answered when its answer is there."""
    answering: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        text = ""
        while chunk := await reader.read(65536):
            text += chunk.decode()
            while text.startswith("{"):
                request, end = json.JSONDecoder().raw_decode(text)
                text = text[end:]
                answering.add(asyncio.create_task(respond(request, writer)))

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        reply = await answer(request)
        if reply is not None:
            writer.write(reply)
        if isinstance(reply, LastWords):
            writer.close()

    server = await asyncio.start_unix_server(serve, rpc_file)
    try:
        yield
    finally:
        server.close()
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
