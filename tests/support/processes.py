"""Runs commands of tilld, each in a process of its own."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

TILLD = (sys.executable, "-m", "tilld.cli")
# Drops CAP_DAC_OVERRIDE, so that file permissions also apply to root.
UNPRIVILEGED = (
    sys.executable,
    "-c",
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])",
    *TILLD,
)
FREE = ("--grpc=127.0.0.1:0", "--rest=127.0.0.1:0")


class Process:
    """A running tilld process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = ""

    async def says(self, pattern: str) -> str:
        """Read until the output matches a pattern; return the pattern's first group."""
        async with asyncio.timeout(20):
            assert self.process.stdout
            while not (match := re.search(pattern, self.out)):
                line = await self.process.stdout.readline()
                assert line, f"ended without {pattern!r}: {self.out}"
                self.out += line.decode()
        found: str = match[1]
        return found

    async def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait for the process to end; return the exit code."""
        self.process.send_signal(number)
        rest, _ = await self.process.communicate()
        self.out += rest.decode()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def tilld(
    *arguments: str,
    cwd: Path,
    program: Sequence[str] = TILLD,
    errors: Any = asyncio.subprocess.STDOUT,
    **environment: str,
) -> AsyncIterator[Process]:
    """Run tilld until the context ends, in a process group of its own.

    `errors` is the destination of the log, by default the output.
    """
    process = await asyncio.create_subprocess_exec(
        *program, *arguments,
        cwd=cwd, env=os.environ | environment, start_new_session=True,
        stdout=asyncio.subprocess.PIPE, stderr=errors,
    )  # fmt: skip
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def fails(*arguments: str, cwd: Path, program: Sequence[str] = TILLD, **environment: str) -> str:
    """Run tilld, which must fail with one line; return the line."""
    async with tilld(*arguments, cwd=cwd, program=program, **environment) as till:
        async with asyncio.timeout(20):
            out, _ = await till.process.communicate()
    lines = [line for line in out.decode().splitlines() if " level='info' " not in line]
    assert till.process.returncode == 1
    assert len(lines) == 1, out.decode()
    assert lines[0].startswith("tilld: ")
    line: str = lines[0]
    return line


def listening() -> socket.socket:
    """Return a socket that listens on a free port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def output(*arguments: str, cwd: Path, **environment: str) -> tuple[int, str]:
    """Run tilld to its end; return its exit code and its output."""
    async with tilld(*arguments, cwd=cwd, **environment) as till, asyncio.timeout(20):
        out, _ = await till.process.communicate()
        assert till.process.returncode is not None
        return till.process.returncode, out.decode()


def is_running(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
