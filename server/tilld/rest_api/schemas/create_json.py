"""The body of a create: an invoice in the documented JSON."""

from typing import Annotated, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from tilld.errors import InvalidRequest
from tilld.formats.amounts import MAX_AMOUNT_MSAT
from tilld.invoices.terms import (
    CHANNEL,
    DEFAULT_EXPIRY_SECONDS,
    MAX_DESCRIPTION_BYTES,
    MAX_EXPIRY_SECONDS,
    MAX_EXPOSED_CHANNELS,
    InvoiceTerms,
)
from tilld.rest_api.schemas import body
from tilld.rest_api.schemas.fields import TEXT, Label, Metadata, described, given
from tilld.webhooks.http.targets import MAX_URL_BYTES

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
    expose_private_channels: (
        Annotated[
            bool
            | Annotated[
                list[Annotated[str, Meta(extra_json_schema={"pattern": f"^{CHANNEL}$"})]],
                Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_EXPOSED_CHANNELS}),
            ],
            described(
                "Private channels that the payment request may name as route hints: `true` allows all, "
                f"`false` none, a list of 1 to {MAX_EXPOSED_CHANNELS} short channel ids only these. "
                "If absent, lightningd chooses.",
                must_be="true, false or a list of short channel ids",
            ),
        ]
        | UnsetType
    ) = UNSET
    description_hash_only: Annotated[
        bool,
        described(
            "`true`: the payment request contains only the hash of the description, whatever its length."
        ),
    ] = False
    webhook: (
        Annotated[
            str,
            described(
                "URL that receives the event of the invoice's final state, as a webhook does. The response "
                "has `webhook` with the secret. Needs the scope `webhooks`.",
                minLength=1,
                maxLength=MAX_URL_BYTES,
                format="uri",
            ),
        ]
        | UnsetType
    ) = UNSET
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
    exposed = asked.expose_private_channels
    terms = InvoiceTerms.checked(
        amount_msat=None if isinstance(asked.msat, str) else asked.msat,
        description=given(asked.description),
        expiry=asked.expiry,
        metadata=bytes(asked.metadata).decode(),
        label=body.label(asked.label, idempotency_key),
        expose_private_channels=None if isinstance(exposed, UnsetType) else exposed,
        description_hash_only=asked.description_hash_only,
        webhook_url=given(asked.webhook),
        amount_field="msat",
    )
    return CreateRequest(terms, asked.watch_token)
