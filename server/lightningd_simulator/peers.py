"""The other simulated nodes: their sockets carry what messages and payments carry between real ones.

A node is its own neighbour too.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_BURST = 4
_A_SECOND = 4
_LONGEST_REPLY = 2**26


class Unreachable(Exception):
    """Nobody listens there, or hung up before there was an answer."""


class Refused(Exception):
    """The other node answered with an error; its message."""


class Peers:
    """The sockets at which other nodes may be."""

    def __init__(self, own_id: str, own_rpc_file: Path, rpc_files: Sequence[Path]) -> None:
        self._own_id = own_id
        self._own_rpc_file = own_rpc_file
        self._rpc_files = rpc_files

    async def socket_of(self, node_id: str) -> Path:
        """Find a node. Raises Unreachable."""
        if node_id == self._own_id:
            return self._own_rpc_file
        for rpc_file in self._rpc_files:
            # A socket may have got another node since it was last looked at.
            try:
                if (await _call(rpc_file, "getinfo", {}))["id"] == node_id:
                    return rpc_file
            except Unreachable:
                continue
        raise Unreachable

    async def deliver(self, rpc_file: Path, invoice: str) -> str | None:
        """Hand an invoice to the node that asked for it; returns its complaint once it has one.

        Raises Unreachable, and Refused where it is no simulated node.
        """
        params = {"sender": self._own_id, "invoice": invoice}
        complaint = (await _call(rpc_file, "dev-onionmessage", params)).get("invoice_error")
        return None if complaint is None else str(complaint)

    async def pay(self, node_id: str, payment_hash: str, amount_msat: int) -> str:
        """Pay a node's invoice; returns the preimage.

        Raises Refused, and Unreachable, where it may have been paid or not. Asking again pays no second time.
        """
        params = {"payment_hash": payment_hash, "amount_msat": amount_msat}
        return str((await _call(await self.socket_of(node_id), "dev-htlc", params))["payment_preimage"])


class MessageLimit:
    """How many messages a real node takes from each peer: a burst of four, then four a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def lets_pass(self, peer_id: str) -> bool:
        """Tell whether a message of a peer is read, and not dropped."""
        now = self._clock()
        left, at = self._left.get(peer_id, (_BURST, now))
        left = min(left + (now - at) * _A_SECOND, _BURST)
        passes = left >= 1
        self._left[peer_id] = (left - passes, now)
        return passes


async def _call(rpc_file: Path, method: str, params: dict[str, Any]) -> dict[str, Any]:
    try:
        reader, writer = await asyncio.open_unix_connection(rpc_file, limit=_LONGEST_REPLY)
        try:
            writer.write(json.dumps({"jsonrpc": "2.0", "id": 0, "method": method, "params": params}).encode())
            reply = json.loads(await reader.readuntil(b"\n\n"))
        finally:
            writer.close()
    except (OSError, EOFError):
        raise Unreachable from None
    if "error" in reply:
        raise Refused(reply["error"]["message"])
    result: dict[str, Any] = reply["result"]
    return result
