"""AsyncClient works only in the event loop that created it, and its errors say so."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import till


def test_a_client_made_outside_a_loop_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="create it in a coroutine, or use till.Client"):
        till.AsyncClient()


@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.info(),
        lambda client: client.get_invoice("ID"),
        lambda client: anext(client.watch("ID")),
        lambda client: client.close(),
    ],
)
async def test_a_client_used_in_another_loop_says_what_to_do(
    address: str, use: Callable[[till.AsyncClient], Awaitable[Any]]
) -> None:
    async def used() -> Any:
        return await use(client)

    async with till.AsyncClient(address) as client:
        with pytest.raises(RuntimeError, match="create one in each loop"):
            await asyncio.to_thread(asyncio.run, used())
