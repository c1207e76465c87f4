"""Supervises the parts of a process, tasks and child processes: stops all when one fails."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import structlog

from tilld.config.service_manager import ServiceManager
from tilld.errors import OperatorError
from tilld.runtime import gc_pauses, open_files
from tilld.runtime.restarts import RestartedProcess
from tilld.runtime.systemd import Notifier

log = structlog.get_logger()


class Supervisor:
    """Starts its parts on entry, and stops them in reverse order on exit."""

    def __init__(self) -> None:
        self._parts = AsyncExitStack()
        self._lives: dict[asyncio.Task[Any], str] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._parts.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._parts.aclose()

    async def serve_until(self, ending: asyncio.Event) -> None:
        """Run until the event is set.

        Raises OperatorError if a part ends before.
        """
        ended = asyncio.create_task(ending.wait())
        done, _ = await asyncio.wait([ended, *self._lives], return_when=asyncio.FIRST_COMPLETED)
        if ended not in done:
            ended.cancel()
            raise OperatorError(f"{self._lives[done.pop()]}, then start tilld again")

    @property
    def status(self) -> str:
        """Return the addresses, for a line of `systemctl status`."""
        raise NotImplementedError

    async def _start(self) -> None:
        raise NotImplementedError

    def _spawn(self, name: str, work: Coroutine[Any, Any, Any], log_file: Path | None = None) -> None:
        """Run a task until the supervisor stops."""
        task = asyncio.create_task(work, name=name)
        self._lives[task] = f"{name} has stopped; see {log_file or 'the log'}"
        self._parts.push_async_callback(_cancel, task)

    def _keep_up(self, process: RestartedProcess) -> None:
        """Restart a process each time it dies, until the supervisor stops."""
        self._spawn(process.name, process.keep_up(), process.log)


async def run(supervisor: Supervisor, announce: Callable[[], None]) -> None:
    """Run the parts until SIGINT or SIGTERM. Call `announce` when all have started.

    Raises OperatorError if a part cannot start, or ends.
    """
    loop, starting, ending = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    notifier = Notifier(ServiceManager.from_environment())
    watchdog = asyncio.create_task(notifier.feed_watchdog())

    def end() -> None:
        ending.set()
        # Cancel a start, which may wait for the node or Envoy.
        if starting:
            starting.cancel()

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, end)
    open_files.raise_limit()
    try:
        async with supervisor:
            starting = None
            gc_pauses.spare_what_stays()
            announce()
            notifier.notify(READY="1", STATUS=supervisor.status)
            try:
                await supervisor.serve_until(ending)
                log.info("stopping")
            finally:
                notifier.notify(STOPPING="1", STATUS="stopping")
    except asyncio.CancelledError:
        if not ending.is_set():
            raise
    finally:
        await _cancel(watchdog)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
