"""Retries a background task with exponential back-off until it is cancelled."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from tilld.config import USUAL, Pauses
from tilld.errors import TillError

log = structlog.get_logger()

# Work that fails later than the node's time-outs made progress before.
TIME_OUT_SECONDS = 30.0


async def retry_forever(name: str, work: Callable[[], Awaitable[None]], pauses: Pauses = USUAL.retry) -> None:
    """Run `work`, and retry it after each failure, until cancelled.

    `name` precedes "the node" in log events, such as "following" or "sweeping".
    The pause doubles with each failure, also if each try runs for up to 30 s before it fails.
    """
    pause = pauses.first
    told = ""
    while True:
        started = time.monotonic()
        try:
            await work()
        except TillError as reason:
            if reason.message != told:
                told = reason.message
                log.warning(f"{name} the node was interrupted; retrying", reason=told)
        except Exception:
            log.exception(f"{name} the node failed; retrying")
        if time.monotonic() - started > max(pauses.longest, TIME_OUT_SECONDS):
            pause, told = pauses.first, ""
        await asyncio.sleep(pause)
        pause = min(2 * pause, pauses.longest)
