"""Restarts a child process each time it dies, with back-off, unless it dies too often."""

import asyncio
import time
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path

import structlog

from tilld.errors import OperatorError

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
