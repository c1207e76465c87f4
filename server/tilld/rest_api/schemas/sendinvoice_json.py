"""POST /lightning/invoice/send, with the names and types of lightning-sendinvoice(7)."""

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from tilld.errors import InvalidRequest
from tilld.formats import amounts
from tilld.formats.strict_json import write
from tilld.formats.times import unix_seconds
from tilld.invoices.invoice import Status
from tilld.rest_api.schemas import body
from tilld.rest_api.schemas.fields import (
    HASH,
    PUBLIC_ID,
    Amount,
    Label,
    Metadata,
    described,
    extensible,
    given,
    optional,
)
from tilld.sent_invoices.attempt import (
    DEFAULT_TIMEOUT_SECONDS,
    MAX_INVREQ_BYTES,
    MAX_QUANTITY,
    MAX_TIMEOUT_SECONDS,
    SendTerms,
    Sent,
)


class SendInvoice(Struct, forbid_unknown_fields=True):
    """An invoice to send for an invoice request."""

    invreq: Annotated[
        str,
        described("Invoice request of another node, which starts with `lnr1`.", maxLength=MAX_INVREQ_BYTES),
    ]
    label: Label | UnsetType = UNSET
    amount_msat: (
        Annotated[
            Amount,
            described(
                "Amount to collect, at most the offered amount, which is the default. A number of "
                'millisatoshi, or a string such as `"10000sat"`.',
                must_be=amounts.FORMS,
            ),
        ]
        | UnsetType
    ) = UNSET
    timeout: Annotated[
        int,
        described(
            "Seconds to wait for the payment.",
            must_be="a whole number of seconds",
            minimum=1,
            maximum=MAX_TIMEOUT_SECONDS,
        ),
    ] = DEFAULT_TIMEOUT_SECONDS
    quantity: (
        Annotated[
            int,
            described(
                "Number of items. Only if the invoice request asks for a quantity.",
                minimum=1,
                maximum=MAX_QUANTITY,
            ),
        ]
        | UnsetType
    ) = UNSET
    metadata: (
        Annotated[
            Metadata,
            described(
                'As for other invoices. Default: an object with the type of the key, or `"sendinvoice"`.'
            ),
        ]
        | UnsetType
    ) = UNSET


def send_terms(raw: bytes, key_type: str | None, idempotency_key: str | None = None) -> SendTerms:
    """Return the terms of an invoice to send. The header Idempotency-Key may give the label.

    Raises InvalidRequest or TooLarge, which name the field and the limit.
    """
    asked = body.read(raw, SendInvoice)
    label = body.label(asked.label, idempotency_key)
    if label is None:
        raise InvalidRequest("label is missing")
    amount, metadata = asked.amount_msat, given(asked.metadata)
    return SendTerms.checked(
        invreq=asked.invreq,
        label=label,
        amount_msat=None if isinstance(amount, UnsetType) else amounts.msat(amount, "amount_msat"),
        timeout=asked.timeout,
        quantity=given(asked.quantity),
        metadata=None if metadata is None else bytes(metadata).decode(),
        key_type=key_type,
    )


class SentInvoiceJson(Struct, kw_only=True):
    """An invoice that was sent and paid."""

    label: Label | UnsetType
    bolt12: Annotated[str, described("The invoice.")]
    payment_hash: Annotated[str, described("Hash of the preimage.", pattern=HASH)]
    amount_msat: Annotated[int, described("Requested amount, in msat.", minimum=1)] | UnsetType
    status: Annotated[str, described("Always `paid`.", **extensible([Status.PAID]))]
    pay_index: (
        Annotated[int, described("Position among all payments that the node received.", minimum=1)]
        | UnsetType
    )
    amount_received_msat: Annotated[int, described("Received amount, in msat.", minimum=0)] | UnsetType
    paid_at: Annotated[int, described("When the invoice was paid, in seconds since 1970 (UTC).")] | UnsetType
    payment_preimage: Annotated[str, described("Proof of the payment.", pattern=HASH)]
    description: Annotated[str, described("Purpose of the invoice request.")]
    expires_at: Annotated[int, described("When the invoice would have expired, in seconds since 1970 (UTC).")]
    created_index: Annotated[int, described("Position among all invoices created on the node.")]
    updated_index: (
        Annotated[int, described("Position among all changes of invoices on the node.")] | UnsetType
    ) = UNSET
    invoiceid: Annotated[
        str, described("Public id. The invoice can be read and watched like any other.", pattern=PUBLIC_ID)
    ]


def sent_invoice(sent: Sent) -> bytes:
    """Return a paid invoice that was sent, as JSON in the node's format."""
    invoice, payment = sent.invoice, sent.invoice.payment
    return write(
        SentInvoiceJson(
            label=optional(invoice.label),
            bolt12=invoice.bolt11,
            payment_hash=invoice.payment_hash,
            amount_msat=optional(invoice.amount_msat),
            status=invoice.status,
            pay_index=payment.pay_index if payment else UNSET,
            amount_received_msat=payment.amount_received_msat if payment else UNSET,
            paid_at=unix_seconds(payment.paid_at) if payment else UNSET,
            payment_preimage=sent.payment_preimage,
            # The schema requires a description, though an invoice request may lack one.
            description=invoice.description or "",
            expires_at=unix_seconds(invoice.expires_at),
            created_index=sent.created_index,
            updated_index=optional(sent.updated_index),
            invoiceid=invoice.invoice_id,
        )
    )
