"""Waits for a condition that nothing announces."""

import asyncio
from collections.abc import Callable
from typing import Any


async def eventually(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Poll until a condition is true. Raise TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
