"""What shall go on for ever, whatever fails."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from tilld.config import USUAL, Pauses
from tilld.errors import TillError

log = structlog.get_logger()

# Work that fails later than any time-out of the node's has made progress before.
TIME_OUT_SECONDS = 30.0


async def retry_forever(name: str, work: Callable[[], Awaitable[None]], pauses: Pauses = USUAL.retry) -> None:
    """Do it, and again after every failure, until cancelled; `name` is what the log calls it.

    The pause grows to its longest also where each try takes time before it fails.
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
                log.warning(f"{name} the node was interrupted; trying again", reason=told)
        except Exception:
            log.exception(f"{name} the node failed; trying again")
        if time.monotonic() - started > max(pauses.longest, TIME_OUT_SECONDS):
            pause, told = pauses.first, ""
        await asyncio.sleep(pause)
        pause = min(2 * pause, pauses.longest)
