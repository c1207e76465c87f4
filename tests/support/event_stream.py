"""Reads the stream of events over REST."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.shop import Shop

STREAM = "/lightning/events/stream"


@asynccontextmanager
async def streaming(
    shop: Shop, query: str = "", headers: dict[str, str] | None = None
) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    """Yield the messages of a stream as they arrive, each as its fields; comments have the name ""."""
    async with shop.rest.stream("GET", STREAM + query, headers=headers) as reply:
        if reply.status_code != 200:
            await reply.aread()
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"] == "text/event-stream"
        assert reply.headers["cache-control"] == "no-cache, no-transform"
        yield messages(reply)


async def messages(reply: httpx.Response) -> AsyncIterator[dict[str, str]]:
    fields: dict[str, str] = {}
    async for line in reply.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            yield fields
            fields = {}


async def events(stream: AsyncIterator[dict[str, str]], count: int) -> list[Any]:
    """Return the next events. Each message has the sequence of its event as its id, and no name."""
    found: list[Any] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            message = await anext(stream)
            if "data" in message:
                assert message.keys() == {"id", "data"}
                found.append(json.loads(message["data"]))
                assert message["id"] == str(found[-1]["sequence"])
    return found


def kinds(found: list[Any]) -> list[tuple[int, str]]:
    return [(each["sequence"], each["type"]) for each in found]
