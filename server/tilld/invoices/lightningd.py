"""What lightningd is asked about invoices, and its answers as records."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import structlog

from tilld.formats.strict_json import text, whole
from tilld.formats.times import utc
from tilld.invoices.invoice import InvoiceUpdate, IssuedInvoice, NodeInvoice, Payment, Status
from tilld.invoices.terms import MAX_BOLT11_DESCRIPTION_BYTES, InvoiceTerms
from tilld.lightningd.errors import MALFORMED_REPLY, MayExist, errors_translated, msat
from tilld.lightningd.node import Node
from tilld.lightningd.updates import Updates

log = structlog.get_logger()

# Other users' invoices may have descriptions of megabytes, so only what is needed is asked for.
SEEN_FIELDS = ("payment_hash", "status", "pay_index", "amount_received_msat", "paid_at")
UPDATE_FIELDS = (*SEEN_FIELDS, "updated_index")
INVOICE_FIELDS = (*SEEN_FIELDS, "label", "bolt11", "bolt12", "amount_msat", "expires_at", "created_index")


class Listed(NamedTuple):
    """A page of the node's invoices, up to a created index.

    Passed over, and counted, are others' that Till can't hold: of offers, of more money than there is,
    open to the end of time.
    """

    invoices: list[NodeInvoice]
    created_index: int
    passed_over: int


class InvoiceNode(Node):
    """The node, with its invoices."""

    async def invoice(self, invoice_id: str, order: InvoiceTerms) -> IssuedInvoice:
        """Create an invoice, labelled with its invoice_id (lightning-invoice(7)).

        Raises MayExist where only a look at the node can tell what became of it.
        """
        node_id = await self.identity()
        description = order.description or ""
        with errors_translated(unknown_outcome=MayExist):
            reply = await self.rpc.invoice(
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
        params = {"index": "created", "start": after + 1, "limit": self.page_size}
        rows = await self._list(params, INVOICE_FIELDS)
        with errors_translated():
            found = [each for row in rows if (each := usable(node_id, row))]
            last = whole(rows[-1]["created_index"]) if rows else after
            return Listed(found, last, len(rows) - len(found))

    async def updates(self, after: int, upto: int) -> Updates[InvoiceUpdate]:
        """A page of what changed beyond the updated index `after`, of what is known to go to `upto`."""
        params = {"index": "updated", "start": after + 1, "limit": self.page_size}
        rows = await self._list(params, UPDATE_FIELDS)
        with errors_translated():
            changed = [(seen_in(row), whole(row["updated_index"])) for row in rows]
        return Updates.page(changed, after, upto, self.page_size)

    async def _find(self, **key: str) -> NodeInvoice | None:
        node_id = await self.identity()
        rows = await self._list(key, INVOICE_FIELDS)
        with errors_translated():
            return next((node_invoice(node_id, row) for row in rows), None)

    async def _list(self, params: dict[str, Any], fields: Iterable[str]) -> list[dict[str, Any]]:
        wanted = {"invoices": [dict.fromkeys(fields, True)]}
        with errors_translated():
            rows: list[dict[str, Any]] = (await self.rpc.call("listinvoices", params, filter=wanted))[
                "invoices"
            ]
            return rows


def issued(node_id: str, reply: dict[str, Any]) -> IssuedInvoice:
    """What was issued."""
    expires_at = utc(whole(reply["expires_at"]))
    bolt11 = reply["bolt11" if "bolt11" in reply else "bolt12"]
    return IssuedInvoice(node_id, text(reply["payment_hash"]), text(bolt11), expires_at)


def node_invoice(node_id: str, row: dict[str, Any]) -> NodeInvoice:
    """A row with INVOICE_FIELDS."""
    amount = row.get("amount_msat")
    return NodeInvoice(
        label=text(row["label"]),
        created_index=whole(row["created_index"]),
        amount_msat=None if amount is None else msat(amount),
        issued=issued(node_id, row),
        seen=seen_in(row),
    )


def usable(node_id: str, row: dict[str, Any]) -> NodeInvoice | None:
    """A row with INVOICE_FIELDS, or None where Till can't hold it."""
    if not row.keys() & {"bolt11", "bolt12"}:
        return None
    try:
        return node_invoice(node_id, row)
    except MALFORMED_REPLY as reason:
        log.warning("an invoice of the node is passed over", label=row.get("label"), reason=str(reason))
        return None


def seen_in(row: dict[str, Any]) -> InvoiceUpdate:
    """What became of it: a row with SEEN_FIELDS."""
    status = Status(row["status"])
    payment = None
    if status is Status.PAID:
        paid_at = utc(whole(row["paid_at"]))
        payment = Payment(whole(row["pay_index"]), msat(row["amount_received_msat"]), paid_at)
    return InvoiceUpdate(text(row["payment_hash"]), status, payment)
