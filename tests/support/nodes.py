"""Nodes to test against: the simulated lightningd and, where LIGHTNINGD names one, a real one."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lightningd_simulator import Simulator
from tests.support.processes import is_running
from tests.support.waiting import eventually
from tilld.lightningd import play_money
from tilld.lightningd.rpc import Pipeline

KIT = Path(__file__).parent / "regtest" / "regtest.py"
LIGHTNINGD = os.environ.get("LIGHTNINGD")


class PayableNode(Protocol):
    """A node, and a payer for its invoices."""

    rpc_file: Path

    async def pay(self, bolt11: str, amount_msat: int | None = None) -> None:
        """Pay an invoice of the node."""


@dataclass(frozen=True)
class SimulatedNode:
    """A simulated lightningd, which pays its own invoices."""

    rpc_file: Path

    async def pay(self, bolt11: str, amount_msat: int | None = None) -> None:
        """Pay an invoice of the node."""
        await play_money.pay(self.rpc_file, bolt11, amount_msat)


@dataclass(frozen=True)
class RealNode:
    """A real lightningd, and a second one that pays it over a channel."""

    rpc_file: Path
    directory: Path

    async def pay(self, bolt11: str, amount_msat: int | None = None) -> None:
        """Pay an invoice of the node."""
        await _kit(self.directory, "pay", bolt11, *([] if amount_msat is None else [str(amount_msat)]))

    async def restart(self) -> None:
        """Restart the node; return when it can receive payments."""
        await _kit(self.directory, "--fast", "restart", "a")


class KillableNode(Protocol):
    """A node that runs as a process, and the socket of its payer."""

    rpc_file: Path
    payer: Path

    async def start(self) -> None:
        """Start or restart the node; return when it can receive payments."""

    async def kill(self) -> None:
        """Kill the node with SIGKILL."""

    async def calm(self) -> None:
        """Wait until no payment is in flight."""

    async def stop(self) -> None:
        """Stop all processes."""


class SimulatedProcess:
    """A simulated lightningd in a process of its own; it pays its own invoices."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.rpc_file = self.payer = directory / "rpc"

    async def start(self) -> None:
        """Start or restart the node."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tilld.cli", "node", "simulate",
            f"--rpc-file={self.rpc_file}", f"--state={self._directory / 'node.jsonl'}",
            "--payment-seconds=0", start_new_session=True, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout
        assert await self._process.stdout.readline()

    async def kill(self) -> None:
        """Kill the node with SIGKILL."""
        self._process.kill()
        await self._process.communicate()

    def freeze(self) -> None:
        """Suspend the process: requests stay unanswered."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the process."""
        self._process.send_signal(signal.SIGCONT)

    async def calm(self) -> None:
        """Return immediately: the simulated node settles a payment within the call."""

    async def stop(self) -> None:
        """Stop the process."""
        await self.kill()


class RealPair:
    """Two real lightningd with a channel: tests kill the first, the second pays."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.rpc_file, self.payer = (directory / node / "regtest" / "lightning-rpc" for node in "ab")

    async def start(self) -> None:
        """Start both nodes, or only the killed one."""
        await _kit(self._directory, "--fast", "up")

    async def kill(self) -> None:
        """Kill the first node with SIGKILL."""
        pid = json.loads((self._directory / "state.json").read_text())["pids"]["a"]
        os.kill(pid, signal.SIGKILL)
        # The node is not a child of this process, and its lock file blocks a new one while it runs.
        await eventually(lambda: not is_running(pid))

    async def calm(self) -> None:
        """Wait until no payment is in flight."""
        payer = Pipeline(str(self.payer), 10)
        async with asyncio.timeout(120):
            while (await payer.call("listpays", {"status": "pending"}))["pays"]:
                await asyncio.sleep(0.1)
        await payer.hang_up()

    async def stop(self) -> None:
        """Stop both nodes."""
        await _kit(self._directory, "down")


@asynccontextmanager
async def simulated_node(directory: Path) -> AsyncIterator[SimulatedNode]:
    """Run a simulated lightningd that keeps its state in a directory."""
    async with Simulator(directory / "rpc", directory / "node.jsonl"):
        yield SimulatedNode(directory / "rpc")


@asynccontextmanager
async def real_node(directory: Path) -> AsyncIterator[RealNode]:
    """Run two real nodes with a channel between them; yield the first."""
    try:
        status = json.loads(await _kit(directory, "--fast", "up"))
        yield RealNode(Path(status["nodes"]["a"]["rpc"]), directory)
    finally:
        await _kit(directory, "down")


async def _kit(directory: Path, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(KIT), f"--dir={directory}", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()
