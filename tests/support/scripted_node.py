"""A lightningd that answers as a test tells it: for what the simulated one never does."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.samples import NODE_ID

Request = dict[str, Any]
# What to send back, as it is; None: nothing; LastWords: and hang up.
Answer = Callable[[Request], Awaitable[bytes | None]]
Reply = Callable[[Request], bytes | None]

OTHER_ID = "03" + "cd" * 32
GETINFO = {
    "id": NODE_ID, "alias": "scripted", "color": "02abab", "num_peers": 0, "num_pending_channels": 0,
    "num_active_channels": 0, "num_inactive_channels": 0, "version": "v26", "blockheight": 0,
    "network": "regtest", "fees_collected_msat": 0,
}  # fmt: skip


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


def answering(**answers: Reply) -> Answer:
    """Answers by method; a method that has none is never answered."""

    async def answer(request: Request) -> bytes | None:
        known: dict[str, Reply] = {"getinfo": lambda request: result(request, GETINFO)} | answers
        return known[request["method"]](request) if request["method"] in known else None

    return answer


def replacing(**answers: Callable[[Request], bytes]) -> Answer:
    """Answers of a node that is replaced once it has answered one of these."""
    replaced = asyncio.Event()

    def last(method: str) -> Reply:
        def answer(request: Request) -> bytes:
            replaced.set()
            # What makes no sense ends the connection.
            return answers[method](request) + b"bye\n\n"

        return answer

    def getinfo(request: Request) -> bytes:
        return result(request, GETINFO | {"id": OTHER_ID} if replaced.is_set() else GETINFO)

    return answering(**{method: last(method) for method in answers}, getinfo=getinfo)
