"""Watchers: their cost while idle, and the delay of notifications."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import grpc.aio

from benchmarks import names, stores, targets
from benchmarks.bench import SMALL, Bench, Floor, Node, Subject, loaded
from benchmarks.figures import Figures
from benchmarks.floors import SERVICE
from benchmarks.load import ALONE, Call, percentile
from benchmarks.processes import cpu_seconds, memory_kib
from benchmarks.watchers import Browsers, Watchers

THOUSAND = 1000
ONE_BY_ONE = 200


class _Numbers:
    """Hands out invoices that are still unpaid."""

    def __init__(self, first: int) -> None:
        self._next = first

    def take(self, count: int) -> Sequence[int]:
        """Return numbers that were not handed out before."""
        first, self._next = self._next, self._next + count
        return range(first, self._next)


@asynccontextmanager
async def over_grpc(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure idle watchers, and notifications while they are open."""
    are_open = bench.watchers + 2 * THOUSAND + ONE_BY_ONE + 1
    shop = await bench.fresh_shop("watch", SMALL + are_open, are_open)
    numbers = _Numbers(SMALL)
    async with bench.floor() as floor, bench.node() as node, bench.till(shop, node.socket) as till:
        idle = Watchers(till.grpc, shop.key)
        processes = till.tilld

        async def sleeping(count: int) -> Figures:
            return await cost_of_idle(idle, targets.watches(numbers.take(count)), processes)

        async def one_told(_: float) -> Figures:
            watched = numbers.take(ONE_BY_ONE)
            watchers = Watchers(till.grpc, shop.key)
            await watchers.open(targets.watches(watched))
            return await _told_one_by_one(node, watchers, watched, processes)

        async def thousand_told(_: float) -> Figures:
            [number] = numbers.take(1)
            watchers = Watchers(till.grpc, shop.key)
            await watchers.open(targets.watches([number] * THOUSAND))
            used, paid_at = cpu_seconds(processes["tilld"]), await node.pay([stores.payment_hash(number)])
            times = await watchers.told(THOUSAND)
            watchers.close()
            return of_all(times, paid_at) | {
                "cpu_us_tilld": (cpu_seconds(processes["tilld"]) - used) / THOUSAND * 1e6
            }

        async def in_a_second(_: float) -> Figures:
            watchers = Watchers(till.grpc, shop.key)
            watched = numbers.take(THOUSAND)
            await watchers.open(targets.watches(watched))
            return await _told_in_a_second(node, watchers, watched, processes)

        reads = await targets.many_calls(till, targets.reads(SMALL), ALONE)
        await empty_stream(floor)  # by then, tilld is warm too
        try:
            yield [
                loaded(names.READ_ALONE, reads, processes),
                Subject(f"{THOUSAND:,} idle", lambda _: sleeping(THOUSAND)),
                Subject(names.ASLEEP, lambda _: sleeping(bench.watchers)),
                Subject(names.ONE_TOLD, one_told),
                Subject(names.EMPTY_STREAM, lambda _: empty_stream(floor)),
                Subject(names.THOUSAND_TOLD, thousand_told, names.EMPTY_STREAM),
                Subject("a thousand payments in a second", in_a_second),
            ]
        finally:
            idle.close()


@asynccontextmanager
async def over_rest(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure idle watchers through Envoy, and notifications while they are open."""
    are_open = bench.watchers + THOUSAND + ONE_BY_ONE
    shop = await bench.fresh_shop("watch-rest", SMALL + are_open, are_open)
    numbers = _Numbers(SMALL)
    async with bench.node() as node, bench.till(shop, node.socket) as till:
        idle = Browsers(till.rest, shop.key)

        async def sleeping(count: int) -> Figures:
            return await cost_of_idle(idle, _paths(numbers.take(count)), till.processes)

        async def one_told(_: float) -> Figures:
            watched = numbers.take(ONE_BY_ONE)
            watchers = Browsers(till.rest, shop.key)
            await watchers.open(_paths(watched))
            return await _told_one_by_one(node, watchers, watched, till.processes)

        try:
            yield [
                Subject(f"{THOUSAND:,} idle", lambda _: sleeping(THOUSAND)),
                Subject("all idle", lambda _: sleeping(bench.watchers)),
                Subject(names.ONE_TOLD, one_told),
            ]
        finally:
            idle.close()


async def cost_of_idle(
    watchers: Watchers | Browsers,
    wanted: Sequence[Call] | Sequence[str],
    processes: Mapping[str, Sequence[int]],
) -> Figures:
    """Open watches, and return what each of them takes."""
    before = {name: memory_kib(pids) for name, pids in processes.items()}
    opened, refused, started = watchers.opened, watchers.refused, time.monotonic()
    await watchers.open(wanted)  # type: ignore[arg-type]
    took = time.monotonic() - started
    figures: Figures = {"refused": watchers.refused - refused, "took_ms": took * 1000}
    for name, pids in processes.items():
        memory = memory_kib(pids)
        figures[f"kib_each_{name}"] = (memory - before[name]) / max(watchers.opened - opened, 1)
        figures[f"mib_{name}"] = memory / 1024
    return figures


async def _told_one_by_one(
    node: Node, watchers: Watchers | Browsers, watched: Sequence[int], processes: Mapping[str, Sequence[int]]
) -> Figures:
    took = []
    before = {name: cpu_seconds(pids) for name, pids in processes.items()}
    for number in watched:
        paid_at = await node.pay([stores.payment_hash(number)])
        took.append((await watchers.told(1))[0] - paid_at)
    watchers.close()
    used = {name: cpu_seconds(pids) - before[name] for name, pids in processes.items()}
    return _percentiles(took) | {f"cpu_us_{name}": each / len(took) * 1e6 for name, each in used.items()}


async def _told_in_a_second(
    node: Node, watchers: Watchers, watched: Sequence[int], processes: Mapping[str, Sequence[int]]
) -> Figures:
    """The order of notifications is that of the payments, since node and Till keep it."""
    before = cpu_seconds(processes["tilld"])
    started, paid_at = time.monotonic(), []
    for position, number in enumerate(watched):
        await asyncio.sleep(max(started + position / len(watched) - time.monotonic(), 0))
        paid_at.append(await node.pay([stores.payment_hash(number)]))
    times = await watchers.told(len(watched))
    watchers.close()
    took = [told - paid for told, paid in zip(sorted(times), paid_at, strict=True)]
    used = cpu_seconds(processes["tilld"]) - before
    return _percentiles(took) | {"cpu_us_tilld": used / len(watched) * 1e6}


async def empty_stream(floor: Floor) -> Figures:
    """Send a message to a thousand streams of a server that does nothing else."""
    message = b"\0" * 500
    watchers = Watchers(floor.address, "till_" + "0" * 56)
    await watchers.open([Call(f"/{SERVICE}/Stream", message)] * THOUSAND)
    pids = floor.processes["floor"]
    used = cpu_seconds(pids)
    async with grpc.aio.insecure_channel(floor.address) as channel:
        tell: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/Tell")
        told_at = float(await tell(b""))
    times = await watchers.told(THOUSAND)
    watchers.close()
    return of_all(times, told_at) | {"cpu_us_floor": (cpu_seconds(pids) - used) / THOUSAND * 1e6}


def of_all(times: Sequence[float], since: float) -> Figures:
    """Return the delays of notifications, and the last one."""
    return _percentiles([each - since for each in times]) | {"last_ms": (max(times) - since) * 1000}


def _percentiles(took: Sequence[float]) -> Figures:
    ordered = sorted(each * 1000 for each in took)
    return {"p50_ms": percentile(ordered, 50), "p99_ms": percentile(ordered, 99)}


def _paths(numbers: Sequence[int]) -> list[str]:
    return [f"/lightning/invoice/{stores.invoice_id(each)}/watch" for each in numbers]
