"""Limits of each key on rates and concurrent use, within this process."""

import asyncio
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

from tilld.auth.caller import Caller
from tilld.auth.token_bucket import TokenBucket
from tilld.errors import TooMany

# An open invoice or watch may end at any time.
RETRY_SECONDS = 10.0

# The longest wait of a create. Creates that would wait longer are rejected.
PATIENCE_SECONDS = 1.0

# The burst and the rate of immediate rejections. Further rejections are delayed by FLOOD_SECONDS. A rejection
# costs as much as a read, so a caller that retries without pause would use up the processor. The delay does
# not add calls in flight: such a caller sends the next call after the rejection. Random delays keep the
# retries of many callers apart.
REFUSALS_AT_ONCE = 100
REFUSALS_PER_SECOND = 10
FLOOD_SECONDS = (1.0, 2.0)

# Tests of webhooks, with which a caller makes Till send something to a URL.
TESTS_AT_ONCE = 5
TESTS_PER_SECOND = 1

# The interval between counts of a key's open invoices. In between, each create adds one, and ended ones are
# ignored.
COUNTED_SECONDS = 0.05

# A watch token is for a payer, who may have several tabs open.
WATCHES_OF_A_TOKEN = 20


@dataclass(frozen=True, slots=True)
class Allowance:
    """The limits of each key. Callers without a key share one allowance."""

    creates_per_second: float = 100
    open_invoices: int = 10_000
    watches: int = 10_000
    exports: int = 4


class Limits:
    """Enforces the allowance of each key."""

    def __init__(
        self,
        allowance: Allowance,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._allowance = allowance
        self._clock = clock
        self._sleep = sleep
        rate = allowance.creates_per_second
        self._creating = defaultdict[str, TokenBucket](lambda: TokenBucket(max(rate, 1.0), rate, clock))
        self._refusing = defaultdict[str, TokenBucket](
            lambda: TokenBucket(REFUSALS_AT_ONCE, REFUSALS_PER_SECOND, clock)
        )
        self._testing = defaultdict[str, TokenBucket](
            lambda: TokenBucket(TESTS_AT_ONCE, TESTS_PER_SECOND, clock)
        )
        self._open: dict[str, tuple[float, int]] = {}
        self._creates: Counter[str] = Counter()
        # Watches by a token are also counted by the id of its invoice.
        self._watches: Counter[str] = Counter()
        self._exports: Counter[str] = Counter()

    async def turn(self, caller: Caller) -> None:
        """Wait until the caller may create an invoice: a burst passes immediately, the rest at a steady rate.

        Raises TooMany if the wait would be too long.
        """
        key, rate = caller.key_id, self._allowance.creates_per_second
        wait = self._creating[key].take(PATIENCE_SECONDS)
        if wait > PATIENCE_SECONDS:
            await self._refuse(
                key, f"rate limit exceeded ({rate:g} creates per second and key); wait {wait:.2f} s", wait
            )
        if wait > 0:
            await self._sleep(wait)

    @asynccontextmanager
    async def creating(self, caller: Caller, count: Callable[[], Awaitable[int]]) -> AsyncIterator[None]:
        """Count a create while the context is open; `count` returns how many invoices are open.

        Raises TooMany.
        """
        key, most = caller.key_id, self._allowance.open_invoices
        with _Counted(self._creates, key):
            if await self._open_invoices(key, count) <= most:
                yield
                return
        await self._refuse(
            key,
            f"too many open invoices ({most} per key); wait until some are paid or expire, or cancel some",
        )

    async def may_watch(self, caller: Caller) -> None:
        """Check that the caller may open another watch.

        Raises TooMany.
        """
        key, token, most = caller.key_id, caller.invoice_id, self._allowance.watches
        if self._watches[key] >= most:
            await self._refuse(key, f"too many watches ({most} per key); close one")
        if token and self._watches[token] >= WATCHES_OF_A_TOKEN:
            await self._refuse(key, f"too many watches ({WATCHES_OF_A_TOKEN} per watch token); close one")

    async def may_test(self, caller: Caller) -> None:
        """Check that the caller may send a test of a webhook.

        Raises TooMany.
        """
        key = caller.key_id
        if wait := self._testing[key].take(0.0):
            await self._refuse(key, "too many tests of webhooks; wait a second", wait)

    def watching(self, caller: Caller) -> AbstractContextManager[None]:
        """Count a watch while the context is open."""
        token = caller.invoice_id
        return _Counted(self._watches, caller.key_id, *((token,) if token else ()))

    @asynccontextmanager
    async def exporting(self, caller: Caller) -> AsyncIterator[None]:
        """Count an export or a report while the context is open.

        Raises TooMany.
        """
        key, most = caller.key_id, self._allowance.exports
        if self._exports[key] >= most:
            await self._refuse(
                key, f"too many exports and reports ({most} per key); wait until one has ended"
            )
        with _Counted(self._exports, key):
            yield

    @property
    def exports(self) -> int:
        """The number of exports and reports in progress."""
        return self._exports.total()

    @property
    def busy(self) -> set[str]:
        """The keys that create, watch or export, and the invoices whose tokens watch."""
        return {*self._creates, *self._watches, *self._exports}

    async def _open_invoices(self, key: str, count: Callable[[], Awaitable[int]]) -> int:
        """Return how many invoices of a key are open or in flight, including a new one."""
        counted_at, open_invoices = self._open.get(key, (-math.inf, 0))
        open_invoices += 1
        now = self._clock()
        if now >= counted_at + COUNTED_SECONDS or open_invoices > self._allowance.open_invoices:
            counted_at, open_invoices = now, await count() + self._creates[key]
        self._open[key] = counted_at, open_invoices
        return open_invoices

    async def _refuse(self, key: str, message: str, retry_seconds: float = RETRY_SECONDS) -> NoReturn:
        if self._refusing[key].take(0.0) > 0:
            await self._sleep(random.uniform(*FLOOD_SECONDS))  # noqa: S311
        raise TooMany(message, retry_seconds)


class _Counted:
    """Counts names while the context is open. Slots, since thousands exist."""

    __slots__ = ("_counter", "_names")

    def __init__(self, counter: Counter[str], *names: str) -> None:
        self._counter = counter
        self._names = names

    def __enter__(self) -> None:
        self._counter.update(self._names)

    def __exit__(self, *_: object) -> None:
        self._counter.subtract(self._names)
        for name in self._names:
            if not self._counter[name]:
                del self._counter[name]
