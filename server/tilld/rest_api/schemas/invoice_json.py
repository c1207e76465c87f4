"""Invoices in the documented JSON: names, order, and formats of numbers and times."""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Raw, Struct, UnsetType, field

from tilld.formats.strict_json import write
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.payability import PayabilityStatus
from tilld.invoices.service import NewInvoice
from tilld.rest_api.schemas.fields import (
    HASH,
    PUBLIC_ID,
    Label,
    Metadata,
    Time,
    described,
    extensible,
    optional,
)


class PayabilityJson(Struct):
    """The node's estimate of whether a new invoice can be paid."""

    status: Annotated[
        str,
        described(
            "`ok`; `insufficient`: the channels cannot receive the amount; `offline`: they could if their "
            "peers were online; `private_only`: they could if the payment request named private channels; "
            "`unknown`: no estimate. Later versions may add others.",
            **extensible(PayabilityStatus),
        ),
    ]
    detail: Annotated[
        str, described("For the operator: what is wrong, and what helps; empty if nothing is wrong.")
    ]


class InvoiceWebhookJson(Struct):
    """The webhook of an invoice, which receives the event of its final state."""

    id: Annotated[str, described("Id of the webhook.", pattern=PUBLIC_ID)]
    secret: Annotated[
        str,
        described("The secret that signs; a repeated create returns the same.", pattern="^whsec_"),
    ]


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
    invoiceid: Annotated[str, described("Public id.", pattern=PUBLIC_ID)]
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
    payability: (
        Annotated[PayabilityJson, described("Whether it can be paid. Only in the response to a create.")]
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

    webhook: (
        Annotated[
            InvoiceWebhookJson, described("Its webhook, if requested. Only in the response to a create.")
        ]
        | UnsetType
    ) = UNSET


def invoice(invoice: Invoice, watch_token: str | None = None) -> bytes:
    """Return an invoice as documented JSON."""
    return write(answer(invoice, watch_token))


def created(made: NewInvoice, watch_token: str | None) -> bytes:
    """Return the result of a create as documented JSON."""
    response = answer(made.invoice, watch_token)
    response.payability = PayabilityJson(*made.payability)
    if made.webhook:
        response.webhook = InvoiceWebhookJson(made.webhook.id, made.webhook.secret)
    return write(response)


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
