"""A tilld process that restarts at the same address."""

import signal
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.processes import TILLD, tilld
from tests.support.shop import ANY_PORT

LOUD = {"TILLD_LOG_LEVEL": "debug"}


class Replica:
    """A tilld process that keeps its address across restarts.

    The arguments are those of `tilld run`; further settings are passed in the environment.
    """

    def __init__(
        self, directory: Path, *arguments: str, program: Sequence[str] = TILLD, **environment: str
    ) -> None:
        self._directory = directory
        self._arguments = arguments
        self._program = program
        self._environment = LOUD | environment
        self._running = AsyncExitStack()
        self.is_running = False
        # Bound, but not listening: reserves the port for the replica.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(ANY_PORT)
        self.address = "{}:{}".format(*self._reserved.getsockname())

    async def start(self) -> None:
        """Start or restart the process; return when it serves."""
        arguments = ("run", "--no-rest", f"--grpc={self.address}", *self._arguments)
        log = self._running.enter_context((self._directory / f"{self.address}.log").open("ab"))
        self._process = await self._running.enter_async_context(
            tilld(*arguments, cwd=self._directory, program=self._program, errors=log, **self._environment)
        )
        await self._process.says("(Till is running)")
        self.is_running = True

    async def says(self, pattern: str) -> str:
        """Read until the output matches a pattern; return the pattern's first group."""
        found: str = await self._process.says(pattern)
        return found

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the process to end; return the exit code."""
        self.is_running = False
        code: int = await self._process.end(number)
        await self._running.aclose()
        return code

    def kill(self) -> None:
        """Send SIGKILL; `end` waits for the process."""
        self._process.process.kill()

    def freeze(self) -> None:
        """Suspend the process: it still accepts connections, but answers nothing."""
        self._process.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the process."""
        self._process.process.send_signal(signal.SIGCONT)

    async def close(self) -> None:
        """End the process and release its address."""
        await self._running.aclose()
        self._reserved.close()
