"""Invoice requests as lightning-invoicerequest(7) has them: names, their order."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tilld.errors import InvalidRequest
from tilld.formats import amounts
from tilld.formats.strict_json import write
from tilld.formats.times import stored_time
from tilld.payouts.invreq import Invreq, InvreqTerms
from tilld.rest_api import body

FIELDS = ("amount", "description", "issuer", "label", "absolute_expiry", "single_use")


def invreq_terms(raw: bytes, idempotency_key: str | None = None) -> InvreqTerms:
    """Read a body: amount and description, and if wanted issuer, label, absolute_expiry, single_use.

    The header Idempotency-Key is another way to give the label. Raises InvalidRequest or TooLarge, naming
    the field and the limit.
    """
    members = body.object_of(raw, FIELDS, required=("amount", "description"))
    values = {name: member.value for name, member in members.items()}
    return InvreqTerms.checked(
        amount_msat=amounts.msat(values["amount"], "amount"),
        description=body.text(values, "description") or "",
        issuer=body.text(values, "issuer"),
        label=body.label(values, idempotency_key),
        absolute_expiry=_time(values),
        single_use=body.flag(values, "single_use"),
        amount_field="amount",
        expiry_field="absolute_expiry",
    )


def invreq(invreq: Invreq) -> str:
    """Return an invoice request. Its label is the caller's."""
    return write(_fields(invreq))


def invreqs(invreqs: Iterable[Invreq]) -> str:
    """Return a list of invoice requests."""
    return write({"invoicerequests": [_fields(each) for each in invreqs]})


def _fields(invreq: Invreq) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "invreq_id": invreq.invreq_id,
        "active": invreq.active,
        "single_use": invreq.single_use,
        "bolt12": invreq.bolt12,
        "used": invreq.used,
    }
    return fields if invreq.label is None else {**fields, "label": invreq.label}


def _time(values: dict[str, Any]) -> datetime | None:
    what = "a whole number of seconds since 1970 (UTC)"
    seconds = body.whole(values, "absolute_expiry", what)
    if seconds is None:
        return None
    if seconds < 0:
        raise InvalidRequest(f"absolute_expiry must be {what}")
    return stored_time(seconds)
