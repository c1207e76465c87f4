"""Runs the command `till` as a process, also on a terminal of its own."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

TILL = Path(sys.executable).with_name("till")


@asynccontextmanager
async def process(*command: str | Path, **settings: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program within this context."""
    started = await asyncio.create_subprocess_exec(*command, **settings)
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


class Terminal:
    """A program on its own terminal."""

    def __init__(self, file: int, program: asyncio.subprocess.Process) -> None:
        self._file = file
        self.program = program
        self._read = b""

    @property
    def seen(self) -> str:
        """Everything that the terminal has shown."""
        return self._read.decode(errors="replace")

    async def shows(self, pattern: str) -> str:
        """Wait until the terminal shows a pattern; return the match."""
        async with asyncio.timeout(20):
            while not (match := re.search(pattern, self.seen)):
                self._read += await asyncio.to_thread(os.read, self._file, 65536)
        return match[0]


@asynccontextmanager
async def on_terminal(*arguments: str, address: str) -> AsyncIterator[Terminal]:
    ours, theirs = os.openpty()
    environment = os.environ | {"TILL_ADDRESS": address, "TERM": "xterm", "COLUMNS": "200"}
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    async with process(TILL, *arguments, env=environment, **streams) as program:
        os.close(theirs)
        yield Terminal(ours, program)
    os.close(ours)
