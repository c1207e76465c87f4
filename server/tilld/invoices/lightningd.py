"""The rows of lightning-listinvoices(7), as records. One that makes no sense raises one of NONSENSE."""

from typing import Any

import structlog

from tilld.formats.strict_json import text, whole
from tilld.formats.times import utc
from tilld.invoices.invoice import InvoiceUpdate, IssuedInvoice, NodeInvoice, Payment, Status
from tilld.lightningd.errors import MALFORMED_REPLY, msat

log = structlog.get_logger()

# Other users' invoices may have descriptions of megabytes, so only what is needed is asked for.
SEEN_FIELDS = ("payment_hash", "status", "pay_index", "amount_received_msat", "paid_at")
UPDATE_FIELDS = (*SEEN_FIELDS, "updated_index")
INVOICE_FIELDS = (*SEEN_FIELDS, "label", "bolt11", "bolt12", "amount_msat", "expires_at", "created_index")


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
