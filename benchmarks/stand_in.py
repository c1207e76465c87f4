"""A stand-in for lightningd that is never the bottleneck: it replies with prepared text.

As a program: `python -m benchmarks.stand_in SOCKET`. Besides the commands that Till calls, it has three of
its own. `pay` pays the invoices in payment_hashes; `hold` delays the reports of payments until `release`. It
stores payments and deletions only: a lookup by payment hash finds an unpaid invoice unless it was deleted.
"""

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any, cast

import uvloop

from tilld.formats.bech32 import LETTERS

NODE_ID = "02" + "5a" * 32
# The length is that of a real node's bolt11 for a small invoice.
BOLT11 = "lnbcrt50n1" + "pj8ec6vpp5q0x4ayk2hkmqy7w3nsgfl6zv9u8c5dre" * 6
HASH_AT = 20
AMOUNT_MSAT = 5000

INFO = {
    "id": NODE_ID, "alias": "stand-in", "color": "025a5a", "num_peers": 1, "num_pending_channels": 0,
    "num_active_channels": 1, "num_inactive_channels": 0, "address": [], "binding": [],
    "version": "v26.06.6", "blockheight": 101, "network": "regtest", "fees_collected_msat": 0,
    "lightning-dir": "/nowhere",
}  # fmt: skip

Params = dict[str, Any]


class StandIn:
    """The node: the payments, and the waits for more."""

    def __init__(self) -> None:
        self._paid: list[dict[str, Any]] = []
        self._deleted: set[str] = set()
        self._waiting: list[tuple[str, int, Connection, str]] = []
        # The indexes of invoices.
        self._told = {"updated": 0, "deleted": 0}
        self._is_held = False
        self.commands = {
            "getinfo": lambda _: INFO,
            "invoice": self._invoice,
            "listinvoices": self._listinvoices,
            "delinvoice": self._delinvoice,
            "listsendpays": lambda _: {"payments": []},
            "listinvoicerequests": lambda _: {"invoicerequests": []},
            "pay": self._pay,
            "hold": self._hold,
            "release": self._release,
        }

    def wait(self, connection: "Connection", request_id: str, params: Params) -> None:
        """Reply when the index reaches its value (lightning-wait(7)); for 0, immediately."""
        subsystem, index, after = params["subsystem"], params["indexname"], params["nextvalue"]
        now = self._told[index] if subsystem == "invoices" else 0
        if after <= now:
            connection.reply(request_id, {"subsystem": subsystem, index: now})
        elif subsystem == "invoices":
            self._waiting.append((index, after, connection, request_id))

    def _invoice(self, params: Params) -> dict[str, Any]:
        return {
            "payment_hash": os.urandom(32).hex(),
            "expires_at": int(time.time()) + params.get("expiry", 604800),
            "bolt11": BOLT11,
            "payment_secret": "00" * 32,
            "created_index": 1,
        }

    def _listinvoices(self, params: Params) -> dict[str, Any]:
        payment_hash = params.get("payment_hash")
        if payment_hash:
            return {"invoices": [] if payment_hash in self._deleted else [_unpaid(payment_hash)]}
        if params.get("index") != "updated":
            return {"invoices": []}
        start = params["start"] - 1
        return {"invoices": self._paid[start : min(start + params["limit"], self._told["updated"])]}

    def _delinvoice(self, params: Params) -> dict[str, Any]:
        # Labels are the payment hashes.
        invoice = _unpaid(params["label"])
        self._deleted.add(params["label"])
        self._advance("deleted", len(self._deleted), {"invoices": invoice})
        return invoice

    def _pay(self, params: Params) -> dict[str, Any]:
        for payment_hash in params["payment_hashes"]:
            number = len(self._paid) + 1
            self._paid.append({
                "payment_hash": payment_hash, "status": "paid", "pay_index": number, "updated_index": number,
                "amount_received_msat": AMOUNT_MSAT, "paid_at": int(time.time()),
            })  # fmt: skip
        return {} if self._is_held else self._tell()

    def _hold(self, _: Params) -> dict[str, Any]:
        self._is_held = True
        return {}

    def _release(self, _: Params) -> dict[str, Any]:
        self._is_held = False
        return self._tell()

    def _tell(self) -> dict[str, Any]:
        """Report the payments; `replied_at` is the monotonic time."""
        replied_at = time.monotonic()
        self._advance("updated", len(self._paid), {})
        return {"replied_at": replied_at}

    def _advance(self, index: str, now: int, details: dict[str, Any]) -> None:
        """Reply to the waits for an index."""
        self._told[index] = now
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            waited, after, connection, request_id = each
            if waited == index and after <= now:
                connection.reply(request_id, {"subsystem": "invoices", index: now, **details})
            else:
                self._waiting.append(each)


class Connection(asyncio.Protocol):
    """One connection, with the framing of lightningd."""

    def __init__(self, node: StandIn) -> None:
        self._node = node
        self._text = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer all complete requests."""
        self._text += data.decode()
        position = 0
        while position < len(self._text):
            try:
                request, position = _decode(self._text, position)
            except ValueError:
                break
            method, params, request_id = request["method"], request["params"], request["id"]
            if method == "wait":
                self._node.wait(self, request_id, params)
            elif method in self._node.commands:
                self.reply(request_id, self._node.commands[method](params))
            else:
                self._send(
                    {"id": request_id, "error": {"code": -32601, "message": f"Unknown command '{method}'"}}
                )
        self._text = self._text[position:]

    def reply(self, request_id: str, result: Any) -> None:
        """Send a result."""
        self._send({"id": request_id, "result": result})

    def _send(self, reply: dict[str, Any]) -> None:
        self._transport.write(json.dumps({"jsonrpc": "2.0", **reply}).encode() + b"\n\n")


def _unpaid(payment_hash: str) -> dict[str, Any]:
    """Return an unpaid invoice, whose payment request has its payment hash."""
    bits = int(payment_hash, 16) << 4
    letters = "".join(LETTERS[bits >> shift & 31] for shift in range(255, -1, -5))
    return {
        "label": payment_hash, "payment_hash": payment_hash, "status": "unpaid", "amount_msat": AMOUNT_MSAT,
        "expires_at": int(time.time()) + 604800, "created_index": 1, "description": "a coffee",
        "bolt11": BOLT11[:HASH_AT] + letters + BOLT11[HASH_AT + len(letters) :],
    }  # fmt: skip


_decode = json.JSONDecoder().raw_decode


async def main(socket: str) -> None:
    """Serve on a unix socket until SIGTERM; print a line when it listens."""
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    node = StandIn()
    server = await loop.create_unix_server(lambda: Connection(node), socket)
    async with server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await ending.wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
