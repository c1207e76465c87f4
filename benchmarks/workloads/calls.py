"""Reads, lookups and info; a mix of calls; and the same on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import count, cycle

from benchmarks import list_targets, names, stores, targets
from benchmarks.bench import SMALL, Bench, Subject, loaded, still_open
from benchmarks.load import ALONE
from tilld.errors import OperatorError


@asynccontextmanager
async def reading(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure reads, lookups and info, on a large store and on a small one."""
    async with AsyncExitStack() as stack:
        floor = await stack.enter_async_context(bench.floor())
        node = await stack.enter_async_context(bench.node())
        large = await stack.enter_async_context(bench.till(await bench.shop(bench.rows), node.socket))
        small = await stack.enter_async_context(bench.till(await bench.shop(SMALL), node.socket))
        many, same, rest = targets.many_calls, partial(targets.one_call, bench), partial(targets.rest, bench)
        rows, asking = bench.rows, {"node": [node.program.pid]}
        yield [
            loaded(names.EMPTY, await many(floor, [targets.EMPTY]), floor.processes),
            loaded(names.READ, await many(large, targets.reads(rows)), large.tilld, names.EMPTY),
            loaded(
                names.on_small(names.READ), await many(small, targets.reads(SMALL)), small.tilld, names.EMPTY
            ),
            loaded(
                names.READ_BEHIND_REST,
                await many(large, targets.reads_of_rest(rows)),
                large.tilld,
                names.EMPTY,
            ),
            loaded(names.READ_REST, await rest(large, targets.paths(rows)), large.processes, names.EMPTY),
            loaded(
                names.BY_HASH,
                await many(large, targets.lookups(rows)),
                large.tilld,
                names.EMPTY,
            ),
            loaded(names.EMPTY_ALONE, await many(floor, [targets.EMPTY], ALONE), floor.processes),
            loaded(
                names.READ_ALONE,
                await many(large, targets.reads(rows), ALONE),
                large.tilld,
                names.EMPTY_ALONE,
            ),
            loaded(names.EMPTY_H2LOAD, await same(floor, targets.EMPTY), floor.processes),
            loaded(names.INFO, await same(large, targets.INFO), large.tilld | asking, names.EMPTY_H2LOAD),
            loaded(
                names.on_small(names.INFO),
                await same(small, targets.INFO),
                small.tilld | asking,
                names.EMPTY_H2LOAD,
            ),
            loaded(
                "info, REST",
                await rest(large, ["/lightning/info"]),
                large.processes | asking,
                names.EMPTY_H2LOAD,
            ),
        ]


@asynccontextmanager
async def mixed(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure 90 reads, 9 creates and one payment, repeated."""
    async with bench.node() as node, bench.till(await bench.shop(bench.rows), node.socket) as till:
        reads = cycle(targets.reads(bench.rows))
        calls = [targets.CREATE if number % 11 == 0 else next(reads) for number in range(50_000)]
        load = await targets.many_calls(till, calls)
        unpaid = cycle(still_open(bench.rows))
        answered, payments = count(1), list[asyncio.Task[float]]()

        def pay() -> None:
            if next(answered) % 99 == 0:
                payments.append(asyncio.create_task(node.pay([stores.payment_hash(next(unpaid))])))

        load.after_each = pay
        yield [loaded("mixed, gRPC", load, till.tilld | {"node": [node.program.pid]})]
        await asyncio.gather(*payments)


@asynccontextmanager
async def on_postgresql(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure reads and creates on PostgreSQL, beside SQLite with as many invoices; and pages."""
    if bench.postgresql is None:
        raise OperatorError("needs --postgresql URL")
    rows = min(bench.rows, 100_000)
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(bench.node())
        subjects = []
        for name, url in ("SQLite", None), ("PostgreSQL", bench.postgresql):
            shop = await bench.fresh_shop(name, rows, len(still_open(rows)), database=url)
            till = await stack.enter_async_context(bench.till(shop, node.socket))
            read = await targets.many_calls(till, targets.reads(rows))
            create = await targets.one_call(bench, till, targets.CREATE)
            subjects += [
                loaded(f"read, {name}", read, till.tilld),
                loaded(f"create, {name}", create, till.tilld),
            ]
            if url:
                pages = await list_targets.pages(till, rows)
                subjects += [
                    loaded(names.on_postgresql(page), await targets.many_calls(till, calls), till.tilld)
                    for page, calls in pages.items()
                ]
        yield subjects
