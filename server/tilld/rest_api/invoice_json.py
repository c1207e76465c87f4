"""Invoices in the documented JSON: names, order, and formats of numbers and times."""

from datetime import datetime
from typing import Annotated, NamedTuple

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from tilld.errors import InvalidRequest
from tilld.formats.amounts import MAX_AMOUNT_MSAT
from tilld.formats.strict_json import write
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.terms import (
    DEFAULT_EXPIRY_SECONDS,
    MAX_DESCRIPTION_BYTES,
    MAX_EXPIRY_SECONDS,
    InvoiceTerms,
)
from tilld.rest_api import body
from tilld.rest_api.fields import (
    HASH,
    INVOICE_ID,
    TEXT,
    Label,
    Metadata,
    Time,
    described,
    extensible,
    given,
    optional,
)

ANY = "any"
MSAT = f'a whole number of millisatoshi, or "{ANY}"'


class CreateInvoice(Struct, forbid_unknown_fields=True):
    """An invoice to create."""

    msat: Annotated[
        Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": MAX_AMOUNT_MSAT})]
        | Annotated[str, Meta(extra_json_schema={"enum": [ANY]})],
        described(
            f'Amount in millisatoshi, or `"any"`: the payer chooses. 1 to {MAX_AMOUNT_MSAT:,}.',
            must_be=MSAT,
        ),
    ]
    metadata: Metadata
    description: (
        Annotated[
            str,
            described(
                "Text for the payer: at most 8 KiB, without control characters other than tab and line "
                "breaks. If it exceeds 639 bytes, the payment request contains only its hash.",
                maxLength=MAX_DESCRIPTION_BYTES,
                pattern=TEXT,
            ),
        ]
        | UnsetType
    ) = UNSET
    expiry: Annotated[
        int,
        described(
            "Seconds until the invoice expires, at most 365 days.",
            must_be="a whole number of seconds",
            minimum=1,
            maximum=MAX_EXPIRY_SECONDS,
        ),
    ] = DEFAULT_EXPIRY_SECONDS
    label: Label | UnsetType = UNSET
    watch_token: Annotated[bool, described("`true` adds a watch token for the payer's browser.")] = False


class CreateRequest(NamedTuple):
    """The terms of an invoice, and whether a watch token is requested."""

    terms: InvoiceTerms
    watch_token: bool


def create_request(raw: bytes, idempotency_key: str | None = None) -> CreateRequest:
    """Return the terms of an invoice. The header Idempotency-Key may give the label.

    Raises InvalidRequest or TooLarge, which name the field and the limit.
    """
    asked = body.read(raw, CreateInvoice)
    if isinstance(asked.msat, str) and asked.msat != ANY:
        raise InvalidRequest(f"msat must be {MSAT}")
    terms = InvoiceTerms.checked(
        amount_msat=None if isinstance(asked.msat, str) else asked.msat,
        description=given(asked.description),
        expiry=asked.expiry,
        metadata=bytes(asked.metadata).decode(),
        label=body.label(asked.label, idempotency_key),
        amount_field="msat",
    )
    return CreateRequest(terms, asked.watch_token)


class InvoiceJson(Struct):
    """An invoice."""

    status: Annotated[
        str,
        described(
            "`unpaid`, or a final state: `paid`, `expired`, `canceled`. Later versions may add others.",
            **extensible(Status),
        ),
    ]
    id: Annotated[str, described("Internal id.", pattern="^[0-9a-f]{24}$")] = field(name="_id")
    metadata: Metadata
    expires_at: Annotated[Time, described("When the invoice expires.")]
    created_at: Annotated[Time, described("When the invoice was created.")]
    msatoshi: Annotated[
        int | None, described("Requested amount, in msat; null: the payer chooses.", minimum=1)
    ]
    invoiceid: Annotated[str, described("Public id.", pattern=INVOICE_ID)]
    rhash: Annotated[str, described("Payment hash.", pattern=HASH)]
    payreq: Annotated[
        str,
        described(
            "Payment request (BOLT 11), which the payer scans. "
            "An invoice that was sent to collect has its BOLT 12 string here."
        ),
    ]
    username: Annotated[str, described("User who owns the invoice.")]
    description: Annotated[str, described("Text for the payer, if given.")] | UnsetType = UNSET
    label: Annotated[Label, described("Your own name for the invoice, if given.")] | UnsetType = UNSET
    paid_at: Annotated[Time, described("When the invoice was paid.")] | UnsetType = UNSET
    msatoshi_received: (
        Annotated[
            int,
            described("Received amount, in msat; a payer may send more than requested.", minimum=0),
        ]
        | UnsetType
    ) = UNSET
    pay_index: (
        Annotated[int, described("Position among all payments that the node received.", minimum=1)]
        | UnsetType
    ) = UNSET
    preimage: (
        Annotated[
            str, described("Proof of the payment, for keys with the scope `invoices:read`.", pattern=HASH)
        ]
        | UnsetType
    ) = UNSET
    watch_token: (
        Annotated[
            str,
            described(
                "Token with which a payer's browser reads and watches the invoice, if requested.",
                pattern="^watch_",
            ),
        ]
        | UnsetType
    ) = UNSET


def invoice(invoice: Invoice, watch_token: str | None = None) -> bytes:
    """Return an invoice as documented JSON."""
    return write(answer(invoice, watch_token))


def answer(invoice: Invoice, watch_token: str | None = None) -> InvoiceJson:
    """Return an invoice with the documented fields."""
    payment = invoice.payment
    return InvoiceJson(
        status=invoice.status,
        id=invoice.id,
        metadata=Raw(invoice.metadata),
        expires_at=time(invoice.expires_at),
        created_at=time(invoice.created_at),
        msatoshi=invoice.amount_msat,
        invoiceid=invoice.invoice_id,
        rhash=invoice.payment_hash,
        payreq=invoice.bolt11,
        username=invoice.username,
        description=optional(invoice.description),
        label=optional(invoice.label),
        paid_at=time(payment.paid_at) if payment else UNSET,
        msatoshi_received=payment.amount_received_msat if payment else UNSET,
        pay_index=payment.pay_index if payment else UNSET,
        preimage=optional(payment and payment.payment_preimage),
        watch_token=optional(watch_token),
    )


def time(time: datetime) -> str:
    """Return a time in UTC with milliseconds."""
    return f"{time.isoformat(timespec='milliseconds')[:23]}Z"
