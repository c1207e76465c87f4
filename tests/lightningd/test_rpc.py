"""Concurrent calls over one connection, and the faults of a real node."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pyln.client import RpcError

from tests.support.scripted_node import Request, error, result, scripted_node
from tilld.lightningd.rpc import ConnectionLost, Pipeline


@pytest.fixture
def rpc_file(tmp_path: Path) -> Path:
    return tmp_path / "rpc"


@pytest.fixture
async def pipeline(rpc_file: Path) -> AsyncIterator[Pipeline]:
    pipeline = Pipeline(str(rpc_file), timeout=10)
    yield pipeline
    await pipeline.hang_up()


async def test_replies_are_matched_in_any_order(pipeline: Pipeline, rpc_file: Path) -> None:
    """lightningd replies in any order, and a waiting call does not block the others."""
    second_is_answered = asyncio.Event()

    async def answer(request: Request) -> bytes:
        if request["method"] == "getinfo":
            await second_is_answered.wait()
        return result(request, request["method"])

    async with scripted_node(rpc_file, answer):
        first = asyncio.create_task(pipeline.getinfo())
        assert await pipeline.listpeers() == "listpeers"
        second_is_answered.set()
        assert await first == "getinfo"


async def test_an_error_is_raised_as_the_rpc_error_of_pyln(pipeline: Pipeline, rpc_file: Path) -> None:
    async def answer(request: Request) -> bytes:
        return error(request, 900, "Duplicate label")

    async with scripted_node(rpc_file, answer):
        with pytest.raises(RpcError) as refused:
            await pipeline.invoice(1, "label", "é")

    assert refused.value.error == {"code": 900, "message": "Duplicate label"}
    assert refused.value.payload == {"amount_msat": 1, "label": "label", "description": "é"}


async def test_without_a_socket_calls_fail_immediately(pipeline: Pipeline) -> None:
    with pytest.raises(ConnectionLost) as lost:
        await pipeline.getinfo()

    assert not lost.value.sent


async def test_a_call_without_a_reply_times_out_and_disturbs_no_other(
    pipeline: Pipeline, rpc_file: Path
) -> None:
    """Its late reply is discarded."""
    late = asyncio.Event()

    async def answer(request: Request) -> bytes:
        if request["method"] == "getinfo":
            await late.wait()
        return result(request, request["method"])

    async with scripted_node(rpc_file, answer):
        pipeline.timeout = 0.2
        with pytest.raises(TimeoutError):
            await pipeline.getinfo()
        pipeline.timeout = 10
        late.set()
        assert await pipeline.listpeers() == "listpeers"


async def test_the_wait_command_has_no_timeout(pipeline: Pipeline, rpc_file: Path) -> None:
    """The node replies only when something happens."""
    pipeline.timeout = 0.2

    async def answer(request: Request) -> bytes:
        await asyncio.sleep(2 * pipeline.timeout)
        return result(request, {"updated": 1})

    async with scripted_node(rpc_file, answer):
        assert await pipeline.call("wait", {"nextvalue": 1}) == {"updated": 1}


@pytest.mark.parametrize(
    "garbage",
    [
        b"{]\n\n",
        b"\xff\xfe\n\n",
        b"[]\n\n",
        b'"text"\n\n',
        b'{"jsonrpc":"2.0"}\n\n',
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"No id"}}\n\n',
        b'{"jsonrpc":"2.0","id":null,"result":{}}\n\n',
        b'{"jsonrpc":"2.0","id":[1],"result":{}}\n\n',
        b'{"jsonrpc":"2.0","id":"till:getinfo#1","error":"no"}\n\n',
        b"[" * 100_000 + b"\n\n",
    ],
)
async def test_after_a_malformed_reply_the_connection_is_replaced(
    pipeline: Pipeline,
    rpc_file: Path,
    garbage: bytes,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Data after it cannot be trusted. The operator gets one log line."""
    replies = [garbage]

    async def answer(request: Request) -> bytes:
        return replies.pop() if replies else result(request, "good")

    async with scripted_node(rpc_file, answer):
        with pytest.raises(ConnectionLost) as lost:
            await pipeline.getinfo()
        assert lost.value.sent
        assert await pipeline.getinfo() == "good"
    gc.collect()
    assert capsys.readouterr().out.count("lightningd's replies are malformed") == 1
    assert "never retrieved" not in caplog.text


async def test_a_connection_closed_within_a_reply_is_lost(pipeline: Pipeline, rpc_file: Path) -> None:
    """The node may have received the call."""
    half_sent = asyncio.Event()

    async def answer(request: Request) -> bytes:
        half_sent.set()
        return b'{"jsonrpc":"2.0",'

    async with scripted_node(rpc_file, answer):
        call = asyncio.create_task(pipeline.call("wait", {}))
        await half_sent.wait()
        await pipeline.hang_up()
        with pytest.raises(ConnectionLost) as lost:
            await call
    assert lost.value.sent


async def test_closing_a_new_connection_ends_its_calls(pipeline: Pipeline, rpc_file: Path) -> None:
    """Also before the first read from the connection."""

    async def answer(request: Request) -> None:
        return None

    async with scripted_node(rpc_file, answer):
        call = asyncio.create_task(pipeline.call("wait", {}))
        while pipeline.connection is None:
            await asyncio.sleep(0)
        await pipeline.hang_up()
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(5):
                await call


def test_a_call_on_an_aborted_connection_fails_without_loop_errors(
    rpc_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uses uvloop as tilld does; it is stricter than asyncio's own loop."""
    said, opened = [], []
    connect = asyncio.open_unix_connection

    async def connected(*arguments: Any, **named: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await connect(*arguments, **named)
        opened.append(writer)
        return reader, writer

    async def answer(request: Request) -> bytes:
        return result(request, "good")

    async def lose() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: said.append(problem))
        pipeline = Pipeline(str(rpc_file), timeout=10)
        async with scripted_node(rpc_file, answer):
            await pipeline.getinfo()
            call = asyncio.create_task(pipeline.getinfo())
            opened[0].transport.abort()
            with pytest.raises(ConnectionLost):
                await call
            assert await pipeline.getinfo() == "good"
            await pipeline.hang_up()

    monkeypatch.setattr(asyncio, "open_unix_connection", connected)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(lose())

    assert not said


async def test_a_reply_of_megabytes_is_read(pipeline: Pipeline, rpc_file: Path) -> None:
    """Descriptions of foreign invoices have no size limit."""

    async def answer(request: Request) -> bytes:
        return result(request, "x" * 5_000_000)

    pipeline.timeout = 10
    async with scripted_node(rpc_file, answer):
        assert len(await pipeline.getinfo()) == 5_000_000


async def test_a_restarted_node_is_reconnected(pipeline: Pipeline, rpc_file: Path) -> None:
    async def answer(request: Request) -> bytes:
        return result(request, "here")

    async with scripted_node(rpc_file, answer):
        assert await pipeline.getinfo() == "here"
        await pipeline.hang_up()
    rpc_file.unlink(missing_ok=True)  # noqa: ASYNC240  (nobody else is served)
    with pytest.raises(ConnectionLost):
        await pipeline.getinfo()
    async with scripted_node(rpc_file, answer):
        assert await pipeline.getinfo() == "here"
