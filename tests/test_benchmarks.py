"""The benchmark's evaluation of measurements.

Running the benchmark tests the rest: no test depends on time.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest

from benchmarks import compare, names, stores, table
from benchmarks.figures import Row, Run
from benchmarks.http2 import OK
from benchmarks.load import Call, Calls, Width, connect, percentile
from benchmarks.processes import forget_peak, peak_kib
from benchmarks.receiver import Arrival, Receiver
from benchmarks.receiver import Connection as Receiving
from benchmarks.stand_in import Connection, StandIn
from tilld.auth.caller import Creator
from tilld.errors import OperatorError
from tilld.formats import bolt11
from tilld.formats.members import Member, members
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.repository import Store
from tilld.storage.database import open_database

ROWS = 1000
OPEN = 500


def run_with(tilld: list[float], floor: list[float]) -> Run:
    """Return a run; each round has the CPU time of a read and of the empty handler."""
    rows = [
        Row("calls", names.EMPTY, None, {"cpu_us_floor": floor}),
        Row(
            "calls", names.READ, names.EMPTY, {"rate": [1e6 / each for each in tilld], "cpu_us_tilld": tilld}
        ),
    ]
    return Run({"rounds": len(tilld)}, rows, ["postgresql: needs --postgresql"])


Answer = Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]


@asynccontextmanager
async def served(**methods: Answer) -> AsyncIterator[str]:
    """Serve methods of the service "test" within this context; yield the address."""
    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        name: grpc.unary_unary_rpc_method_handler(answer) for name, answer in methods.items()
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test", handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def stored(url: str) -> list[Invoice]:
    """Return all invoices of a store."""
    store = Store(open_database(url))
    try:
        return [invoice async for page, _ in store.pages() for invoice in page]
    finally:
        await store.close()


def line_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(name))


def test_the_table_shows_median_least_and_most_and_the_distance_from_the_floor() -> None:
    text = table.of_run(run_with([120.0, 100.0, 140.0], [100.0, 100.0, 100.0]))

    medians, spreads = text.splitlines()[text.splitlines().index(line_of(text, names.READ)) :][:2]
    assert medians.split()[2:5] == ["8,333", "120", "1.20"]
    assert spreads.split()[:2] == ["7,143…10,000", "100…140"]
    assert "left out: postgresql: needs --postgresql" in text


@pytest.mark.parametrize(
    ("tilld", "verdict"), [(129.0, "1.29, at most 1.3: met"), (131.0, "1.31, at most 1.3: NOT MET")]
)
def test_a_goal_is_met_or_not(tilld: float, verdict: str) -> None:
    assert verdict in line_of(table.of_run(run_with([tilld], [100.0])), names.READ)


def test_a_goal_is_the_median_of_ratios_within_a_round() -> None:
    """A machine that is twice as slow in two of the rounds does not change the ratio."""
    text = table.of_run(run_with([120.0, 240.0, 240.0], [100.0, 200.0, 200.0]))

    assert "1.20, at most 1.3: met" in line_of(text, names.READ)


def test_a_page_has_the_same_limit_on_both_stores() -> None:
    small = names.on_small(names.PAGE)
    rows = [
        Row("lists", names.PAGE, None, {"cpu_us_tilld": [2900.0, 2900.0]}),
        Row("lists", small, None, {"cpu_us_tilld": [2600.0, 3500.0]}),
    ]

    text = table.of_run(Run({"rounds": 2}, rows))

    assert "ms of CPU 2.90, at most 3: met" in text
    assert "x 1,000 rows 0.97, at most 1.1: met" in text
    assert "ms of CPU 3.05, at most 3: NOT MET" in line_of(text, small)


def test_an_export_has_a_least_rate_and_a_constant_memory() -> None:
    large, small = {"rate": [19_999.0], "mib_peak_tilld": [120.0]}, {"mib_peak_tilld": [100.0]}
    rows = [
        Row("export", names.EXPORT, None, large),
        Row("export", names.on_small(names.EXPORT), None, small),
    ]

    text = table.of_run(Run({"rounds": 1}, rows))

    assert "rows per second 19999.00, at least 20000: NOT MET" in text
    assert "memory x 1,000 rows 1.20, at most 1.1: NOT MET" in text


def test_two_runs_are_shown_as_ratios_and_the_slower_machine_taken_out() -> None:
    text = compare.of_runs(run_with([120.0], [100.0]), run_with([180.0], [300.0]))

    assert line_of(text, f"{names.READ}: CPU us tilld").split()[-4:] == ["120", "180", "1.50", "0.50"]


def test_a_run_is_saved_and_read_again(tmp_path: Path) -> None:
    run = run_with([120.0], [100.0])

    run.save(tmp_path / "new" / "run.json")

    assert Run.load(tmp_path / "new" / "run.json") == run


def test_a_file_that_is_no_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")

    with pytest.raises(OperatorError, match=r"other\.json is no run"):
        Run.load(tmp_path / "other.json")


def test_percentiles() -> None:
    assert [percentile(range(1, 101), percent) for percent in (50, 99)] == [50, 99]
    assert percentile([7.0], 99) == 7.0


async def test_a_store_has_full_pages_of_each_kind_even_if_it_is_small(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'till.db'}"

    stores.fill(url, Creator("shop", "KEYOFTHESHOP"), ROWS, OPEN)

    invoices = await stored(url)
    assert Counter(each.status for each in invoices) == {
        Status.UNPAID: 500, Status.PAID: 250, Status.EXPIRED: 125, Status.CANCELED: 125,
    }  # fmt: skip
    assert all(each.status is Status.UNPAID for each in invoices[-OPEN:])
    assert {each.type for each in invoices if each.payment} == {"shop", "cafe"}
    assert len([each for each in invoices if each.payment and each.type == "shop"]) > 100
    having = Counter(chain.from_iterable(members(each.metadata) for each in invoices))
    assert having[Member("customer", stores.customer(0, ROWS))] == stores.PER_CUSTOMER
    assert [each.label for each in invoices] == [stores.label(number) for number in range(ROWS)]
    assert [each.payment_hash for each in invoices] == [stores.payment_hash(each) for each in range(ROWS)]


def test_the_stand_in_describes_the_invoice_that_was_deleted() -> None:
    node, payment_hash = StandIn(), stores.payment_hash(1)
    replies: list[dict[str, Any]] = []

    class Waiting(Connection):
        def reply(self, request_id: str, result: Any) -> None:
            replies.append(result)

    node.wait(Waiting(node), "1", {"subsystem": "invoices", "indexname": "updated", "nextvalue": 1})
    node.wait(Waiting(node), "2", {"subsystem": "invoices", "indexname": "deleted", "nextvalue": 1})
    [found] = node.commands["listinvoices"]({"payment_hash": payment_hash})["invoices"]
    node.commands["delinvoice"]({"label": found["label"], "status": "unpaid"})

    [reply] = replies
    assert reply["deleted"] == 1
    assert bolt11.read(reply["invoices"]["bolt11"]).payment_hash == payment_hash
    assert node.commands["listinvoices"]({"payment_hash": payment_hash}) == {"invoices": []}


async def test_the_receiver_reports_what_was_posted_since_its_last_change() -> None:
    receiver = Receiver()
    server = await asyncio.get_running_loop().create_server(lambda: Receiving(receiver), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    event = {"id": "evt_1", "sequence": 7, "data": {"invoiceid": "coffee"}}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        await client.put("/shop", content="503")
        refused = await client.post("/shop", json=event)
        await client.put("/shop", content="204")
        accepted = await client.post("/shop", json=event)
        await client.put("/other", content="0")
        hanging = asyncio.create_task(client.post("/other", json=event))
        reports = [(await client.get(f"{path}?1")).json() for path in ("/shop", "/other")]

        assert (refused.status_code, accepted.status_code) == (503, 204)
        assert [[Arrival(*each)._replace(at=0) for each in arrivals] for arrivals in reports] == [
            [Arrival(0, "evt_1", 7, "coffee")]
        ] * 2
        assert not hanging.done()
        hanging.cancel()
        await asyncio.wait([hanging])
    server.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmark runs on Linux only")
def test_the_peak_of_memory_begins_anew() -> None:
    ours, mebibytes = [os.getpid()], 64
    forget_peak(ours)
    before = peak_kib(ours)

    text = bytes(1) * (mebibytes << 20)
    with_text = peak_kib(ours)
    del text
    forget_peak(ours)

    assert with_text - before > mebibytes * 1024 * 0.9
    assert peak_kib(ours) < with_text - mebibytes * 1024 * 0.9


async def test_calls_that_cannot_be_repeated_end_the_load() -> None:
    """There are fewer calls than callers."""
    asked: list[bytes] = []

    async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        asked.append(request)
        return request

    async with served(One=answer) as address:
        calls = [Call("/test/One", number) for number in (b"1", b"2", b"3")]
        load = await Calls(address, "key", calls, Width(2, 8), are_once=True).run(float("inf"))

    assert sorted(asked) == [b"1", b"2", b"3"]
    assert len(load.latencies_ms) == 3


async def test_our_client_sees_the_status_of_each_call() -> None:
    """A new path shifts the HPACK indices of earlier headers."""

    async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        if request == b"bad":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        return request

    ended = asyncio.Queue[tuple[int, str]]()
    async with served(One=answer, Other=answer) as address:
        connection = await connect(address, "key", lambda *call: ended.put_nowait(call))
        for path, message, status in [("One", b"good", OK)] * 2 + [
            ("Other", b"good", OK),
            ("One", b"bad", "5"),
        ]:
            stream, frames = connection.call(f"/test/{path}", message)
            connection.write(frames)
            assert await ended.get() == (stream, status)
        connection.close()
