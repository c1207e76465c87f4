"""tilld as a service of systemd: a test has the socket of the service manager."""

import asyncio
import re
import signal
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.processes import FREE, tilld

RUN, ENVOY = ("run", *FREE), ("envoy", "--rest=127.0.0.1:0")


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str, listener: socket.socket) -> None:
        self.address = address
        self._listener = listener

    async def next(self, sign: str) -> str:
        """Return the next notification with a variable."""
        async with asyncio.timeout(20):
            while not (found := await self._receive()).startswith(sign):
                pass
        return found

    async def _receive(self) -> str:
        return (await asyncio.get_running_loop().sock_recv(self._listener, 4096)).decode()


@pytest.fixture(params=["path", "abstract"])
async def manager(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@till-{uuid.uuid4().hex}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(address.replace("@", "\0") if request.param == "abstract" else address)
        listener.setblocking(False)
        yield Manager(address, listener)


@pytest.mark.parametrize("arguments", [RUN, ENVOY])
async def test_systemd_learns_of_ready_and_stopping(
    tmp_path: Path, manager: Manager, arguments: tuple[str, ...]
) -> None:
    """READY comes once the addresses in STATUS serve."""
    async with tilld(*arguments, cwd=tmp_path, NOTIFY_SOCKET=manager.address) as till:
        ready = await manager.next("READY=1\n")
        rest = re.search(r"^STATUS=REST ([\d.:]+), ", ready, re.MULTILINE)
        assert rest
        assert httpx.get(f"http://{rest[1]}/docs").status_code == 200
        till.process.send_signal(signal.SIGTERM)
        await manager.next("STOPPING=1\n")
        assert await till.end() == 0


async def test_the_watchdog_is_fed_until_the_end(tmp_path: Path, manager: Manager) -> None:
    """The event loop feeds it, so systemd restarts a process whose event loop hangs."""
    async with tilld(*RUN, cwd=tmp_path, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="100000") as till:
        await manager.next("READY=1\n")
        for _ in range(3):
            await manager.next("WATCHDOG=1")
        assert await till.end() == 0


async def test_the_watchdog_of_another_process_is_not_fed(tmp_path: Path, manager: Manager) -> None:
    """WATCHDOG_PID names the process that systemd watches."""
    watchdog = {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    async with tilld(*RUN, cwd=tmp_path, NOTIFY_SOCKET=manager.address, **watchdog) as till:
        assert (await manager.next("")).startswith("READY=1\n")
        till.process.send_signal(signal.SIGTERM)
        assert (await manager.next("")).startswith("STOPPING=1\n")


async def test_a_missing_service_manager_does_not_end_till(tmp_path: Path) -> None:
    async with tilld(*RUN, cwd=tmp_path, NOTIFY_SOCKET=str(tmp_path / "none")) as till:
        await till.says(r"(systemd cannot be notified)")
        assert await till.end() == 0
    assert "Traceback" not in till.out


@pytest.mark.parametrize("form", ["text", "json"])
async def test_a_line_in_the_journal_has_its_priority(tmp_path: Path, form: str) -> None:
    """`journalctl -p warning` then shows warnings and errors only."""
    journal = tmp_path / "journal"
    journal.touch()
    file = journal.stat()
    variables = {"JOURNAL_STREAM": f"{file.st_dev}:{file.st_ino}", "NOTIFY_SOCKET": str(tmp_path / "none")}
    with journal.open("w") as errors:
        async with tilld(*RUN, cwd=tmp_path, errors=errors, TILLD_LOG_FORMAT=form, **variables) as till:
            await till.says("(Till is running)")
            assert await till.end() == 0

    logged = journal.read_text().splitlines()
    priorities = {"info": "<6>", "warning": "<4>"}
    for level, sign in priorities.items():
        found = [line for line in logged if re.search(rf"level['\"]?[=:] ?['\"]{level}['\"]", line)]
        assert found
        assert all(line.startswith(sign) for line in found)
