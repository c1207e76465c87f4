"""What shall go on for ever, whatever fails."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from tilld.errors import TillError

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
# Work that fails later than any time-out of the node's has made progress before.
TIME_OUT_SECONDS = 30.0


async def retry_forever(
    name: str, work: Callable[[], Awaitable[None]], longest_pause: float = LONGEST_PAUSE_SECONDS
) -> None:
    """Do it, and again after every failure, until cancelled; `name` is what the log calls it.

    The pause grows to `longest_pause` seconds, also where each try takes time before it fails.
    """
    pause = FIRST_PAUSE_SECONDS
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
        if time.monotonic() - started > max(longest_pause, TIME_OUT_SECONDS):
            pause, told = FIRST_PAUSE_SECONDS, ""
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest_pause)
