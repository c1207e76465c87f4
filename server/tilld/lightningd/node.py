"""The lightningd behind Till: identity, connection, abilities, and calls of commands."""

import asyncio
import math
import time
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec
import structlog

from tilld.config import USUAL, Intervals
from tilld.errors import NodeOffline, TillError, TookTooLong
from tilld.lightningd.abilities import Abilities, Help
from tilld.lightningd.errors import errors_translated
from tilld.lightningd.info import NodeInfo
from tilld.lightningd.replies import Reply, Whole, fields
from tilld.lightningd.rpc import Pipeline, RpcRefused
from tilld.runtime.observer import NOBODY, Observer

log = structlog.get_logger()

# The subsystems of lightning-wait(7) that Till follows.
Subsystem = Literal["invoices", "sendpays"]
Index = Literal["created", "updated", "deleted"]

AReply = TypeVar("AReply", bound=Reply)


class _Created(Reply, frozen=True):
    created: Whole


class _Updated(Reply, frozen=True):
    updated: Whole


class _Deleted(Reply, frozen=True):
    deleted: Whole


_REPLIES: dict[Index, type[Reply]] = {"created": _Created, "updated": _Updated, "deleted": _Deleted}


class NodeReplaced(NodeOffline):
    """Raised when the connected node has another id than before."""

    default = "another lightning node answers now; try again"


class Node:
    """lightningd on its unix socket.

    Methods raise NodeOffline immediately if the node is offline, and TookTooLong if it does not reply in
    time. They reconnect once the node is back.
    """

    def __init__(
        self,
        rpc_file: Path,
        *,
        observer: Observer = NOBODY,
        intervals: Intervals = USUAL,
    ) -> None:
        self.rpc = Pipeline(str(rpc_file), intervals.node_call_seconds, observer)
        self.page_size = intervals.node_page
        self._intervals = intervals
        self.last_info: NodeInfo | None = None
        self._last_info_is_of: object = None
        self._last_info_at = -math.inf
        self._asking: asyncio.Task[NodeInfo] | None = None
        self._abilities = Abilities()
        self._abilities_are_of: object = None

    async def close(self) -> None:
        """Close the connection; calls in flight raise NodeOffline."""
        await self.rpc.hang_up()

    @property
    def is_connected(self) -> bool:
        """True if connected. A node that hangs is disconnected in less than half a minute."""
        return self.rpc.connection is not None

    def is_there(self, node_id: str) -> bool:
        """Return whether this node is connected, as far as its id was checked on this connection."""
        connection = self.rpc.connection
        is_known = connection is not None and connection is self._last_info_is_of
        return is_known and self.last_info is not None and self.last_info.id == node_id

    async def info(self) -> NodeInfo:
        """Return the node's state (lightning-getinfo(7))."""
        with errors_translated():
            self.last_info = await self.ask(NodeInfo, "getinfo")
        self._last_info_is_of = self.rpc.connection
        self._last_info_at = time.monotonic()
        return self.last_info

    async def recent_info(self, patience: float) -> NodeInfo:
        """Return the state of the last second, from this connection; concurrent callers share one request.

        Raises TookTooLong after `patience` seconds without a reply.
        """
        is_recent = time.monotonic() < self._last_info_at + self._intervals.info_seconds
        if is_recent and self.last_info and self.is_there(self.last_info.id):
            return self.last_info
        if self._asking is None:
            self._asking = asyncio.create_task(self.info())
            self._asking.add_done_callback(self._end_asking)
        # A caller that gives up must not cancel the shared request.
        asking = self._asking
        if asking in (await asyncio.wait([asking], timeout=patience))[0]:
            return asking.result()
        raise TookTooLong

    async def identity(self) -> str:
        """Return the public key of the connected node, checked on every new connection."""
        if self.last_info and self.is_there(self.last_info.id):
            return self.last_info.id
        return (await self.info()).id

    async def abilities(self) -> Abilities:
        """Return the node's abilities, checked on every new connection, and log the missing ones."""
        if self._abilities_are_of is not None and self._abilities_are_of is self.rpc.connection:
            return self._abilities
        try:
            with errors_translated(refusals=True):
                abilities = Abilities.from_help(await self.ask(Help, "help"))
        except RpcRefused:
            # A node without the command help is assumed to have all abilities.
            abilities = Abilities()
        if abilities.missing and abilities != self._abilities:
            log.warning(
                "lightningd lacks optional features; everything else works", missing=abilities.missing
            )
        self._abilities, self._abilities_are_of = abilities, self.rpc.connection
        return abilities

    async def latest(self, index: Index, subsystem: Subsystem = "invoices") -> int:
        """Return the current value of an index of the node's invoices or payments."""
        with errors_translated():
            async with asyncio.timeout(self.rpc.timeout):
                reply = await self.ask(_REPLIES[index], "wait", _wait_for(subsystem, index, 0))
                return cast("int", getattr(reply, index))

    async def wait_for_update(self, node_id: str, after: int, subsystem: Subsystem = "invoices") -> int:
        """Wait until this node's updated index exceeds `after`; return the index (lightning-wait(7)).

        Raises NodeReplaced.
        """
        return (await self.wait_for(_Updated, node_id, "updated", after, subsystem)).updated

    async def wait_for(
        self, reply: type[AReply], node_id: str, index: Index, after: int, subsystem: Subsystem
    ) -> AReply:
        """Wait until an index of this node exceeds `after`; return lightningd's reply.

        Raises NodeReplaced.
        """
        waiting = self.begin_wait(reply, index, after, subsystem)
        try:
            return await self.reply_to(node_id, waiting)
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    def begin_wait(
        self, reply: type[AReply], index: Index, after: int, subsystem: Subsystem
    ) -> "asyncio.Task[AReply]":
        """Begin to wait until an index exceeds `after`. The caller ends the wait."""
        return asyncio.create_task(self.ask(reply, "wait", _wait_for(subsystem, index, after + 1)))

    async def reply_to(self, node_id: str, waiting: "asyncio.Task[AReply]") -> AReply:
        """Return this node's reply to a wait that has begun. Raises NodeReplaced."""
        # Checked while the wait is in flight: if the connection changes, the wait has failed.
        patience, check = 0.0, self.check_is
        while not (await asyncio.wait([waiting], timeout=patience))[0]:
            await check(node_id)
            patience, check = self._intervals.liveness_seconds, self._check_liveness
        with errors_translated():
            return await waiting

    async def call(self, method: str, params: dict[str, Any]) -> None:
        """Call any method and ignore its result. The caller translates errors."""
        await self.rpc.call(method, params)

    async def ask(
        self,
        reply: type[AReply],
        method: str,
        params: dict[str, Any] | None = None,
        wanted: dict[str, Any] | None = None,
    ) -> AReply:
        """Call any method, filtered to the fields of the reply type or to `wanted`.

        The caller translates errors. Raises msgspec.ValidationError if the reply does not have the expected
        type.
        """
        return msgspec.convert(await self.rpc.call(method, params, filter=wanted or fields(reply)), reply)

    async def check_is(self, node_id: str) -> None:
        """Check that the same node is still connected.

        Raises NodeReplaced.
        """
        if await self.identity() != node_id:
            raise NodeReplaced

    def _end_asking(self, asking: "asyncio.Task[NodeInfo]") -> None:
        self._asking = None
        # Retrieve the exception, since the callers may have given up.
        if not asking.cancelled():
            asking.exception()

    async def _check_liveness(self, node_id: str) -> None:
        # A wait on a node that hangs would never end.
        try:
            await self.info()
        except TillError:
            await self.rpc.hang_up()
            raise
        await self.check_is(node_id)


def _wait_for(subsystem: str, index: str, nextvalue: int) -> dict[str, Any]:
    return {"subsystem": subsystem, "indexname": index, "nextvalue": nextvalue}
