"""The lightningd behind Till: who it is, whether it is there, what it can do, and calls of any command."""

import asyncio
import math
import time
from pathlib import Path
from typing import Any, Literal, TypeVar

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

# What lightning-wait(7) has indexes of, as far as Till cares.
Subsystem = Literal["invoices", "sendpays"]

AReply = TypeVar("AReply", bound=Reply)


class _Created(Reply, frozen=True):
    created: Whole


class _Updated(Reply, frozen=True):
    updated: Whole


class NodeReplaced(NodeOffline):
    """Another node answers than before."""

    default = "another lightning node answers now; try again"


class Node:
    """lightningd on its unix socket.

    Methods raise NodeOffline at once where the node is not there, TookTooLong where it does not answer
    in time, and work again when it is back.
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
        """Hang up; calls in flight raise NodeOffline."""
        await self.rpc.hang_up()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection; a node that hangs is hung up on in less than half a minute."""
        return self.rpc.connection is not None

    def is_there(self, node_id: str) -> bool:
        """Whether it is this node that is connected, as far as it was asked."""
        connection = self.rpc.connection
        is_known = connection is not None and connection is self._last_info_is_of
        return is_known and self.last_info is not None and self.last_info.id == node_id

    async def info(self) -> NodeInfo:
        """What the node says of itself (lightning-getinfo(7))."""
        with errors_translated():
            self.last_info = await self.ask(NodeInfo, "getinfo")
        self._last_info_is_of = self.rpc.connection
        self._last_info_at = time.monotonic()
        return self.last_info

    async def recent_info(self, patience: float) -> NodeInfo:
        """What it said of itself in the last second, on this connection; all who ask share the answer.

        Raises TookTooLong where none comes within so many seconds.
        """
        is_recent = time.monotonic() < self._last_info_at + self._intervals.info_seconds
        if is_recent and self.last_info and self.is_there(self.last_info.id):
            return self.last_info
        if self._asking is None:
            self._asking = asyncio.create_task(self.info())
            self._asking.add_done_callback(self._end_asking)
        # Who gives up does not end it for the others.
        asking = self._asking
        if asking in (await asyncio.wait([asking], timeout=patience))[0]:
            return asking.result()
        raise TookTooLong

    async def identity(self) -> str:
        """The public key of the node at the other end, asked for anew on every new connection."""
        if self.last_info and self.is_there(self.last_info.id):
            return self.last_info.id
        return (await self.info()).id

    async def abilities(self) -> Abilities:
        """What the node can do, asked for anew on every new connection; the log says what it cannot."""
        if self._abilities_are_of is not None and self._abilities_are_of is self.rpc.connection:
            return self._abilities
        try:
            with errors_translated(refusals=True):
                abilities = Abilities.from_help(await self.ask(Help, "help"))
        except RpcRefused:
            # A node without help is not known to lack anything.
            abilities = Abilities()
        if abilities.missing and abilities != self._abilities:
            log.warning("lightningd lacks what Till can use; all else works", missing=abilities.missing)
        self._abilities, self._abilities_are_of = abilities, self.rpc.connection
        return abilities

    async def latest(self, index: Literal["created", "updated"], subsystem: Subsystem = "invoices") -> int:
        """The current value of an index of the node's invoices, or of its payments."""
        with errors_translated():
            async with asyncio.timeout(self.rpc.timeout):
                params = _wait_for(subsystem, index, 0)
                if index == "created":
                    return (await self.ask(_Created, "wait", params)).created
                return (await self.ask(_Updated, "wait", params)).updated

    async def wait_for_update(self, node_id: str, after: int, subsystem: Subsystem = "invoices") -> int:
        """Wait until the updated index of this node is beyond `after`; returns it (lightning-wait(7)).

        Raises NodeReplaced.
        """
        params = _wait_for(subsystem, "updated", after + 1)
        waiting = asyncio.create_task(self.ask(_Updated, "wait", params))
        # Asked once the wait is on its way: if it is not the same connection, the wait has failed.
        patience, check = 0.0, self.check_is
        try:
            while not (await asyncio.wait([waiting], timeout=patience))[0]:
                await check(node_id)
                patience, check = self._intervals.liveness_seconds, self._check_liveness
            with errors_translated():
                return (await waiting).updated
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def call(self, method: str, params: dict[str, Any]) -> None:
        """Call any method, and pass over its result. Its errors are to be translated."""
        await self.rpc.call(method, params)

    async def ask(
        self,
        reply: type[AReply],
        method: str,
        params: dict[str, Any] | None = None,
        wanted: dict[str, Any] | None = None,
    ) -> AReply:
        """Call any method for the fields of a reply, or for `wanted`. Its errors are to be translated.

        Raises msgspec.ValidationError for a reply that is not of this type.
        """
        return msgspec.convert(await self.rpc.call(method, params, filter=wanted or fields(reply)), reply)

    async def check_is(self, node_id: str) -> None:
        """Make sure that it is still this node that answers.

        Raises NodeReplaced.
        """
        if await self.identity() != node_id:
            raise NodeReplaced

    def _end_asking(self, asking: "asyncio.Task[NodeInfo]") -> None:
        self._asking = None
        # Those who asked may have given up.
        if not asking.cancelled():
            asking.exception()

    async def _check_liveness(self, node_id: str) -> None:
        # A node that hangs would never end the wait.
        try:
            await self.info()
        except TillError:
            await self.rpc.hang_up()
            raise
        await self.check_is(node_id)


def _wait_for(subsystem: str, index: str, nextvalue: int) -> dict[str, Any]:
    return {"subsystem": subsystem, "indexname": index, "nextvalue": nextvalue}
