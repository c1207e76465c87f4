"""Creates: on this disk, on a slow disk, and with a real node, beside their floors."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from benchmarks import names, targets
from benchmarks.bench import SMALL, Bench, Subject, loaded
from benchmarks.figures import Figures
from benchmarks.load import ALONE, Width
from benchmarks.till import Shop
from tilld.errors import OperatorError

EIGHT = Width(8, 1)


@asynccontextmanager
async def creating(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure creates on a large store and on a small one."""
    async with AsyncExitStack() as stack:
        floor = await stack.enter_async_context(bench.floor())
        node = await stack.enter_async_context(bench.node())
        large = await stack.enter_async_context(bench.till(await bench.shop(bench.rows), node.socket))
        small = await stack.enter_async_context(bench.till(await _small(bench), node.socket))
        same, asking = partial(targets.one_call, bench), {"node": [node.program.pid]}
        rest = await targets.rest(bench, large, ["/lightning/invoice/create"], targets.REST_CREATE)
        of_small = small.tilld | asking
        yield [
            loaded(names.EMPTY_H2LOAD, await same(floor, targets.EMPTY), floor.processes),
            loaded(names.EMPTY_H2LOAD_ALONE, await same(floor, targets.EMPTY, ALONE), floor.processes),
            _bare_commit(bench, large.shop.directory),
            _bare_node(bench, names.BARE_NODE, node.socket, 1),
            _bare_node(bench, names.BARE_NODE_BUSY, node.socket, EIGHT.connections),
            loaded(
                names.CREATE_ALONE,
                await same(large, targets.CREATE, ALONE),
                large.tilld | asking,
                names.EMPTY_H2LOAD_ALONE,
            ),
            loaded(names.CREATE, await same(large, targets.CREATE), large.tilld | asking, names.EMPTY_H2LOAD),
            loaded(
                names.on_small(names.CREATE), await same(small, targets.CREATE), of_small, names.EMPTY_H2LOAD
            ),
            *[
                loaded(
                    name,
                    await targets.many_calls(till, targets.creates()),
                    till.tilld | asking,
                    names.EMPTY_H2LOAD,
                )
                for name, till in ((names.CREATE_ORDERS, large), (names.on_small(names.CREATE_ORDERS), small))
            ],
            loaded("create, REST", rest, large.processes | asking, names.EMPTY_H2LOAD),
        ]


@asynccontextmanager
async def on_a_slow_disk(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure creates with 2 ms added to each fsync."""
    library = await _slow_fsync(bench.directory)
    slowly = {"LD_PRELOAD": str(library)}
    async with bench.node() as node, bench.till(await _small(bench), node.socket, slowly) as till:
        bare = _bare_commit(bench, till.shop.directory, slowly)
        if (await bare.measure(0.2))["p50_ms"] < 2:
            raise OperatorError("LD_PRELOAD does not slow fsync down on this system")
        yield [
            bare,
            loaded(
                names.CREATE_ALONE, await targets.one_call(bench, till, targets.CREATE, ALONE), till.tilld
            ),
            loaded(names.CREATE, await targets.one_call(bench, till, targets.CREATE), till.tilld),
        ]


@asynccontextmanager
async def on_a_real_node(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure creates with 8 connections, and as many directly at the node. The node keeps the invoices."""
    if bench.lightning_rpc is None:
        raise OperatorError("needs --lightning-rpc PATH")
    async with bench.till(await _small(bench), bench.lightning_rpc) as till:
        yield [
            _bare_node(bench, names.BARE_NODE_BUSY, bench.lightning_rpc, EIGHT.connections),
            loaded(names.CREATE, await targets.one_call(bench, till, targets.CREATE, EIGHT), till.tilld),
        ]


async def _small(bench: Bench) -> Shop:
    """Create a small shop for creates only, since it grows."""
    return await bench.fresh_shop("create", SMALL, are_open=0)


def _bare_commit(bench: Bench, directory: Path, environment: Mapping[str, str] | None = None) -> Subject:
    file = str(directory / "floor.db")

    async def measure(seconds: float) -> Figures:
        return await bench.bare("commit", file, str(seconds), environment=environment)

    return Subject(names.BARE_COMMIT, measure)


def _bare_node(bench: Bench, name: str, socket: Path, connections: int) -> Subject:
    async def measure(seconds: float) -> Figures:
        return await bench.bare("node", str(socket), str(seconds), str(connections))

    return Subject(name, measure)


async def _slow_fsync(directory: Path) -> Path:
    """Compile the library that makes fsync slow."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise OperatorError("needs a C compiler named cc")
    library = directory / "slow_fsync.so"
    source = Path(__file__).parent.parent / "slow_fsync.c"
    command = (compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl")
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise OperatorError("cc failed to compile slow_fsync.c")
    return library
