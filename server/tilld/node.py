"""The lightningd behind Till: records in and out, its errors translated here and nowhere else."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from pyln.client import RpcError

from tilld.errors import Internal, NodeOffline, TillError, TookTooLong
from tilld.invoice import (
    MAX_BOLT11_DESCRIPTION_BYTES,
    Issued,
    NodeInvoice,
    Order,
    Payment,
    Seen,
    Status,
    is_invoice_id,
    utc,
)
from tilld.node_info import NodeInfo
from tilld.pipeline import ConnectionLost, Pipeline
from tilld.strict_json import text, whole

log = structlog.get_logger()

# lightning-invoice(7)
DUPLICATE_LABEL = 900

# Other users' invoices may have descriptions of megabytes, so only what is needed is asked for.
UPDATE_FIELDS = ("label", "status", "pay_index", "amount_received_msat", "paid_at", "updated_index")
PAGE = 1000


class MayExist(Exception):
    """The node has an invoice with this label, or may have: its reply was lost. Look it up."""


class Updates(NamedTuple):
    """What changed at the node: our invoices, up to an updated index, and whether there is more."""

    seen: list[Seen]
    updated_index: int
    more: bool


class Node:
    """lightningd on its unix socket.

    Methods raise NodeOffline at once where the node is not there, TookTooLong where it does not answer
    in time, and work again when it is back.
    """

    def __init__(self, rpc_file: Path, *, timeout: float = 10.0, liveness: float = 15.0) -> None:
        self._rpc = Pipeline(str(rpc_file), timeout)
        self._liveness = liveness
        self.last_info: NodeInfo | None = None
        self._last_info_is_of: object = None

    async def close(self) -> None:
        """Hang up; calls in flight raise NodeOffline."""
        await self._rpc.hang_up()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection; a node that hangs is hung up on in less than half a minute."""
        return self._rpc.connection is not None

    async def info(self) -> NodeInfo:
        """What the node says of itself (lightning-getinfo(7))."""
        with _errors_translated():
            self.last_info = NodeInfo.from_json(await self._rpc.getinfo())
        self._last_info_is_of = self._rpc.connection
        return self.last_info

    async def identity(self) -> str:
        """The public key of the node at the other end, asked for anew on every new connection."""
        connection = self._rpc.connection
        if self.last_info and connection and connection is self._last_info_is_of:
            return self.last_info.id
        return (await self.info()).id

    async def invoice(self, invoice_id: str, order: Order) -> Issued:
        """Create an invoice, labelled with its invoice_id (lightning-invoice(7)).

        Raises MayExist where only a look at the node can tell what became of it.
        """
        node_id = await self.identity()
        description = order.description or ""
        with _errors_translated(unknown_outcome=MayExist):
            reply = await self._rpc.invoice(
                amount_msat="any" if order.amount_msat is None else order.amount_msat,
                label=invoice_id,
                description=description,
                expiry=order.expiry,
                deschashonly=len(description.encode()) > MAX_BOLT11_DESCRIPTION_BYTES or None,
            )
            if await self.identity() != node_id:
                raise MayExist
            return _issued(node_id, reply)

    async def find(self, invoice_id: str) -> NodeInvoice | None:
        """Look an invoice up by its label (lightning-listinvoices(7))."""
        node_id = await self.identity()
        with _errors_translated():
            reply = await self._rpc.listinvoices(label=invoice_id)
            return next((_node_invoice(node_id, found) for found in reply["invoices"]), None)

    async def latest_update(self) -> int:
        """The current updated index of the node's invoices."""
        with _errors_translated():
            async with asyncio.timeout(self._rpc.timeout):
                reply = await self._rpc.call("wait", _wait_for(0))
            return whole(reply["updated"])

    async def wait_for_update(self, after: int) -> int:
        """Wait until the updated index is beyond `after`; returns it (lightning-wait(7))."""
        waiting = asyncio.create_task(self._rpc.call("wait", _wait_for(after + 1)))
        try:
            while not (await asyncio.wait([waiting], timeout=self._liveness))[0]:
                await self._check_liveness()
            with _errors_translated():
                return whole((await waiting)["updated"])
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def updates(self, after: int, upto: int) -> Updates:
        """A page of what changed beyond the updated index `after`, of what is known to go to `upto`."""
        wanted = {"invoices": [dict.fromkeys(UPDATE_FIELDS, True)]}
        params = {"index": "updated", "start": after + 1, "limit": PAGE}
        with _errors_translated():
            reply = await self._rpc.call("listinvoices", params, filter=wanted)
            rows = reply["invoices"]
            # Deleted rows leave gaps: a page that is not full goes to `upto` even if it ends before.
            more = len(rows) == PAGE
            last = whole(rows[-1]["updated_index"]) if rows else after
            seen = [_seen(row) for row in rows if is_invoice_id(row["label"])]
            return Updates(seen, last if more else max(last, upto), more)

    async def _check_liveness(self) -> None:
        # A node that hangs would never end the wait.
        try:
            await self.info()
        except TillError:
            await self._rpc.hang_up()
            raise


def _wait_for(nextvalue: int) -> dict[str, Any]:
    return {"subsystem": "invoices", "indexname": "updated", "nextvalue": nextvalue}


@contextmanager
def _errors_translated(unknown_outcome: type[Exception] | None = None) -> Iterator[None]:
    """Errors of the way to the node, and the node's own, in our words.

    `unknown_outcome` is raised where the node may have done what it was told.
    """
    try:
        yield
    except ConnectionLost as lost:
        if lost.sent and unknown_outcome:
            raise unknown_outcome from None
        raise NodeOffline from None
    except TimeoutError:
        if unknown_outcome:
            raise unknown_outcome from None
        raise TookTooLong("the lightning node takes too long to answer; try again later") from None
    except RpcError as refused:
        code, message = refused.error.get("code"), refused.error.get("message")
        if code == DUPLICATE_LABEL and unknown_outcome:
            raise unknown_outcome from None
        log.error("lightningd refused a call", method=refused.method, code=code, message=message)
        raise Internal from None
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as reason:
        log.error("lightningd's answer makes no sense", reason=repr(reason))
        raise Internal from None


def _issued(node_id: str, reply: dict[str, Any]) -> Issued:
    expires_at = utc(whole(reply["expires_at"]))
    return Issued(node_id, text(reply["payment_hash"]), text(reply["bolt11"]), expires_at)


def _node_invoice(node_id: str, row: dict[str, Any]) -> NodeInvoice:
    amount = row.get("amount_msat")
    return NodeInvoice(
        issued=_issued(node_id, row),
        amount_msat=None if amount is None else _msat(amount),
        description=text(row.get("description", "")) or None,
        seen=_seen(row),
    )


def _seen(row: dict[str, Any]) -> Seen:
    status = Status(row["status"])
    payment = None
    if status is Status.PAID:
        paid_at = utc(whole(row["paid_at"]))
        payment = Payment(whole(row["pay_index"]), _msat(row["amount_received_msat"]), paid_at)
    return Seen(text(row["label"]), status, payment)


def _msat(amount: int | str) -> int:
    """An amount as lightningd writes it: an integer, by older versions with "msat" behind it."""
    return whole(int(amount.removesuffix("msat")) if isinstance(amount, str) else amount)
