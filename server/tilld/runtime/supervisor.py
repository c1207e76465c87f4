"""Supervises the parts of a process: restarts child processes, and stops all parts when one fails."""

import asyncio
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self

import structlog

from tilld.config.service_manager import ServiceManager
from tilld.errors import OperatorError
from tilld.runtime import gc_pauses, open_files
from tilld.runtime.systemd import Notifier

log = structlog.get_logger()

# After this many deaths within this time, the process is not restarted.
MOST_DEATHS = 5
DEATHS_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.05
FULL_DISK_SECONDS = 10.0


class RestartedProcess:
    """A child process with a log file. Subclasses launch the process."""

    process: Process

    def __init__(self, name: str, log_file: Path) -> None:
        self.name = name
        self.log = log_file
        self.restarts = 0

    def _configure(self) -> None:
        """Write the files that the process reads. Raises OperatorError if this is not possible."""

    async def _launch(self) -> None:
        """Start the process, and return when it serves. Raises OperatorError or OSError."""
        raise NotImplementedError

    async def keep_up(self) -> None:
        """Restart the process each time it dies. Return after its fifth death within 60 s."""
        deaths: list[float] = []
        while True:
            code = await self.process.wait()
            now = time.monotonic()
            deaths = [*(death for death in deaths if now - death < DEATHS_SECONDS), now]
            if len(deaths) == MOST_DEATHS:
                log.error(f"{self.name} died too often; stopping", exit_code=code, deaths=MOST_DEATHS)
                return
            log.error(f"{self.name} died; restarting", exit_code=code, log=str(self.log))
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** len(deaths))
            await self._start_again()

    async def _start_again(self) -> None:
        self.restarts += 1
        while True:
            try:
                self._configure()
                break
            except OperatorError as reason:
                log.error(f"{self.name} cannot be restarted; retrying", reason=str(reason))
                await asyncio.sleep(FULL_DISK_SECONDS)
        # A failure, also for lack of files or processes, counts as another death.
        with suppress(OperatorError, OSError):
            await self._launch()
            log.info(f"{self.name} restarted")


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
