"""What each key may have at once, and how fast, so that none takes it all. Of this process alone."""

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tilld.errors import TooMany
from tilld.key import Caller

Key = TypeVar("Key", bound=Hashable)

# Whatever is open may end at any time.
RETRY_SECONDS = 10.0

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

    def __init__(self, allowance: Allowance, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowance = allowance
        self._clock = clock
        self._next_create: dict[str, float] = {}
        self._creates: Counter[str] = Counter()
        self._watches: Counter[str] = Counter()
        self._watches_by_token: Counter[str] = Counter()

    @contextmanager
    def creating(self, caller: Caller, open_invoices: int) -> Iterator[None]:
        """Create an invoice, besides the caller's open ones, for as long as the context lasts.

        Raises TooMany.
        """
        key, most = caller.key_id, self._allowance.open_invoices
        if open_invoices + self._creates[key] >= most:
            raise TooMany(
                f"{most} of the key's invoices are open: wait until one is paid or expired", RETRY_SECONDS
            )
        self._pace(key)
        with _counted(self._creates, key):
            yield

    @contextmanager
    def watching(self, caller: Caller) -> Iterator[None]:
        """Watch an invoice for as long as the context lasts.

        Raises TooMany.
        """
        key, token, most = caller.key_id, caller.invoice_id or "", self._allowance.watches
        if self._watches[key] >= most:
            raise TooMany(f"{most} of the key's watches are open: end one", RETRY_SECONDS)
        if token and self._watches_by_token[token] >= WATCHES_OF_A_TOKEN:
            raise TooMany(f"{WATCHES_OF_A_TOKEN} watches by this token are open: end one", RETRY_SECONDS)
        with _counted(self._watches, key), _counted(self._watches_by_token, token):
            yield

    def _pace(self, key: str) -> None:
        """Let what a second has earned pass at once, and then one after the other (a token bucket)."""
        now, pause = self._clock(), 1 / self._allowance.creates_per_second
        due = max(self._next_create.get(key, 0.0), now - max(1.0, pause) + pause)
        if due > now:
            rate = f"{self._allowance.creates_per_second:g}"
            raise TooMany(f"a key may create {rate} invoices a second: wait {due - now:.2f} s", due - now)
        self._next_create[key] = due + pause


@contextmanager
def _counted(counter: Counter[Key], key: Key) -> Iterator[None]:
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]
