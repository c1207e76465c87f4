"""Lists, lookups, reports, exports and cancellations, on a large store and on a small one."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import grpc.aio
import httpx

from benchmarks import list_targets, names, targets
from benchmarks.bench import SMALL, Bench, Subject, loaded
from benchmarks.figures import Figures
from benchmarks.load import ALONE, Call, metered
from benchmarks.processes import cpu_seconds, forget_peak, memory_kib, peak_kib
from benchmarks.till import Till
from till.v1 import invoice_service_pb2 as pb
from tilld.errors import OperatorError

CANCELED = 1000
EXPORT = targets.call("ExportInvoices", pb.ExportInvoicesRequest())
EXPORT_PATH = f"{list_targets.PAGE_PATH}.csv"


@asynccontextmanager
async def listing(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure pages, lookups and reports."""
    async with AsyncExitStack() as stack:
        floor = await stack.enter_async_context(bench.floor())
        node = await stack.enter_async_context(bench.node())
        large = await stack.enter_async_context(bench.till(await bench.shop(bench.rows), node.socket))
        small = await stack.enter_async_context(bench.till(await bench.shop(SMALL), node.socket))
        yield [
            loaded(names.EMPTY, await targets.many_calls(floor, [targets.EMPTY]), floor.processes),
            *_beside(await _lists(bench, large, bench.rows), await _lists(bench, small, SMALL)),
        ]


@asynccontextmanager
async def exporting(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure CSV files of a whole store, by programs that have just started."""
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(bench.node())
        large = await stack.enter_async_context(bench.till(await bench.shop(bench.rows), node.socket))
        small = await stack.enter_async_context(bench.till(await bench.shop(SMALL), node.socket))
        yield _beside(_exports(large, bench.rows), _exports(small, SMALL))


@asynccontextmanager
async def canceling(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure cancellations of a thousand new invoices, 64 concurrently."""
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(bench.node())
        shops = await bench.shop(bench.rows), await bench.fresh_shop("cancel", SMALL, are_open=0)
        large, small = [await stack.enter_async_context(bench.till(each, node.socket)) for each in shops]
        asking = {"node": [node.program.pid]}
        yield _beside([_cancel(large, asking)], [_cancel(small, asking)])


async def _lists(bench: Bench, till: Till, rows: int) -> list[Subject]:
    async def many(name: str, calls: Sequence[Call]) -> Subject:
        return loaded(name, await targets.many_calls(till, calls), till.tilld, names.EMPTY)

    async def rest(name: str, paths: Sequence[str]) -> Subject:
        return loaded(name, await targets.rest(bench, till, paths), till.processes, names.EMPTY)

    report = await targets.many_calls(till, [list_targets.report()], ALONE)
    return [
        *[await many(*page) for page in (await list_targets.pages(till, rows)).items()],
        await rest(names.PAGE_REST, [list_targets.PAGE_PATH]),
        await many(names.BY_LABEL, list_targets.by_label(rows)),
        await rest(names.BY_LABEL_REST, list_targets.paths_by_label(rows)),
        await many(names.BY_HASH, targets.lookups(rows)),
        await rest(names.BY_HASH_REST, list_targets.paths_by_payment_hash(rows)),
        loaded(names.REPORT, report, till.tilld),
    ]


def _exports(till: Till, rows: int) -> list[Subject]:
    def subject(
        name: str, export: Callable[[Till], Awaitable[int]], processes: Mapping[str, Sequence[int]]
    ) -> Subject:
        return Subject(name, lambda seconds: _exported(till, rows, export, processes, seconds))

    return [
        subject(names.EXPORT, _export, till.tilld),
        subject(names.EXPORT_REST, _export_over_rest, till.processes),
    ]


async def _exported(
    till: Till,
    rows: int,
    export: Callable[[Till], Awaitable[int]],
    processes: Mapping[str, Sequence[int]],
    seconds: float,
) -> Figures:
    """Return the figures of whole exports, as many as begin within this time."""
    for pids in processes.values():
        forget_peak(pids)
    before = {name: (memory_kib(pids), cpu_seconds(pids)) for name, pids in processes.items()}
    started, invoices = time.monotonic(), 0
    while (took := time.monotonic() - started) < seconds:
        exported = await export(till)
        if exported < rows:
            raise OperatorError(f"an export has {exported} invoices instead of {rows}")
        invoices += exported
    figures = {"rate": invoices / took}
    for name, pids in processes.items():
        memory, used = before[name]
        figures |= {
            f"cpu_us_{name}": (cpu_seconds(pids) - used) / invoices * 1e6,
            f"mib_before_{name}": memory / 1024,
            f"mib_peak_{name}": peak_kib(pids) / 1024,
        }
    return figures


async def _export(till: Till) -> int:
    """Return the number of invoices in an export over gRPC."""
    metadata = [("authorization", f"Bearer {till.shop.key}")]
    try:
        async with grpc.aio.insecure_channel(till.grpc) as channel:
            invoke: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(EXPORT.path)
            parts = invoke(EXPORT.message, metadata=metadata)
            return sum([pb.ExportInvoicesResponse.FromString(each).invoices async for each in parts])
    except grpc.aio.AioRpcError as refused:
        raise OperatorError(f"{EXPORT.path} returns {refused.code().name}: {refused.details()}") from None


async def _export_over_rest(till: Till) -> int:
    """Return the number of invoices in an export through Envoy."""
    headers = {"authorization": f"Bearer {till.shop.key}"}
    try:
        async with (
            httpx.AsyncClient(base_url=till.rest, headers=headers, timeout=60) as client,
            client.stream("GET", EXPORT_PATH) as reply,
        ):
            reply.raise_for_status()
            return sum([part.count(b"\n") async for part in reply.aiter_raw()]) - 1
    except httpx.HTTPError as reason:
        raise OperatorError(f"{EXPORT_PATH} fails: {reason}") from None


def _cancel(till: Till, asking: dict[str, list[int]]) -> Subject:
    async def measure(seconds: float) -> Figures:
        load = await list_targets.cancellations(till, CANCELED)
        return await metered(lambda: load.run(float("inf")), till.tilld | asking)

    return Subject(names.CANCEL, measure)


def _beside(large: Sequence[Subject], small: Sequence[Subject]) -> list[Subject]:
    """Return each subject on a large store, followed by the same on a small one."""
    pairs = zip(large, small, strict=True)
    return [each for one, other in pairs for each in (one, replace(other, name=names.on_small(other.name)))]
