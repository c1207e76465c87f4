"""Starting, and catching up with missed payments."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks import names, stores, targets
from benchmarks.bench import SMALL, Bench, Subject
from benchmarks.figures import Figures
from benchmarks.processes import cpu_seconds, memory_kib
from benchmarks.till import Shop
from benchmarks.watchers import Watchers

MISSED = 20_000
AT_ONCE = 500


@asynccontextmanager
async def starting(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure from the command to the line that reports Till as running, including Envoy."""
    async with bench.node() as node:

        def start(name: str, shop: Shop) -> Subject:
            async def measure(_: float) -> Figures:
                started = time.monotonic()
                async with bench.till(shop, node.socket) as till:
                    took = time.monotonic() - started
                    pids = [till.program.pid]
                    return {
                        "took_ms": took * 1000,
                        "cpu_ms_tilld": cpu_seconds(pids) * 1000,
                        "mib_tilld": memory_kib(pids) / 1024,
                    }

            return Subject(name, measure)

        large, small = await bench.shop(bench.rows), await bench.shop(SMALL)
        yield [start(names.START, large), start(names.on_small(names.START), small)]


@asynccontextmanager
async def catching_up(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure from the node's report of all payments to the watcher of the last one."""
    shop = await bench.fresh_shop("catch-up", SMALL + MISSED, are_open=MISSED)
    async with bench.node() as node, bench.till(shop, node.socket) as till:

        async def measure(_: float) -> Figures:
            watchers = Watchers(till.grpc, shop.key)
            await watchers.open(targets.watches([SMALL + MISSED - 1]))
            await node.hold()
            for first in range(SMALL, SMALL + MISSED, AT_ONCE):
                await node.pay([stores.payment_hash(each) for each in range(first, first + AT_ONCE)])
            pids = [till.program.pid]
            used, told = cpu_seconds(pids), asyncio.create_task(watchers.told(1))
            released_at = await node.release()
            took = (await told)[-1] - released_at
            watchers.close()
            return {
                "rate": MISSED / took,
                "took_ms": took * 1000,
                "cpu_us_tilld": (cpu_seconds(pids) - used) / MISSED * 1e6,
                "mib_tilld": memory_kib(pids) / 1024,
            }

        yield [Subject(f"{MISSED:,} payments", measure)]
