"""Replays recorded exchanges with a real lightningd and reports how the replies differ.

The target is any node: a socket, a function that pays, and a function that lets time pass.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.rpc import Params, Reply, Rpc, connected

CAPTURES = Path(__file__).parent.parent / "captures"

# The wait for a reply that must not come: nothing announces its absence.
SILENCE_SECONDS = 0.05

# Values that depend on the node or the moment: only their type and form are compared.
FREE = {
    *("payment_hash", "payment_secret", "payment_preimage", "bolt11", "destination"),
    *("expires_at", "paid_at", "created_at", "created_index", "updated_index", "pay_index"),
    *("bolt12", "invstring", "invreq_id", "offer_id", "preimage", "completed_at", "groupid"),
}
FREE_IN_GETINFO = {
    *("id", "alias", "color", "num_peers", "num_active_channels", "address", "binding"),
    *("version", "blockheight", "lightning-dir"),
}
# The id of a payment, not of an invoice request.
FREE_IN_LISTSENDPAYS = {"id"}
# Texts that quote free values.
TEXTS = {"message", "error"}


@dataclass(frozen=True)
class Exchange:
    """A request and its recorded reply; `node` is "b" for requests to the payer."""

    title: str
    method: str
    params: Any
    reply: Any
    node: str = "a"
    connection_closed: bool = False


def recorded(file: str) -> list[Exchange]:
    exchanges = json.loads((CAPTURES / f"{file}.json").read_text())
    return [Exchange(**exchange) for exchange in exchanges]


@dataclass(frozen=True)
class Target:
    """The node to replay to; `pay` calls xpay or pay on a node that can pay it."""

    rpc_file: Path
    pay: Callable[[str, Params], Awaitable[Reply]]
    pass_time: Callable[[float], Awaitable[None]]


@dataclass
class Replay:
    """A replay on one node; `known` maps each recorded value to the value in this replay."""

    target: Target
    connections: AsyncExitStack
    known: dict[str, str] = field(default_factory=dict)

    async def connection(self) -> Rpc:
        return await self.connections.enter_async_context(connected(self.target.rpc_file))

    async def call(self, method: str, params: Params) -> Reply:
        async with connected(self.target.rpc_file) as rpc:
            return await rpc.call(method, params)

    def translated(self, params: Any) -> Any:
        """Replace recorded values by the known ones, and expand what the recording abridged."""
        if isinstance(params, dict):
            return {name: self.translated(value) for name, value in params.items()}
        if isinstance(params, str) and (abridged := re.match(r"(.)+…\[(\d+) characters in all\]", params)):
            return abridged[1] * int(abridged[2])
        if isinstance(params, str) and params.isupper() and params.lower() in self.known:
            return self.known[params.lower()].upper()
        return self.known.get(params, params) if isinstance(params, str) else params

    def learn(self, recorded: Any, actual: Any) -> None:
        if isinstance(recorded, dict) and isinstance(actual, dict):
            for name in recorded.keys() & actual.keys():
                self.learn(recorded[name], actual[name])
        elif isinstance(recorded, list) and isinstance(actual, list):
            for one, other in zip(recorded, actual, strict=False):
                self.learn(one, other)
        elif isinstance(recorded, str) and isinstance(actual, str):
            self.known[recorded] = actual

    def compare(self, exchange: Exchange, actual: Any) -> list[str]:
        reply = {name: actual[name] for name in actual if name not in ("jsonrpc", "id")}
        self.learn(exchange.reply, reply)
        # The reply of decode depends on its argument alone.
        free = {
            "getinfo": FREE | FREE_IN_GETINFO,
            "listsendpays": FREE | FREE_IN_LISTSENDPAYS,
            "decode": set[str](),
        }.get(exchange.method, FREE)
        return [f"{exchange.title}: {problem}" for problem in differences(exchange.reply, reply, free)]

    async def raw(self, exchange: Exchange, rest: str = "", *, then_end: bool = False) -> list[str]:
        """Send recorded bytes, followed by `rest`, and return the differences of the replies."""
        async with connected(self.target.rpc_file) as rpc:
            rpc.write(_raw_bytes(exchange.params))
            if rest:
                await asyncio.sleep(0)
                rpc.write(rest.encode())
            if then_end:
                rpc.end_input()
            expected = exchange.reply.get("replies", [exchange.reply])
            found = [await rpc.next_reply() for _ in expected]
            problems = [
                problem
                for one, other in zip(expected, found, strict=True)
                for problem in differences(one, other, FREE | FREE_IN_GETINFO if len(expected) > 1 else FREE)
            ]
            if exchange.connection_closed or not expected:
                problems += await _after_the_last_reply(rpc, closed=exchange.connection_closed)
            return [f"{exchange.title}: {problem}" for problem in problems]


async def _after_the_last_reply(rpc: Rpc, *, closed: bool) -> list[str]:
    try:
        async with asyncio.timeout(None if closed else SILENCE_SECONDS):
            return [f"unexpected reply {await rpc.next_reply()}"]
    except asyncio.IncompleteReadError:
        return [] if closed else ["the connection was closed"]
    except TimeoutError:
        return []


def _raw_bytes(text: str) -> bytes:
    if abridged := re.match(r"(.*\")x+\.\.\.\((\d+) bytes\)$", text):
        end = '"}}'
        return f"{abridged[1]}{'x' * (int(abridged[2]) - len(abridged[1]) - len(end))}{end}".encode()
    return text.encode().replace(rb"\xff\xfe", b"\xff\xfe")


def differences(recorded: Any, actual: Any, free: set[str], name: str = "reply") -> list[str]:
    """Return the differences between two replies: keys, their order, types and values."""
    if isinstance(recorded, str) and re.fullmatch(r"\(\d+ of them\)", recorded):
        return [] if isinstance(actual, list) else [f"{name} is {actual!r}, not a list"]
    if type(recorded) is not type(actual):
        return [f"{name} is {actual!r}, not {recorded!r}"]
    if isinstance(recorded, dict):
        if list(recorded) != list(actual):
            return [f"{name} has {list(actual)}, not {list(recorded)}"]
        return [problem for key in recorded for problem in differences(recorded[key], actual[key], free, key)]
    if name in free:
        same_form = not isinstance(recorded, str) or _form(recorded) == _form(actual)
        return [] if same_form else [f"{name} is {actual!r}, unlike {recorded!r}"]
    if isinstance(recorded, list):
        if len(recorded) != len(actual):
            return [f"{name} has {len(actual)} items, not {len(recorded)}"]
        pairs = zip(recorded, actual, strict=True)
        return [problem for one, other in pairs for problem in differences(one, other, free, name)]
    if name in TEXTS:
        recorded, actual = _without_quotes(recorded), _without_quotes(actual)
    return [] if recorded == actual else [f"{name} is {actual!r}, not {recorded!r}"]


def _without_quotes(text: str) -> str:
    return re.sub(r"(ln[ri]1)[a-z0-9]+|[0-9a-f]{64,66}", r"\1…", text)


def _form(text: str) -> str | int:
    """Return the form of a value: the network and amount of an invoice, the length of a hash."""
    if invoice := re.match(r"(ln[a-z]+(?:\d*[munp]?))1", text):
        return invoice[1]
    return len(text) if re.fullmatch(r"[0-9a-f]{64,}", text) else 0
