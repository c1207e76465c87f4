"""State across restarts, kills and file damage, and exclusive use of state and socket."""

# ruff: noqa: ASYNC240 - the files are small, and no other task needs the event loop meanwhile

import asyncio
import contextlib
import errno
import itertools
import resource
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lightningd_simulator import Simulator
from tests.support.clock import Clock
from tests.support.rpc import Reply, Rpc, connected

PROGRAM = """
import asyncio, pathlib, sys
from lightningd_simulator import serve
paths = map(pathlib.Path, sys.argv[1:])
asyncio.run(serve(*paths, ready=lambda: print("ready", flush=True)))
"""


async def create(rpc: Rpc, label: str, **more: object) -> Reply:
    return await rpc.call("invoice", {"amount_msat": 1000, "label": label, "description": "d", **more})


async def pay(rpc: Rpc, label: str) -> None:
    [invoice] = (await rpc.result("listinvoices", label=label))["invoices"]
    await rpc.result("xpay", invstring=invoice["bolt11"])


@contextlib.asynccontextmanager
async def process(rpc_file: Path, state: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield a simulated node in its own process, once it listens."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, rpc_file, state),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert running.stdout
    try:
        assert await running.stdout.readline() == b"ready\n"
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def test_everything_is_there_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    """Key, invoices, indexes and counters are unchanged, and continue from there."""
    rpc_file, state = tmp_path / "rpc", tmp_path / "state"
    indexes = ("created", "updated", "deleted")
    counters = [{"subsystem": "invoices", "indexname": index, "nextvalue": 0} for index in indexes]
    async with Simulator(rpc_file, state, clock) as node, connected(rpc_file) as rpc:
        for label in ("paid", "deleted", "unpaid", "undescribed", "caf\\u00e9"):
            await create(rpc, label)
        await create(rpc, "expired", expiry=1)
        for label in ("deleted", "paid"):
            await pay(rpc, label)
        await rpc.result("delinvoice", label="deleted", status="paid")
        await rpc.result("delinvoice", label="undescribed", status="unpaid", desconly=True)
        clock.now += 2
        node.expire_due()
        before = [await rpc.result("getinfo"), await rpc.result("listinvoices")]
        before += [await rpc.result("wait", **counter) for counter in counters]

    async with Simulator(rpc_file, state, clock), connected(rpc_file) as rpc:
        after = [await rpc.result("getinfo"), await rpc.result("listinvoices")]
        after += [await rpc.result("wait", **counter) for counter in counters]
        assert after == before
        assert (await create(rpc, "paid"))["error"]["code"] == 900
        assert (await create(rpc, "next"))["result"]["created_index"] == 7
        await pay(rpc, "next")
        assert (await rpc.result("waitanyinvoice", lastpay_index=2))["pay_index"] == 3


async def test_without_state_nothing_is_kept(tmp_path: Path) -> None:
    """A node in memory starts empty, with another key."""
    rpc_file = tmp_path / "rpc"
    async with Simulator(rpc_file) as node, connected(rpc_file) as rpc:
        await create(rpc, "x")
        first_id = node.node_id

    async with Simulator(rpc_file) as node, connected(rpc_file) as rpc:
        assert await rpc.result("listinvoices") == {"invoices": []}
        assert node.node_id != first_id
    assert [path.name for path in tmp_path.iterdir()] == ["rpc"]


async def test_an_expiry_while_it_was_down(tmp_path: Path, clock: Clock) -> None:
    """The expiry is applied once, at the start."""
    rpc_file, state = tmp_path / "rpc", tmp_path / "state"
    async with Simulator(rpc_file, state, clock), connected(rpc_file) as rpc:
        await create(rpc, "x", expiry=10)

    clock.now += 10
    for _ in range(2):
        async with Simulator(rpc_file, state, clock), connected(rpc_file) as rpc:
            [invoice] = (await rpc.result("listinvoices"))["invoices"]
            assert (invoice["status"], invoice["updated_index"]) == ("expired", 1)


async def test_a_kill_loses_no_acknowledged_change(tmp_path: Path) -> None:
    """All changes that were answered before SIGKILL are kept; the stale socket is replaced."""
    rpc_file, state = tmp_path / "rpc", tmp_path / "state"
    invoices, payments = list[str](), list[str]()
    for turn in range(3):
        async with process(rpc_file, state) as running, connected(rpc_file) as rpc:
            asyncio.get_running_loop().call_later(0.1, running.kill)
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                for number in itertools.count():
                    label = f"{turn}-{number}"
                    await create(rpc, label)
                    invoices.append(label)
                    await pay(rpc, label)
                    payments.append(label)

    async with Simulator(rpc_file, state), connected(rpc_file) as rpc:
        listed = (await rpc.result("listinvoices"))["invoices"]
    assert invoices
    assert set(invoices) <= {invoice["label"] for invoice in listed}
    assert set(payments) <= {invoice["label"] for invoice in listed if invoice["status"] == "paid"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_process_gracefully(number: signal.Signals, tmp_path: Path) -> None:
    """Waits see the connection end; the exit status is 0, without output."""
    async with process(tmp_path / "rpc", tmp_path / "state") as running:
        async with connected(tmp_path / "rpc") as rpc:
            waiting = await rpc.start("waitanyinvoice")

            running.send_signal(number)

            with pytest.raises(asyncio.IncompleteReadError):
                await rpc.reply_to(waiting)
        assert await running.communicate() == (b"", b"")
        assert running.returncode == 0


async def test_a_crash_is_reported(tmp_path: Path) -> None:
    """The exit status is 1, and one line on stderr has the reason."""
    async with process(tmp_path / "rpc", tmp_path / "state") as running:
        async with connected(tmp_path / "rpc") as rpc:
            with pytest.raises(asyncio.IncompleteReadError):
                await create(rpc, "x", expiry=-1)
        _, said = await running.communicate()

    assert running.returncode == 1
    assert said == b"simulated lightningd aborted: an expiry of 2**60 seconds or more\n"


@pytest.fixture
async def journal(tmp_path: Path) -> Path:
    """Return the state of a node with invoices a (paid) and b."""
    state = tmp_path / "state"
    async with Simulator(tmp_path / "rpc", state), connected(tmp_path / "rpc") as rpc:
        await create(rpc, "a")
        await create(rpc, "b")
        await pay(rpc, "a")
        await rpc.result("delinvoice", label="b", status="unpaid", desconly=True)
    return state


async def test_offers_are_there_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with Simulator(tmp_path / "rpc", state), connected(tmp_path / "rpc") as rpc:
        withdrawn, stands, back = [
            (await rpc.result("offer", amount="any", description=text, label=text))["offer_id"]
            for text in ("withdrawn", "stands", "back")
        ]
        for offer_id in (withdrawn, back):
            await rpc.result("disableoffer", offer_id=offer_id)
        await rpc.result("enableoffer", offer_id=back)
        before = await rpc.result("listoffers")

    async with Simulator(tmp_path / "rpc", state), connected(tmp_path / "rpc") as rpc:
        assert await rpc.result("listoffers") == before
        active = (await rpc.result("listoffers", active_only=True))["offers"]
        assert {offer["offer_id"] for offer in active} == {stands, back}


async def labels(tmp_path: Path, state: Path) -> list[str]:
    async with Simulator(tmp_path / "rpc", state), connected(tmp_path / "rpc") as rpc:
        return [invoice["label"] for invoice in (await rpc.result("listinvoices"))["invoices"]]


async def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path: Path, journal: Path) -> None:
    """Wherever the last line is cut, the earlier lines are kept, and new ones follow them."""
    whole = journal.read_bytes()
    *kept, last = whole.splitlines(keepends=True)

    for cut in range(1, len(last), 7):
        journal.write_bytes(b"".join(kept) + last[:cut])
        assert await labels(tmp_path, journal) == ["a", "b"]
        assert journal.read_bytes() == b"".join(kept)

    journal.write_bytes(whole[:-1])
    async with Simulator(tmp_path / "rpc", journal), connected(tmp_path / "rpc") as rpc:
        await create(rpc, "c")
    assert await labels(tmp_path, journal) == ["a", "b", "c"]


@pytest.mark.parametrize("damage", [b"", b"?", b"[]", b'{"event":"stolen"}', b'{"event":"paid"}'])
async def test_a_damaged_line_is_named(damage: bytes, tmp_path: Path, journal: Path) -> None:
    """A file that is damaged before its last line is rejected, and not changed."""
    lines = journal.read_bytes().splitlines()
    journal.write_bytes(b"\n".join([*lines[:2], damage, *lines[3:], b""]))
    damaged = journal.read_bytes()

    with pytest.raises(ValueError, match=rf"{journal}, line 3: "):
        await labels(tmp_path, journal)

    assert journal.read_bytes() == damaged


@pytest.mark.parametrize("content", [b"hello", b"hello\n", b'{"a":1}\n', b"\x00\xff", b"SQLite format 3\0\n"])
async def test_a_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """The error names the file, which is not changed."""
    state = tmp_path / "state"
    state.write_bytes(content)

    with pytest.raises(ValueError, match=rf"{state}, line 1: this is not the state of a simulated node"):
        await labels(tmp_path, state)

    assert state.read_bytes() == content


async def test_state_and_socket_are_private(journal: Path) -> None:
    """Only the owner can read the state file, or connect to the node."""
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert stat.S_IMODE((journal.parent / "rpc").stat().st_mode) == 0o600


async def test_two_nodes_can_not_share_a_state(tmp_path: Path) -> None:
    """The second node is rejected, although its socket differs."""
    async with Simulator(tmp_path / "rpc", tmp_path / "state"):
        with pytest.raises(OSError, match="another simulated node uses this state"):
            async with Simulator(tmp_path / "rpc-2", tmp_path / "state"):
                pass


async def test_a_socket_in_use_is_not_taken(node: Simulator, rpc: Rpc) -> None:
    """The second node is rejected, the first continues."""
    with pytest.raises(OSError, match="another process listens") as refused:
        async with Simulator(node.rpc_file):
            pass

    assert refused.value.errno == errno.EADDRINUSE
    assert await rpc.result("getinfo")


async def test_an_abandoned_socket_is_replaced(tmp_path: Path) -> None:
    """A killed process leaves its socket behind."""
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(tmp_path / "rpc"))

    async with Simulator(tmp_path / "rpc"), connected(tmp_path / "rpc") as rpc:
        assert await rpc.result("getinfo")


async def test_a_file_in_the_way_is_kept(tmp_path: Path) -> None:
    """Only sockets are replaced."""
    (tmp_path / "rpc").write_text("precious")

    with pytest.raises(FileExistsError, match="is not a socket"):
        async with Simulator(tmp_path / "rpc"):
            pass

    assert (tmp_path / "rpc").read_text() == "precious"


async def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long for a unix socket") as refused:
        async with Simulator(tmp_path / ("x" * 120)):
            pass

    assert refused.value.errno == errno.ENAMETOOLONG


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets the limits of another process")
async def test_a_full_disk_ends_the_node_and_loses_nothing(tmp_path: Path) -> None:
    """Like a real node whose database fails: only written changes are answered."""
    rpc_file, state = tmp_path / "rpc", tmp_path / "state"
    async with process(rpc_file, state) as node, connected(rpc_file) as rpc:
        made = [await create(rpc, f"{number}") for number in range(3)]
        limit = state.stat().st_size + 100
        resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        with pytest.raises(asyncio.IncompleteReadError):
            await create(rpc, "too much")

        _, told = await node.communicate()
        assert told.decode().count("\n") == 1
        assert "its state cannot be written (File too large); free disk space" in told.decode()
    async with process(rpc_file, state), connected(rpc_file) as rpc:
        assert (await create(rpc, "too much"))["result"]["created_index"] == 4
        await pay(rpc, "1")
        listed = (await rpc.result("listinvoices"))["invoices"]
        assert [each["bolt11"] for each in listed[:3]] == [each["result"]["bolt11"] for each in made]
        assert [each["status"] for each in listed] == ["unpaid", "paid", "unpaid", "unpaid"]
