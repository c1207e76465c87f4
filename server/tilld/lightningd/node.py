"""The lightningd behind Till: records in and out, its errors translated here and nowhere else."""

import asyncio
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import structlog

from tilld.errors import NodeOffline, TillError, TookTooLong
from tilld.formats.strict_json import text, whole
from tilld.invoices.invoice import InvoiceUpdate, IssuedInvoice, NodeInvoice
from tilld.invoices.lightningd import INVOICE_FIELDS, UPDATE_FIELDS, issued, node_invoice, seen_in, usable
from tilld.invoices.terms import MAX_BOLT11_DESCRIPTION_BYTES, InvoiceTerms
from tilld.lightningd.abilities import Abilities
from tilld.lightningd.errors import MayExist, errors_translated
from tilld.lightningd.info import NodeInfo
from tilld.lightningd.rpc import Pipeline, Refused
from tilld.runtime.observer import NOBODY, Observer

log = structlog.get_logger()

PAGE = 1000
RECENT_SECONDS = 1.0
# How long one call may take.
TIMEOUT_SECONDS = 10.0
# What lightning-wait(7) has indexes of, as far as Till cares.
Subsystem = Literal["invoices", "sendpays"]


class NodeReplaced(NodeOffline):
    """Another node answers than before."""

    default = "another lightning node answers now; try again"


class Updates(NamedTuple):
    """What changed at the node, up to an updated index, and whether there is more."""

    seen: list[InvoiceUpdate]
    updated_index: int
    more: bool


class Listed(NamedTuple):
    """A page of the node's invoices, up to a created index.

    Passed over, and counted, are others' that Till can't hold: of offers, of more money than there is,
    open to the end of time.
    """

    invoices: list[NodeInvoice]
    created_index: int
    passed_over: int


class Node:
    """lightningd on its unix socket.

    Methods raise NodeOffline at once where the node is not there, TookTooLong where it does not answer
    in time, and work again when it is back.
    """

    def __init__(
        self,
        rpc_file: Path,
        *,
        timeout: float = TIMEOUT_SECONDS,
        liveness: float = 15.0,
        observer: Observer = NOBODY,
    ) -> None:
        self._rpc = Pipeline(str(rpc_file), timeout, observer)
        self._liveness = liveness
        self.last_info: NodeInfo | None = None
        self._last_info_is_of: object = None
        self._last_info_at = -math.inf
        self._asking: asyncio.Task[NodeInfo] | None = None
        self._abilities = Abilities()
        self._abilities_are_of: object = None

    async def close(self) -> None:
        """Hang up; calls in flight raise NodeOffline."""
        await self._rpc.hang_up()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection; a node that hangs is hung up on in less than half a minute."""
        return self._rpc.connection is not None

    def is_there(self, node_id: str) -> bool:
        """Whether it is this node that is connected, as far as it was asked."""
        connection = self._rpc.connection
        is_known = connection is not None and connection is self._last_info_is_of
        return is_known and self.last_info is not None and self.last_info.id == node_id

    async def info(self) -> NodeInfo:
        """What the node says of itself (lightning-getinfo(7))."""
        with errors_translated():
            self.last_info = NodeInfo.from_json(await self._rpc.getinfo())
        self._last_info_is_of = self._rpc.connection
        self._last_info_at = time.monotonic()
        return self.last_info

    async def recent_info(self, patience: float) -> NodeInfo:
        """What it said of itself in the last second, on this connection; all who ask share the answer.

        Raises TookTooLong where none comes within so many seconds.
        """
        is_recent = time.monotonic() < self._last_info_at + RECENT_SECONDS
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
        if self._abilities_are_of is not None and self._abilities_are_of is self._rpc.connection:
            return self._abilities
        try:
            with errors_translated(refusals=True):
                reply = await self._rpc.call("help", filter={"help": [{"command": True}]})
                abilities = Abilities.from_help(reply)
        except Refused:
            # A node without help is not known to lack anything.
            abilities = Abilities()
        if abilities.missing and abilities != self._abilities:
            log.warning("lightningd lacks what Till can use; all else works", missing=abilities.missing)
        self._abilities, self._abilities_are_of = abilities, self._rpc.connection
        return abilities

    async def invoice(self, invoice_id: str, order: InvoiceTerms) -> IssuedInvoice:
        """Create an invoice, labelled with its invoice_id (lightning-invoice(7)).

        Raises MayExist where only a look at the node can tell what became of it.
        """
        node_id = await self.identity()
        description = order.description or ""
        with errors_translated(unknown_outcome=MayExist):
            reply = await self._rpc.invoice(
                amount_msat="any" if order.amount_msat is None else order.amount_msat,
                label=invoice_id,
                description=description,
                expiry=order.expiry,
                deschashonly=len(description.encode()) > MAX_BOLT11_DESCRIPTION_BYTES or None,
            )
            made = issued(node_id, reply)
        if await self.identity() != node_id:
            raise MayExist
        return made

    async def find(self, label: str) -> NodeInvoice | None:
        """Look an invoice up by its label (lightning-listinvoices(7))."""
        return await self._find(label=label)

    async def find_by_payment_hash(self, payment_hash: str) -> NodeInvoice | None:
        """Look an invoice up by its payment hash."""
        return await self._find(payment_hash=payment_hash)

    async def description(self, payment_hash: str) -> str | None:
        """The whole description of an invoice, of which its payment request may have the hash only."""
        rows = await self._list({"payment_hash": payment_hash}, ("description",))
        with errors_translated():
            return text(rows[0]["description"]) if rows and "description" in rows[0] else None

    async def invoices(self, after: int) -> Listed:
        """A page of all invoices with a created index beyond `after`; the last page ends where it began."""
        node_id = await self.identity()
        params = {"index": "created", "start": after + 1, "limit": PAGE}
        rows = await self._list(params, INVOICE_FIELDS)
        with errors_translated():
            found = [each for row in rows if (each := usable(node_id, row))]
            last = whole(rows[-1]["created_index"]) if rows else after
            return Listed(found, last, len(rows) - len(found))

    async def latest(self, index: Literal["created", "updated"], subsystem: Subsystem = "invoices") -> int:
        """The current value of an index of the node's invoices, or of its payments."""
        with errors_translated():
            async with asyncio.timeout(self._rpc.timeout):
                params = _wait_for(subsystem, index, 0)
                reply = await self._rpc.call("wait", params, filter={index: True})
            return whole(reply[index])

    async def wait_for_update(self, node_id: str, after: int, subsystem: Subsystem = "invoices") -> int:
        """Wait until the updated index of this node is beyond `after`; returns it (lightning-wait(7)).

        Raises NodeReplaced.
        """
        params = _wait_for(subsystem, "updated", after + 1)
        waiting = asyncio.create_task(self._rpc.call("wait", params, filter={"updated": True}))
        # Asked once the wait is on its way: if it is not the same connection, the wait has failed.
        patience, check = 0.0, self.check_is
        try:
            while not (await asyncio.wait([waiting], timeout=patience))[0]:
                await check(node_id)
                patience, check = self._liveness, self._check_liveness
            with errors_translated():
                return whole((await waiting)["updated"])
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def updates(self, after: int, upto: int) -> Updates:
        """A page of what changed beyond the updated index `after`, of what is known to go to `upto`."""
        params = {"index": "updated", "start": after + 1, "limit": PAGE}
        rows = await self._list(params, UPDATE_FIELDS)
        with errors_translated():
            # Deleted rows leave gaps: a page that is not full goes to `upto` even if it ends before.
            more = len(rows) == PAGE
            last = whole(rows[-1]["updated_index"]) if rows else after
            return Updates([seen_in(row) for row in rows], last if more else max(last, upto), more)

    async def call(self, method: str, params: dict[str, Any], fields: dict[str, Any]) -> Any:
        """Call any method, for these fields of its result. Its errors are to be translated."""
        return await self._rpc.call(method, params, filter=fields)

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

    async def _find(self, **key: str) -> NodeInvoice | None:
        node_id = await self.identity()
        rows = await self._list(key, INVOICE_FIELDS)
        with errors_translated():
            return next((node_invoice(node_id, row) for row in rows), None)

    async def _list(self, params: dict[str, Any], fields: Iterable[str]) -> list[dict[str, Any]]:
        wanted = {"invoices": [dict.fromkeys(fields, True)]}
        with errors_translated():
            rows: list[dict[str, Any]] = (await self._rpc.call("listinvoices", params, filter=wanted))[
                "invoices"
            ]
            return rows

    async def _check_liveness(self, node_id: str) -> None:
        # A node that hangs would never end the wait.
        try:
            await self.info()
        except TillError:
            await self._rpc.hang_up()
            raise
        await self.check_is(node_id)


def _wait_for(subsystem: str, index: str, nextvalue: int) -> dict[str, Any]:
    return {"subsystem": subsystem, "indexname": index, "nextvalue": nextvalue}
