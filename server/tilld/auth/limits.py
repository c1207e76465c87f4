"""What each key may have at once, and how fast, so that none takes it all. Of this process alone."""

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

# Whatever is open may end at any time.
RETRY_SECONDS = 10.0

# A create waits its turn for so long; who would have to wait longer is refused.
PATIENCE_SECONDS = 1.0

# So many refusals are immediate, and so many more each second; the others take a second or two. A refusal
# costs what a read does, so a caller that retries without a pause would leave others no processor. Its calls
# in flight are as many without this pause: it sends the next one when this one is refused. If the pauses were
# all alike, all would end at the same moment.
REFUSALS_AT_ONCE = 100
REFUSALS_PER_SECOND = 10
FLOOD_SECONDS = (1.0, 2.0)

# A key's open invoices are counted so often at most; between, each new one counts, and none that has ended.
COUNTED_SECONDS = 0.05

# A watch token is for a payer, who may have a few tabs open.
WATCHES_OF_A_TOKEN = 20


@dataclass(frozen=True, slots=True)
class Allowance:
    """What each key may have. Those who call without one have it together."""

    creates_per_second: float = 100
    open_invoices: int = 10_000
    watches: int = 10_000


class Limits:
    """Holds callers to their allowance."""

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
        self._open: dict[str, tuple[float, int]] = {}
        self._creates: Counter[str] = Counter()
        # By a token, as well by the id of its invoice.
        self._watches: Counter[str] = Counter()

    async def turn(self, caller: Caller) -> None:
        """Wait until the caller may create an invoice: what a second has earned at once, then one by one.

        Raises TooMany where it would have to wait for long.
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
        """Create an invoice for as long as the context lasts; `count` tells how many are open already.

        Raises TooMany.
        """
        key, most = caller.key_id, self._allowance.open_invoices
        with _Counted(self._creates, key):
            if await self._open_invoices(key, count) <= most:
                yield
                return
        await self._refuse(
            key, f"too many open invoices ({most} per key); wait until some are paid or expired"
        )

    async def may_watch(self, caller: Caller) -> None:
        """Make sure that the caller may open one more watch.

        Raises TooMany.
        """
        key, token, most = caller.key_id, caller.invoice_id, self._allowance.watches
        if self._watches[key] >= most:
            await self._refuse(key, f"too many watches ({most} per key); close one")
        if token and self._watches[token] >= WATCHES_OF_A_TOKEN:
            await self._refuse(key, f"too many watches ({WATCHES_OF_A_TOKEN} per watch token); close one")

    def watching(self, caller: Caller) -> AbstractContextManager[None]:
        """Count a watch for as long as the context lasts."""
        token = caller.invoice_id
        return _Counted(self._watches, caller.key_id, *((token,) if token else ()))

    @property
    def busy(self) -> set[str]:
        """Who creates or watches now: keys, and the invoices of tokens."""
        return {*self._creates, *self._watches}

    async def _open_invoices(self, key: str, count: Callable[[], Awaitable[int]]) -> int:
        """How many of a key's invoices are open or on their way, one of which has just been added."""
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
    """Counts names for as long as the context lasts. There are thousands, so it is small."""

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
