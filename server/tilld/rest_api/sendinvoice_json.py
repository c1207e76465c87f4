"""POST /lightning/invoice/send: names and types are those of lightning-sendinvoice(7)."""

from typing import Any

from tilld.errors import InvalidRequest
from tilld.formats import amounts
from tilld.formats.strict_json import write
from tilld.formats.times import unix_seconds
from tilld.rest_api import body
from tilld.sent_invoices.attempt import SendTerms, Sent

FIELDS = ("invreq", "label", "amount_msat", "timeout", "quantity", "metadata")


def send_terms(raw: bytes, key_type: str | None, idempotency_key: str | None = None) -> SendTerms:
    """Read a body: invreq and label, and if wanted amount_msat, timeout (seconds), quantity, metadata.

    The header Idempotency-Key is another way to give the label. Raises InvalidRequest or TooLarge, naming
    the field and the limit.
    """
    members = body.object_of(raw, FIELDS, required=("invreq",))
    values = {name: member.value for name, member in members.items()}
    label = body.label(values, idempotency_key)
    if label is None:
        raise InvalidRequest("label is missing")
    if "metadata" in values and not isinstance(values["metadata"], dict):
        raise InvalidRequest("metadata must be an object")
    return SendTerms.checked(
        invreq=body.text(values, "invreq") or "",
        label=label,
        amount_msat=amounts.msat(values["amount_msat"], "amount_msat") if "amount_msat" in values else None,
        timeout=body.seconds(values, "timeout"),
        quantity=body.whole(values, "quantity"),
        metadata=members["metadata"].text if "metadata" in members else None,
        key_type=key_type,
    )


def sent_invoice(sent: Sent) -> str:
    """Return an invoice that was sent and paid, as the node answers."""
    invoice, payment = sent.invoice, sent.invoice.payment
    fields: dict[str, Any] = {
        "label": invoice.label,
        "bolt12": invoice.bolt11,
        "payment_hash": invoice.payment_hash,
        "amount_msat": invoice.amount_msat,
        "status": invoice.status,
        "pay_index": payment and payment.pay_index,
        "amount_received_msat": payment and payment.amount_received_msat,
        "paid_at": payment and unix_seconds(payment.paid_at),
        "payment_preimage": sent.payment_preimage,
        # Required by the schema, though a request may have none.
        "description": invoice.description or "",
        "expires_at": unix_seconds(invoice.expires_at),
        "created_index": sent.created_index,
        "updated_index": sent.updated_index,
        "invoiceid": invoice.invoice_id,
    }
    return write({name: value for name, value in fields.items() if value is not None})
