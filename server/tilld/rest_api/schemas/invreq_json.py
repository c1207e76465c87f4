"""Invoice requests in the JSON of lightning-invoicerequest(7): names and order."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from tilld.formats import amounts
from tilld.formats.strict_json import write
from tilld.formats.times import EXPIRY_LIMIT, stored_time, unix_seconds
from tilld.payouts.invreq import MAX_DESCRIPTION_BYTES, MAX_ISSUER_BYTES, Invreq, InvreqTerms
from tilld.rest_api.schemas import body
from tilld.rest_api.schemas.fields import HASH, LINE, TEXT, Amount, Label, described, given, optional


class CreateInvreq(Struct, forbid_unknown_fields=True):
    """An invoice request to create."""

    amount: Amount
    description: Annotated[
        str,
        described(
            "Purpose, visible to anyone who has the string: 1 to 639 bytes without control characters "
            "other than tab and line breaks.",
            minLength=1,
            maxLength=MAX_DESCRIPTION_BYTES,
            pattern=TEXT,
        ),
    ]
    issuer: (
        Annotated[
            str,
            described(
                "Name of the payer: at most 128 bytes without control characters.",
                maxLength=MAX_ISSUER_BYTES,
                pattern=LINE,
            ),
        ]
        | UnsetType
    ) = UNSET
    label: Label | UnsetType = UNSET
    absolute_expiry: (
        Annotated[
            int,
            Meta(ge=0),
            described(
                "When the invoice request expires, in seconds since 1970 (UTC), in the future. Returns E1 "
                "unless the operator has set `TILLD_ALLOW_INVREQ_DISABLE=true`.",
                must_be="a whole number of seconds since 1970 (UTC)",
                maximum=unix_seconds(EXPIRY_LIMIT) - 1,
            ),
        ]
        | UnsetType
    ) = UNSET
    single_use: Annotated[
        bool,
        described(
            "`false` lets any number of payees collect it, if the operator has lifted the daily limit."
        ),
    ] = True


def invreq_terms(raw: bytes, idempotency_key: str | None = None) -> InvreqTerms:
    """Return the terms of an invoice request. The header Idempotency-Key may give the label.

    Raises InvalidRequest or TooLarge, which name the field and the limit.
    """
    asked = body.read(raw, CreateInvreq)
    expiry = given(asked.absolute_expiry)
    return InvreqTerms.checked(
        amount_msat=amounts.msat(asked.amount, "amount"),
        description=asked.description,
        issuer=given(asked.issuer),
        label=body.label(asked.label, idempotency_key),
        absolute_expiry=None if expiry is None else stored_time(expiry),
        single_use=asked.single_use,
        amount_field="amount",
        expiry_field="absolute_expiry",
    )


class InvreqJson(Struct):
    """An invoice request."""

    invreq_id: Annotated[str, described("Id of the invoice request.", pattern=HASH)]
    active: Annotated[bool, described("Whether the invoice request can be collected.")]
    single_use: Annotated[bool, described("Whether it can be collected only once.")]
    bolt12: Annotated[
        str, described("The invoice request. Anyone who has this string can collect.", pattern="^lnr1")
    ]
    used: Annotated[bool, described("Whether the invoice request was collected.")]
    label: Annotated[Label, described("Your own name for the invoice request, if given.")] | UnsetType = UNSET


def invreq(invreq: Invreq) -> bytes:
    """Return an invoice request as JSON, with the caller's label."""
    return write(answer(invreq))


def invreqs(invreqs: Iterable[Invreq]) -> bytes:
    """Return a list of invoice requests as JSON."""
    return write({"invoicerequests": [answer(each) for each in invreqs]})


def answer(invreq: Invreq) -> InvreqJson:
    """Return an invoice request with the documented fields."""
    return InvreqJson(
        invreq_id=invreq.invreq_id,
        active=invreq.active,
        single_use=invreq.single_use,
        bolt12=invreq.bolt12,
        used=invreq.used,
        label=optional(invreq.label),
    )
