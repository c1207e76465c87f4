"""Event streams: their cost while idle, the delay of an event, and catching up."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from benchmarks import names, stores
from benchmarks.bench import Bench, Node, Subject
from benchmarks.figures import Figures
from benchmarks.load import Call
from benchmarks.processes import cpu_seconds, forget_peak, memory_kib, peak_kib
from benchmarks.till import Till
from benchmarks.watchers import Watchers
from benchmarks.workloads.watching import THOUSAND, cost_of_idle, empty_stream, of_all
from till.v1 import event_service_pb2 as pb
from tilld.errors import OperatorError

PATH = "/till.v1.EventService/WatchEvents"
# A keyword of Python.
NOW = pb.WatchEventsRequest(**{"from": pb.LOG_POSITION_NOW})  # type: ignore[arg-type]
FROM_NOW = Call(PATH, NOW.SerializeToString())
EVENTS = 100_000


@asynccontextmanager
async def streaming(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure idle streams, an event to a thousand of them, and a reader that was away."""
    shop = await bench.fresh_shop("events", EVENTS, are_open=10)
    unpaid = iter(range(EVENTS - 10, EVENTS))
    async with bench.floor() as floor, bench.node() as node, bench.till(shop, node.socket) as till:
        idle = Watchers(till.grpc, shop.key)

        async def sleeping(count: int) -> Figures:
            return await cost_of_idle(idle, [FROM_NOW] * count, till.tilld)

        await empty_stream(floor)
        try:
            yield [
                # First, since the memory of a program that has just started says more.
                Subject(names.CAUGHT_UP, lambda _: _caught_up(till)),
                Subject(names.EMPTY_STREAM, lambda _: empty_stream(floor)),
                Subject(names.EVENT_TOLD, lambda _: _told(till, node, next(unpaid)), names.EMPTY_STREAM),
                Subject(names.STREAMS, lambda _: sleeping(bench.watchers)),
            ]
        finally:
            idle.close()


async def _caught_up(till: Till) -> Figures:
    """Read the log from the beginning."""
    pids = till.tilld["tilld"]
    forget_peak(pids)
    before, used, started = memory_kib(pids), cpu_seconds(pids), time.monotonic()
    async with grpc.aio.insecure_channel(till.grpc) as channel:
        watch: grpc.aio.UnaryStreamMultiCallable[bytes, pb.WatchEventsResponse] = channel.unary_stream(
            PATH, response_deserializer=pb.WatchEventsResponse.FromString
        )
        request = pb.WatchEventsRequest(after=0).SerializeToString()
        last = 0
        async for response in watch(request, metadata=[("authorization", f"Bearer {till.shop.key}")]):
            for event in response.events:
                if event.sequence != last + 1:
                    raise OperatorError(f"event {event.sequence} follows event {last}")
                last = event.sequence
            if last >= EVENTS:
                break
    took = time.monotonic() - started
    return {
        "rate": last / took,
        "cpu_us_tilld": (cpu_seconds(pids) - used) / last * 1e6,
        "mib_before_tilld": before / 1024,
        "mib_peak_tilld": peak_kib(pids) / 1024,
    }


async def _told(till: Till, node: Node, number: int) -> Figures:
    """Pay one invoice while a thousand streams of its owner are open."""
    watchers = Watchers(till.grpc, till.shop.key)
    await watchers.open([FROM_NOW] * THOUSAND)
    used, paid_at = cpu_seconds(till.tilld["tilld"]), await node.pay([stores.payment_hash(number)])
    times = await watchers.told(THOUSAND)
    watchers.close()
    return of_all(times, paid_at) | {
        "cpu_us_tilld": (cpu_seconds(till.tilld["tilld"]) - used) / THOUSAND * 1e6
    }
