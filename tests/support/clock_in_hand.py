"""A clock that stands still until a test moves it, with waits that follow it."""

import asyncio
from datetime import datetime, timedelta


class ClockInHand:
    """A clock, and a function that waits for an event by this clock."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._moved = asyncio.Condition()
        self._dues: list[datetime] = []

    def __call__(self) -> datetime:
        return self._now

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for an event, until the clock has moved this far."""
        due = self._now + timedelta(seconds=seconds)
        waiting = asyncio.create_task(event.wait())
        moving = asyncio.create_task(self._until(due))
        try:
            await asyncio.wait([waiting, moving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (waiting, moving):
                task.cancel()
            await asyncio.wait([waiting, moving])

    async def move(self, **pause: float) -> None:
        """Move the clock, by the arguments of timedelta."""
        async with self._moved:
            self._now += timedelta(**pause)
            self._moved.notify_all()

    async def is_awaited_by(self, tasks: int) -> None:
        """Wait until so many tasks wait for the clock to move on."""
        async with asyncio.timeout(10), self._moved:
            await self._moved.wait_for(lambda: len([due for due in self._dues if due > self._now]) == tasks)

    async def _until(self, due: datetime) -> None:
        async with self._moved:
            self._dues.append(due)
            self._moved.notify_all()
            try:
                await self._moved.wait_for(lambda: self._now >= due)
            finally:
                self._dues.remove(due)
                self._moved.notify_all()
