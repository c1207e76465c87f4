"""Nodes to test against: the simulated lightningd and, where LIGHTNINGD names one, a real one."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tilld import play_money
from tilld.simulator import Simulator

KIT = Path(__file__).parent / "regtest" / "regtest.py"
LIGHTNINGD = os.environ.get("LIGHTNINGD")


class PayableNode(Protocol):
    """A node, and somebody who pays its invoices."""

    rpc_file: Path

    async def pay(self, bolt11: str, amount_msat: int | None = None) -> None:
        """Pay one of its invoices."""


@dataclass(frozen=True)
class SimulatedNode:
    """The simulated lightningd pays its own invoices."""

    rpc_file: Path

    async def pay(self, bolt11: str, amount_msat: int | None = None) -> None:
        """Pay one of its invoices."""
        await play_money.pay(self.rpc_file, bolt11, amount_msat)


@dataclass(frozen=True)
class RealNode:
    """A real lightningd, with another one behind a channel that pays."""

    rpc_file: Path
    directory: Path

    async def pay(self, bolt11: str, amount_msat: int | None = None) -> None:
        """Pay one of its invoices."""
        await _kit(self.directory, "pay", bolt11, *([] if amount_msat is None else [str(amount_msat)]))

    async def restart(self) -> None:
        """Stop the node and start it again; returns when it can be paid."""
        await _kit(self.directory, "--fast", "restart", "a")


@asynccontextmanager
async def simulated_node(directory: Path) -> AsyncIterator[SimulatedNode]:
    """Run a simulated lightningd that keeps its state in a directory."""
    async with Simulator(directory / "rpc", directory / "node.jsonl"):
        yield SimulatedNode(directory / "rpc")


@asynccontextmanager
async def real_node(directory: Path) -> AsyncIterator[RealNode]:
    """Run two real nodes with a channel between them; the first is given."""
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
