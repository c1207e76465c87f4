"""A tilld process that is ended and started again at the same address."""

import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.processes import tilld
from tests.support.shop import ANY_PORT

LOUD = {"TILLD_LOG_LEVEL": "debug"}


class Replica:
    """A tilld process that comes back to where it was.

    Arguments are those of `tilld run`; further settings come by the environment.
    """

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        self._directory = directory
        self._arguments = arguments
        self._environment = LOUD | environment
        self._running = AsyncExitStack()
        self.is_running = False
        # Bound, but not listening: the port is free for the replica and for nobody else.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(ANY_PORT)
        self.address = "{}:{}".format(*self._reserved.getsockname())

    async def start(self) -> None:
        """Start it, or start it again; returns when it serves."""
        arguments = ("run", "--no-rest", f"--grpc={self.address}", *self._arguments)
        log = self._running.enter_context((self._directory / f"{self.address}.log").open("ab"))
        self._process = await self._running.enter_async_context(
            tilld(*arguments, cwd=self._directory, errors=log, **self._environment)
        )
        await self._process.says("(Till is running)")
        self.is_running = True

    async def says(self, pattern: str) -> str:
        """Read what it prints until there is a pattern; returns its first group."""
        found: str = await self._process.says(pattern)
        return found

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, and wait until it has ended; returns the exit code."""
        self.is_running = False
        code: int = await self._process.end(number)
        await self._running.aclose()
        return code

    def freeze(self) -> None:
        """Let it hang: connections are taken, and nothing is answered."""
        self._process.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.process.send_signal(signal.SIGCONT)

    async def close(self) -> None:
        """End it for good."""
        await self._running.aclose()
        self._reserved.close()
