"""Parts that all workloads share: the settings of a run, its programs, and the type of a workload."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Figures, Row, Run
from benchmarks.load import Calls, H2load, metered
from benchmarks.processes import Cores, Program, python, running
from benchmarks.till import Shop, Till, open_shop, open_till

SMALL = 1000


def still_open(rows: int) -> range:
    """Return the numbers of the unpaid invoices in a store of this size: the last ones, 10,000 at most."""
    return range(rows - min(rows // 2, 10_000), rows)


@dataclass
class Bench:
    """A run of the benchmark, with its settings."""

    directory: Path
    rounds: int
    seconds: float
    rows: int
    watchers: int
    cores: Cores
    lightning_rpc: Path | None = None
    postgresql: str | None = None
    run: Run = field(default_factory=Run)
    _shops: dict[int, Shop] = field(default_factory=dict)

    async def shop(self, rows: int) -> Shop:
        """Return the shop with this many invoices, created once per run; those of `still_open` are unpaid."""
        if rows not in self._shops:
            self._shops[rows] = await self.fresh_shop(f"shop-{rows}", rows, len(still_open(rows)))
        return self._shops[rows]

    async def fresh_shop(self, name: str, rows: int, are_open: int, database: str | None = None) -> Shop:
        """Create a shop that no other workload uses."""
        directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory)) / "data"
        return await open_shop(directory, rows, are_open, database)

    def till(
        self, shop: Shop, node: Path, environment: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Till]:
        """Run a Till on a shop."""
        return open_till(shop, node, self.cores, environment)

    @asynccontextmanager
    async def node(self) -> AsyncIterator["Node"]:
        """Run the stand-in node."""
        with tempfile.TemporaryDirectory() as directory:
            socket = Path(directory) / "rpc"
            command = python("benchmarks.stand_in", str(socket))
            async with running(
                *command, log=self.directory / "node.log", cores=self.cores.clients
            ) as program:
                await program.line()
                reader, writer = await asyncio.open_unix_connection(str(socket))
                try:
                    yield Node(socket, program, reader, writer)
                finally:
                    writer.close()
                    with suppress(OSError):
                        await writer.wait_closed()

    @asynccontextmanager
    async def floor(self) -> AsyncIterator["Floor"]:
        """Run the server with empty handlers."""
        log = self.directory / "floor.log"
        async with running(
            *python("benchmarks.floors", "serve"), log=log, cores=self.cores.servers
        ) as program:
            yield Floor(await program.line(), program)

    async def bare(self, *command: str, environment: Mapping[str, str] | None = None) -> Figures:
        """Run a floor that is a program of its own, on the servers' core, and return its figures."""
        log, arguments = self.directory / "floor.log", python("benchmarks.floors", *command)
        async with running(*arguments, log=log, cores=self.cores.servers, environment=environment) as program:
            figures: Figures = json.loads(await program.line())
            return figures


@dataclass(frozen=True)
class Node:
    """The stand-in node, and a connection for commands."""

    socket: Path
    program: Program
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _one_by_one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def pay(self, payment_hashes: Sequence[str]) -> float:
        """Pay invoices; return the monotonic time at which the node reported them, or 0 while held."""
        reply = await self._command("pay", payment_hashes=list(payment_hashes))
        return reply.get("replied_at", 0.0)

    async def hold(self) -> None:
        """Hold back the reports of payments from now on."""
        await self._command("hold")

    async def release(self) -> float:
        """Report the payments that were held back; return the monotonic time."""
        return (await self._command("release"))["replied_at"]

    async def _command(self, method: str, **params: Sequence[str]) -> dict[str, float]:
        call = {"jsonrpc": "2.0", "id": "bench", "method": method, "params": params}
        async with self._one_by_one:
            self._writer.write(json.dumps(call).encode())
            result: dict[str, float] = json.loads(await self._reader.readuntil(b"\n\n"))["result"]
            return result


@dataclass(frozen=True)
class Floor:
    """The server with empty handlers."""

    address: str
    program: Program

    @property
    def processes(self) -> dict[str, list[int]]:
        """Process ids, by name."""
        return {"floor": [self.program.pid]}


@dataclass(frozen=True)
class Subject:
    """A row to be measured: a function from seconds to figures, and the name of its floor."""

    name: str
    measure: Callable[[float], Awaitable[Figures]]
    floor: str | None = None


@dataclass(frozen=True)
class Workload:
    """Subjects that are measured in turn. `is_fresh` restarts everything for each round."""

    name: str
    about: str
    open: Callable[[Bench], AbstractAsyncContextManager[list[Subject]]]
    is_fresh: bool = False

    async def run(self, bench: Bench) -> None:
        """Measure all rounds; every second one runs backwards, so that drift affects all subjects equally."""
        if self.is_fresh:
            for number in range(bench.rounds):
                async with self.open(bench) as subjects:
                    await self._round(bench, subjects, number)
            return
        async with self.open(bench) as subjects:
            for subject in subjects:
                await subject.measure(min(1.0, bench.seconds))
            for number in range(bench.rounds):
                await self._round(bench, subjects[::-1] if number % 2 else subjects, number)

    async def _round(self, bench: Bench, subjects: Sequence[Subject], number: int) -> None:
        for subject in subjects:
            _tell(f"{self.name}, round {number + 1} of {bench.rounds}: {subject.name}")
            row = bench.run.row(self.name, subject.name)
            if row is None:
                row = Row(self.name, subject.name, subject.floor)
                bench.run.rows.append(row)
            row.add(await subject.measure(bench.seconds))


def loaded(
    name: str, load: H2load | Calls, processes: Mapping[str, Sequence[int]], floor: str | None = None
) -> Subject:
    """Return a subject that is measured by a load on processes."""
    return Subject(name, lambda seconds: metered(lambda: load.run(seconds), processes), floor)


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
