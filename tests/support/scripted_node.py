"""A lightningd whose replies a test writes, for replies that the simulated one never sends."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.samples import NODE_ID

Request = dict[str, Any]
# Returns the bytes to send; None sends nothing, LastWords also closes the connection.
Answer = Callable[[Request], Awaitable[bytes | None]]
Reply = Callable[[Request], bytes | None]

OTHER_ID = "03" + "cd" * 32
GETINFO = {
    "id": NODE_ID, "alias": "scripted", "color": "02abab", "num_peers": 0, "num_pending_channels": 0,
    "num_active_channels": 0, "num_inactive_channels": 0, "version": "v26", "blockheight": 0,
    "network": "regtest", "fees_collected_msat": 0,
}  # fmt: skip


class LastWords(bytes):
    """A reply after which the node closes the connection."""


def result(request: Request, value: Any) -> bytes:
    """Return a reply with a result."""
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": value}).encode() + b"\n\n"


def error(request: Request, code: int, message: str) -> bytes:
    """Return a reply with an error."""
    reply = {"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}
    return json.dumps(reply).encode() + b"\n\n"


async def ask(rpc_file: Path, request: Request) -> bytes:
    """Forward a request to a node; return its reply as raw bytes."""
    reader, writer = await asyncio.open_unix_connection(rpc_file, limit=2**26)
    try:
        writer.write(json.dumps(request, ensure_ascii=False).encode())
        return await reader.readuntil(b"\n\n")
    finally:
        writer.close()


@asynccontextmanager
async def scripted_node(rpc_file: Path, answer: Answer) -> AsyncIterator[None]:
    """Listen on a socket until the context ends; requests are answered concurrently."""
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


def answering(**answers: Reply) -> Answer:
    """Return an answer that looks up the reply by method; other methods get no reply."""

    async def answer(request: Request) -> bytes | None:
        known: dict[str, Reply] = {"getinfo": lambda request: result(request, GETINFO)} | answers
        return known[request["method"]](request) if request["method"] in known else None

    return answer


def replacing(**answers: Callable[[Request], bytes]) -> Answer:
    """Return an answer as `answering`; after the first of these methods another node is there."""
    replaced = asyncio.Event()

    def last(method: str) -> Reply:
        def answer(request: Request) -> bytes:
            replaced.set()
            # tilld closes a connection when a reply is malformed.
            return answers[method](request) + b"bye\n\n"

        return answer

    def getinfo(request: Request) -> bytes:
        return result(request, GETINFO | {"id": OTHER_ID} if replaced.is_set() else GETINFO)

    return answering(**{method: last(method) for method in answers}, getinfo=getinfo)
