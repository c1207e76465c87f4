"""Group commit: items that arrive during a write form the next batch."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import Any, Generic, TypeVar

from tilld.config import USUAL, Intervals
from tilld.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH = 500


class GroupCommit(Generic[Item, Result]):
    """Passes items to `commit` in batches, one batch at a time. A lone item does not wait."""

    def __init__(
        self, commit: Callable[[list[Item]], Awaitable[list[Result]]], intervals: Intervals = USUAL
    ) -> None:
        self._commit = commit
        self._gather_seconds = intervals.gather_seconds
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None
        self._expected = 0
        self._all_here = asyncio.Event()

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Announce, while the context is open, that an item is about to arrive."""
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1
            if not self._expected:
                self._all_here.set()

    async def add(self, item: Item) -> Result:
        """Write an item; return once it is durable, or raise the error of its commit."""
        written: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, written))
        if self._task is None:
            # An empty context, since a batch serves many callers.
            self._task = asyncio.create_task(self._write(), context=Context())
        return await written

    async def _write(self) -> None:
        while self._waiting:
            await self._gather()
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            try:
                await self._write_batch(batch)
            except Unavailable as reason:
                # The other rows would fail in the same way, one after another.
                for each in batch:
                    _fail(each, reason)
            except Exception:
                # One bad row must not fail the others.
                for each in batch:
                    await self._write_alone(each)
        self._task = None

    async def _gather(self) -> None:
        """Wait briefly for announced items; a lone item does not wait."""
        if not self._expected and len(self._waiting) == 1:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._gather_seconds):
                # Under load, the next iteration of the loop may announce further items.
                await asyncio.sleep(0)
                while self._expected:
                    self._all_here.clear()
                    await self._all_here.wait()
                    await asyncio.sleep(0)

    async def _write_batch(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        results = await self._commit([item for item, _ in batch])
        for (_, written), result in zip(batch, results, strict=True):
            if not written.done():
                written.set_result(result)

    async def _write_alone(self, each: tuple[Item, asyncio.Future[Result]]) -> None:
        try:
            await self._write_batch([each])
        except Exception as reason:
            _fail(each, reason)


def _fail(each: tuple[Any, asyncio.Future[Any]], reason: Exception) -> None:
    if not each[1].done():
        each[1].set_exception(reason)
