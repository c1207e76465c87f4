"""lightningd's commands for invoices, with their replies as records."""

import asyncio
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import structlog
from pyln.client import RpcError

from tilld.formats.times import utc
from tilld.invoices.invoice import InvoiceUpdate, IssuedInvoice, NodeInvoice, Payment, Status
from tilld.invoices.payability import Payability
from tilld.invoices.terms import InvoiceTerms
from tilld.lightningd.errors import MayExist, RpcCode, errors_translated
from tilld.lightningd.node import Node
from tilld.lightningd.replies import Msat, Reply, Seconds, Whole, fields, msat
from tilld.lightningd.updates import Updates

log = structlog.get_logger()

Row = TypeVar("Row")


class _SeenRow(Reply, frozen=True, kw_only=True):
    payment_hash: str
    status: Status
    pay_index: Whole | None = None
    amount_received_msat: Msat | None = None
    paid_at: Seconds | None = None
    payment_preimage: str | None = None


class _UpdateRow(_SeenRow, frozen=True, kw_only=True):
    updated_index: Whole


class InvoiceRow(_SeenRow, frozen=True, kw_only=True):
    """An invoice without its description: other applications' descriptions may take megabytes."""

    label: str
    bolt11: str | None = None
    bolt12: str | None = None
    amount_msat: Msat | None = None
    expires_at: Seconds
    created_index: Whole


class _DescriptionRow(Reply, frozen=True):
    description: str | None = None


class _CreatedRow(Reply, frozen=True):
    created_index: Whole


class _NewInvoice(Reply, frozen=True):
    payment_hash: str
    bolt11: str
    expires_at: Seconds


class InvoiceRows(Reply, Generic[Row], frozen=True):
    """The reply to listinvoices."""

    invoices: list[Row]


class Deletion(Reply, frozen=True):
    """The description of a deleted invoice (lightning-wait(7))."""

    status: Status
    bolt11: str | None = None
    bolt12: str | None = None


class Deleted(Reply, frozen=True):
    """The reply to a wait for the deleted index; without a description if the index was exceeded already."""

    deleted: Whole
    # "details" is the name up to v24.11.
    details: Deletion | None = None
    invoices: Deletion | None = None

    @property
    def deletion(self) -> Deletion | None:
        """The deletion that ended the wait."""
        return self.invoices or self.details


class Listed(NamedTuple):
    """A page of the node's invoices, up to a created index.

    `passed_over` counts rows that Till cannot hold. Examples are invoices of offers, amounts above 21 million
    bitcoin, and expiries beyond the range of dates.
    """

    invoices: list[NodeInvoice]
    created_index: int
    passed_over: int


class InvoiceNode(Node):
    """The node's invoice commands."""

    async def invoice(self, invoice_id: str, order: InvoiceTerms) -> IssuedInvoice:
        """Create an invoice with its invoice_id as label (lightning-invoice(7)).

        Raises MayExist if only a lookup can show whether the node created the invoice. Raises InvalidRequest
        if none of the order's short channel ids is usable; lightningd checks them before the label.
        """
        node_id = await self.identity()
        params = {
            "amount_msat": "any" if order.amount_msat is None else order.amount_msat,
            "label": invoice_id,
            "description": order.description or "",
            "expiry": order.expiry,
            "exposeprivatechannels": order.expose_private_channels,
            "deschashonly": order.description_hash_only or None,
        }
        with errors_translated(unknown_outcome=MayExist):
            # Unfiltered: later versions of lightningd may send new warnings.
            reply = await self.rpc.call("invoice", params)
            made = msgspec.convert(reply, _NewInvoice)
        if await self.identity() != node_id:
            raise MayExist
        return IssuedInvoice(
            node_id, made.payment_hash, made.bolt11, utc(made.expires_at), Payability.of(reply)
        )

    async def find(self, label: str) -> NodeInvoice | None:
        """Return the invoice with a label, or None (lightning-listinvoices(7))."""
        return await self._find(label=label)

    async def find_by_payment_hash(self, payment_hash: str) -> NodeInvoice | None:
        """Return the invoice with a payment hash, or None."""
        return await self._find(payment_hash=payment_hash)

    async def delete_unpaid(self, label: str) -> bool:
        """Delete an unpaid invoice (lightning-delinvoice(7)). Return False if it has another status.

        Raises MayExist if only a lookup can show the outcome.
        """
        with errors_translated(unknown_outcome=MayExist):
            try:
                await self.call("delinvoice", {"label": label, "status": Status.UNPAID.value})
            except RpcError as refused:
                code = refused.error.get("code")
                if code not in (RpcCode.UNKNOWN_INVOICE, RpcCode.UNEXPECTED_STATUS):
                    raise
                return bool(code == RpcCode.UNKNOWN_INVOICE)
        return True

    async def description(self, payment_hash: str) -> str | None:
        """Return the full description of an invoice; its payment request may have only the hash."""
        rows = await self._list(InvoiceRows[_DescriptionRow], {"payment_hash": payment_hash})
        return rows[0].description if rows else None

    async def invoices(self, after: int) -> Listed:
        """Return a page of invoices with a created index beyond `after`.

        The created index of an empty page is `after`.
        """
        node_id = await self.identity()
        params = {"index": "created", "start": after + 1, "limit": self.page_size}
        wanted = fields(InvoiceRows[InvoiceRow])
        with errors_translated():
            # A malformed row must not hide the others.
            reply = await self.ask(InvoiceRows[dict[str, Any]], "listinvoices", params, wanted)
            rows = reply.invoices
            last = msgspec.convert(rows[-1], _CreatedRow).created_index if rows else after
        found = [each for row in rows if (each := _usable(node_id, row))]
        return Listed(found, last, len(rows) - len(found))

    async def updates(self, after: int, upto: int) -> Updates[InvoiceUpdate]:
        """Return a page of updates beyond the updated index `after`, up to the known latest index `upto`."""
        params = {"index": "updated", "start": after + 1, "limit": self.page_size}
        rows = await self._list(InvoiceRows[_UpdateRow], params)
        with errors_translated():
            changed = [(_seen(row), row.updated_index) for row in rows]
        return Updates.page(changed, after, upto, self.page_size)

    def begin_wait_for_deletion(self, after: int) -> "asyncio.Task[Deleted]":
        """Begin to wait until the deleted index exceeds `after`. The caller ends the wait."""
        return self.begin_wait(Deleted, "deleted", after, "invoices")

    async def _find(self, **key: str) -> NodeInvoice | None:
        node_id = await self.identity()
        rows = await self._list(InvoiceRows[InvoiceRow], key)
        with errors_translated():
            return next((node_invoice(node_id, row) for row in rows), None)

    async def _list(self, reply: type[InvoiceRows[Row]], params: dict[str, Any]) -> list[Row]:
        with errors_translated():
            return (await self.ask(reply, "listinvoices", params)).invoices


def node_invoice(node_id: str, row: InvoiceRow) -> NodeInvoice:
    """Return the invoice of a row."""
    bolt11 = row.bolt11 or row.bolt12
    if bolt11 is None:
        raise msgspec.ValidationError("an invoice without bolt11 and bolt12")
    return NodeInvoice(
        label=row.label,
        created_index=row.created_index,
        amount_msat=None if row.amount_msat is None else msat(row.amount_msat),
        issued=IssuedInvoice(node_id, row.payment_hash, bolt11, utc(row.expires_at)),
        seen=_seen(row),
    )


def _usable(node_id: str, row: dict[str, Any]) -> NodeInvoice | None:
    """Return the invoice of a row, or None if Till cannot hold it."""
    if not row.keys() & {"bolt11", "bolt12"}:
        return None
    try:
        return node_invoice(node_id, msgspec.convert(row, InvoiceRow))
    except msgspec.ValidationError as reason:
        log.warning("node's invoice skipped", label=row.get("label"), reason=str(reason))
        return None


def _seen(row: _SeenRow) -> InvoiceUpdate:
    return InvoiceUpdate(row.payment_hash, row.status, _payment(row) if row.status is Status.PAID else None)


def _payment(row: _SeenRow) -> Payment:
    if row.pay_index is None or row.amount_received_msat is None or row.paid_at is None:
        raise msgspec.ValidationError("a paid invoice without pay_index, amount_received_msat or paid_at")
    return Payment(row.pay_index, msat(row.amount_received_msat), utc(row.paid_at), row.payment_preimage)
