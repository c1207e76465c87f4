"""Load generators: h2load for a single body, and a client of our own for calls with different bodies."""

import asyncio
import math
import re
import resource
import shutil
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Figures
from benchmarks.http2 import MESSAGE, OK, Connection
from benchmarks.processes import cpu_seconds, memory_kib
from tilld.errors import OperatorError

# A reply without its message, such as an error, is shorter than this fraction of a good one.
WHOLE = 0.7


@dataclass(frozen=True)
class Load:
    """Latencies of the replies within this time. `client_seconds` is the processor time of the client."""

    latencies_ms: Sequence[float]
    seconds: float
    client_seconds: float

    def figures(self) -> Figures:
        """Return the figures."""
        ordered = sorted(self.latencies_ms)
        return {
            "rate": len(ordered) / self.seconds,
            "p50_ms": percentile(ordered, 50),
            "p99_ms": percentile(ordered, 99),
            "cpu_us_client": self.client_seconds / len(ordered) * 1e6,
        }


class Call(NamedTuple):
    """A gRPC call: the path of its method, and its message."""

    path: str
    message: bytes


class Width(NamedTuple):
    """The number of connections, and of concurrent calls on each."""

    connections: int
    at_once: int


ALONE = Width(1, 1)
BUSY = Width(8, 8)


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the value that this percentage of the values does not exceed."""
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


async def metered(load: Callable[[], Awaitable[Load]], processes: Mapping[str, Sequence[int]]) -> Figures:
    """Return the figures of a load, with each process's CPU time per request, and its memory afterwards.

    Raises OperatorError if no call was answered.
    """
    before = {name: cpu_seconds(pids) for name, pids in processes.items()}
    done = await load()
    if not done.latencies_ms:
        raise OperatorError("a round had no replies; use more --seconds")
    figures = done.figures()
    for name, pids in processes.items():
        used = cpu_seconds(pids) - before[name]
        figures[f"cpu_us_{name}"] = used / len(done.latencies_ms) * 1e6
        figures[f"mib_{name}"] = memory_kib(pids) / 1024
    return figures


@dataclass
class H2load:
    """h2load on one target. `reply_bytes` is the body size of a good reply, as received by a real client.

    The first run is a warm-up with a duration. Later runs send a number of requests that should take as long:
    at the end of a duration, h2load drops requests in flight, which have cost CPU time too.
    """

    directory: Path
    url: str
    headers: Sequence[str]
    reply_bytes: int
    width: Width
    body: bytes | None = None
    paths: Sequence[str] = ()
    _rate: float = 0.0

    async def run(self, seconds: float) -> Load:
        """Run h2load. Raises OperatorError if a reply was not a good one."""
        log, body, paths = (self.directory / name for name in ("h2load.log", "h2load.body", "h2load.paths"))
        log.write_bytes(b"")
        command = [
            "h2load", f"--log-file={log}", self._amount(seconds),
            f"--clients={self.width.connections}", f"--max-concurrent-streams={self.width.at_once}",
            *(f"--header={each}" for each in self.headers),
        ]  # fmt: skip
        if self.body is not None:
            body.write_bytes(self.body)
            command.append(f"--data={body}")
        if self.paths:
            paths.write_text("".join(f"{self.url}{path}\n" for path in self.paths))
            command.append(f"--input-file={paths}")
        else:
            command.append(self.url)
        before = _children_seconds()
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE)
        said, _ = await process.communicate()
        rows = [line.split("\t") for line in log.read_text().splitlines()]
        self._check(said.decode(), [row[1] for row in rows])
        begun, took = ([int(row[column]) for row in rows] for column in (0, 2))
        lasted = (max(map(sum, zip(begun, took, strict=True))) - min(begun)) / 1e6
        self._rate = len(rows) / lasted
        return Load([each / 1000 for each in took], lasted, _children_seconds() - before)

    def _amount(self, seconds: float) -> str:
        if not self._rate:
            return f"--duration={seconds * 1000:.0f}ms"
        return f"--requests={max(round(self._rate * seconds), self.width.connections)}"

    def _check(self, said: str, statuses: Sequence[str]) -> None:
        bad = {status for status in statuses if status != "200"}
        found = re.search(r"traffic: .* \((\d+)\) data", said)
        if not statuses or bad or not found or int(found[1]) < WHOLE * self.reply_bytes * len(statuses):
            raise OperatorError(f"{self.url} returned an unexpected reply: {' '.join(bad)}\n{said}")


def has_h2load() -> bool:
    """Return whether h2load is installed."""
    return shutil.which("h2load") is not None


def grpc_headers(key: str) -> list[str]:
    """Return the headers that gRPC needs."""
    return ["content-type: application/grpc", "te: trailers", f"authorization: Bearer {key}"]


def frame(message: bytes) -> bytes:
    """Return the body of a gRPC request."""
    return MESSAGE.pack(0, len(message)) + message


@dataclass
class Calls:
    """The benchmark's own client on one target: concurrent calls, each with its own message.

    `after_each` is called after each reply. With `are_once` no call is repeated: the load ends with the last.
    """

    address: str
    key: str
    calls: Sequence[Call]
    width: Width
    after_each: Callable[[], None] = lambda: None
    are_once: bool = False
    _source: Iterator[Call] = field(init=False)

    def __post_init__(self) -> None:
        self._source = iter(self.calls) if self.are_once else cycle(self.calls)

    async def run(self, seconds: float) -> Load:
        """Run the calls. Raises OperatorError if one fails."""
        callers = [_Caller(self, seconds) for _ in range(self.width.connections)]
        used, started = time.process_time(), time.monotonic()
        latencies = [each for caller in await asyncio.gather(*(c.run() for c in callers)) for each in caller]
        return Load(latencies, time.monotonic() - started, time.process_time() - used)

    def next(self) -> Call | None:
        """Return the next call, if there is one; all calls are used once before the first repeats."""
        return next(self._source, None)


class _Caller:
    """One connection of the client."""

    def __init__(self, calls: Calls, seconds: float) -> None:
        self._calls = calls
        self._seconds = seconds
        self._begun: dict[int, float] = {}
        self._latencies: list[float] = []

    async def run(self) -> list[float]:
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection = await connect(self._calls.address, self._calls.key, self._ended)
        self._ending = time.monotonic() + self._seconds
        for _ in range(self._calls.width.at_once):
            self._call()
        try:
            if self._begun:
                await self._done
        finally:
            self._connection.close()
        return self._latencies

    def _call(self) -> None:
        call = self._calls.next()
        if call is None:
            return
        stream, frames = self._connection.call(*call)
        self._begun[stream] = time.monotonic()
        self._connection.write(frames)

    def _ended(self, stream: int, status: str) -> None:
        now = time.monotonic()
        self._latencies.append((now - self._begun.pop(stream)) * 1000)
        if status != OK:
            if not self._done.done():
                self._done.set_exception(OperatorError(f"{self._calls.address} refused a call: {status}"))
            return
        if now < self._ending:
            self._calls.after_each()
            self._call()
        if not self._begun and not self._done.done():
            self._done.set_result(None)


async def connect(
    address: str,
    key: str,
    on_end: Callable[[int, str], None],
    on_message: Callable[[int], None] = lambda _: None,
) -> Connection:
    """Connect the benchmark's own client."""
    host, _, port = address.rpartition(":")
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(address, key, on_end, on_message), host, int(port)
    )
    return connection


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
