"""Posts webhooks over HTTP: one post is one attempt with one outcome."""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ssl import SSLContext
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from tilld.config import USUAL, Intervals
from tilld.errors import InvalidRequest, TooLarge
from tilld.formats.times import DAY_SECONDS, Clock, utc_now
from tilld.webhooks.http.targets import NOT_ALLOWED, Targets, checked_url

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

    from tilld.webhooks.http.transport import Transport

# Most seconds that a receiver can ask Till to wait: the longest pause of the schedule.
MAX_RETRY_AFTER = DAY_SECONDS

URLS_KEPT = 1000

_is_seconds = re.compile("[0-9]+").fullmatch


class Outcome(NamedTuple):
    """The outcome of an attempt.

    `error` is for the shop's owner, and empty after a success. It contains nothing of the answer's body.
    `retry_after`, in seconds, is what an answer of 429 or 503 asks for. `seconds` is the time to the answer.
    """

    status: int | None
    error: str
    retry_after: float | None
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Return whether the receiver has accepted the webhook."""
        return self.status is not None and 200 <= self.status <= 299


class HttpClient:
    """Posts to allowed targets. Connections are kept for the next posts.

    `resolver` replaces the system's, and `tls` the context that trusts the system's CAs.
    """

    def __init__(
        self,
        targets: Targets,
        intervals: Intervals = USUAL,
        clock: Clock = utc_now,
        resolver: "AbstractResolver | None" = None,
        tls: SSLContext | None = None,
    ) -> None:
        self._targets = targets
        # Checking a URL takes longer than signing the body. Addresses are checked at each connection.
        self._checked = lru_cache(URLS_KEPT)(lambda url: checked_url(url, targets))
        self._intervals = intervals
        self._clock = clock
        self._resolver = resolver
        self._tls = tls
        self._transport: Transport | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Post a JSON body to the URL of an endpoint, and return the outcome.

        The status decides it, even if the answer's body never ends.
        """
        limit = self._intervals.webhook_seconds
        transport = self._transport or await self._open_transport()
        start = monotonic()
        try:
            async with asyncio.timeout(limit) as time_out:
                answer = await transport.post(self._checked(url), headers, body)
        except (InvalidRequest, TooLarge):
            error = NOT_ALLOWED
        except TimeoutError:
            error = f"timed out after {limit:g} s"
        except ConnectionError as failure:
            error = str(failure)
        else:
            seconds = monotonic() - start
            now = asyncio.get_running_loop().time()
            await answer.discard_body(min(time_out.when() or now, now + self._intervals.webhook_body_seconds))
            return self._outcome(answer.status, answer.retry_after, seconds)
        return Outcome(None, error, None, monotonic() - start)

    async def close(self) -> None:
        """Close all connections. Posts in flight fail."""
        if self._transport:
            await self._transport.close()

    def _outcome(self, status: int, wait: str | None, seconds: float) -> Outcome:
        if 200 <= status <= 299:
            error = ""
        elif 300 <= status <= 399:
            error = "redirected; webhooks do not follow redirects"
        else:
            error = f"status {status}"
        asked = retry_after(wait, self._clock()) if status in (429, 503) else None
        return Outcome(status, error, asked, seconds)

    async def _open_transport(self) -> "Transport":
        # aiohttp takes 80 ms and 8 MiB, so it is imported for the first webhook, and not in the event loop.
        transport = await asyncio.to_thread(_transport)
        if self._transport is None:
            idle_seconds = self._intervals.webhook_idle_seconds
            self._transport = transport(self._targets, idle_seconds, self._resolver, self._tls)
        return self._transport


def _transport() -> "type[Transport]":
    from tilld.webhooks.http.transport import Transport

    return Transport


def retry_after(text: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, at most a day, or None if it is invalid."""
    if text is None:
        return None
    if _is_seconds(text):
        # int() rejects a text of thousands of digits.
        return float(min(int(text[:9]), MAX_RETRY_AFTER))
    try:
        seconds = (parsedate_to_datetime(text) - now).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
