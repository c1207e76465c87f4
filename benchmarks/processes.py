"""The programs under test: starting, pinning to processor cores, and measuring. Linux only."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tilld.errors import OperatorError
from tilld.runtime import child_process

TICKS = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 20.0
START_SECONDS = 60.0


@dataclass(frozen=True)
class Cores:
    """Processor cores for the servers, and for the clients; None means any core."""

    servers: frozenset[int] | None = None
    clients: frozenset[int] | None = None

    @classmethod
    def apart(cls) -> "Cores":
        """Return the first core for the servers and the others for the clients, if there are several."""
        first, *others = sorted(os.sched_getaffinity(0))
        return cls(frozenset([first]), frozenset(others)) if others else cls()


class Program:
    """A running program."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def line(self) -> str:
        """Wait for the program's next line of output.

        Raises OperatorError if the program ends first, or on a timeout.
        """
        stdout = self._process.stdout
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await stdout.readline() if stdout else b""
        except TimeoutError:
            line = b""
        if not line:
            raise OperatorError(f"a program of the benchmark did not start; see {self._log}")
        return line.decode().rstrip()

    async def stop(self) -> None:
        """Stop the program, and wait for its end."""
        await child_process.stop(self._process, patience=STOP_SECONDS)


@asynccontextmanager
async def running(
    *command: str, log: Path, cores: frozenset[int] | None, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Run a program within this context, without the settings of Till in the benchmark's own environment."""
    ours = [f"--unset={name}" for name in os.environ if name.startswith(("TILLD_", "OTEL_"))]
    theirs = [f"{name}={value}" for name, value in (environment or {}).items()]
    with log.open("ab") as errors:
        process = await child_process.start("env", *ours, *theirs, *command, output=PIPE, errors=errors)
    if cores:
        os.sched_setaffinity(process.pid, cores)
    program = Program(process, log)
    try:
        yield program
    finally:
        await program.stop()


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module with this Python."""
    return (sys.executable, "-m", module, *arguments)


def pin(pid: int, cores: frozenset[int] | None) -> None:
    """Pin all threads of a process to cores."""
    if cores:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def children(pid: int) -> list[int]:
    """Return the running child processes of a process."""
    parents = {int(path.name): _stat(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    return [each for each, stat in parents.items() if stat and int(stat[1]) == pid]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of processes with all threads; its resolution is about 10 ms."""
    return sum(int(stat[11]) + int(stat[12]) for pid in pids if (stat := _stat(pid))) / TICKS


def memory_kib(pids: Iterable[int]) -> float:
    """Return the resident memory of processes. Shared memory counts for each."""
    return _status_kib(pids, "VmRSS:")


def peak_kib(pids: Iterable[int]) -> float:
    """Return the largest resident memory of processes since `forget_peak`."""
    return _status_kib(pids, "VmHWM:")


def forget_peak(pids: Iterable[int]) -> None:
    """Let the peak of the resident memory of processes begin anew."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status_kib(pids: Iterable[int], field: str) -> float:
    return sum(
        float(line.split()[1])
        for pid in pids
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith(field)
    )


def _stat(pid: int) -> list[str]:
    """Return the fields of stat in proc(5) from the state on, or none for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
