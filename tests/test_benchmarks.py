"""The benchmark's evaluation of measurements.

Running the benchmark tests the rest: no test depends on time.
"""

import asyncio
from pathlib import Path

import grpc
import grpc.aio
import pytest

from benchmarks import compare, names, table
from benchmarks.figures import Row, Run
from benchmarks.http2 import OK
from benchmarks.load import connect, percentile
from tilld.errors import OperatorError


def run_with(tilld: list[float], floor: list[float]) -> Run:
    """Return a run; each round has the CPU time of a read and of the empty handler."""
    rows = [
        Row("calls", names.EMPTY, None, {"cpu_us_floor": floor}),
        Row(
            "calls", names.READ, names.EMPTY, {"rate": [1e6 / each for each in tilld], "cpu_us_tilld": tilld}
        ),
    ]
    return Run({"rounds": len(tilld)}, rows, ["postgresql: needs --postgresql"])


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


async def test_our_client_sees_the_status_of_each_call() -> None:
    """A new path shifts the HPACK indices of earlier headers."""

    async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        if request == b"bad":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        return request

    server = grpc.aio.server()
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test", {"One": method, "Other": method})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    ended = asyncio.Queue[tuple[int, str]]()
    connection = await connect(f"127.0.0.1:{port}", "key", lambda *call: ended.put_nowait(call))
    try:
        for path, message, status in [("One", b"good", OK)] * 2 + [
            ("Other", b"good", OK),
            ("One", b"bad", "5"),
        ]:
            stream, frames = connection.call(f"/test/{path}", message)
            connection.write(frames)
            assert await ended.get() == (stream, status)
    finally:
        connection.close()
        await server.stop(0)
