"""The other simulated nodes. Their sockets carry messages and payments between nodes.

A node is also its own peer.
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
    """Raised if nothing listens on the socket, or the connection ended before a reply."""


class Refused(Exception):
    """The other node replied with an error, whose message this is."""


class Peers:
    """The sockets of other nodes."""

    def __init__(self, own_id: str, own_rpc_file: Path, rpc_files: Sequence[Path]) -> None:
        self._own_id = own_id
        self._own_rpc_file = own_rpc_file
        self._rpc_files = rpc_files

    async def socket_of(self, node_id: str) -> Path:
        """Return the socket of a node. Raises Unreachable."""
        if node_id == self._own_id:
            return self._own_rpc_file
        for rpc_file in self._rpc_files:
            # A socket may belong to another node than before.
            try:
                if (await _call(rpc_file, "getinfo", {}))["id"] == node_id:
                    return rpc_file
            except Unreachable:
                continue
        raise Unreachable

    async def deliver(self, rpc_file: Path, invoice: str) -> str | None:
        """Deliver an invoice to the node that requested it; return that node's error message, if any.

        Raises Unreachable, and Refused if the other node is not simulated.
        """
        params = {"sender": self._own_id, "invoice": invoice}
        complaint = (await _call(rpc_file, "dev-onionmessage", params)).get("invoice_error")
        return None if complaint is None else str(complaint)

    async def pay(self, node_id: str, payment_hash: str, amount_msat: int) -> str:
        """Pay a node's invoice; return the preimage. Idempotent.

        Raises Refused; Unreachable if the outcome is unknown.
        """
        params = {"payment_hash": payment_hash, "amount_msat": amount_msat}
        return str((await _call(await self.socket_of(node_id), "dev-htlc", params))["payment_preimage"])


class MessageLimit:
    """lightningd's limit of messages from each peer: a burst of four, then four a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def lets_pass(self, peer_id: str) -> bool:
        """Return whether a peer's message passes, or is dropped."""
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
