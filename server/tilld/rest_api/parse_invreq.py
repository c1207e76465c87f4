"""The documented request: POST /lightning/invoicerequest/create, in the words of the manual page."""

import reprlib
from datetime import datetime
from typing import Any

from tilld import amounts, strict_json
from tilld.errors import InvalidRequest, TooLarge
from tilld.invoice import utc
from tilld.invreq import InvreqOrder
from tilld.rest_api.parse import MAX_BODY_BYTES

FIELDS = ("amount", "description", "issuer", "label", "absolute_expiry", "single_use")
# The end of the year 9999: no calendar goes further.
MAX_SECONDS = 253_402_300_799


def invreq_order(body: bytes, idempotency_key: str | None = None) -> InvreqOrder:
    """Read a body: amount and description, and if wanted issuer, label, absolute_expiry, single_use.

    The header Idempotency-Key is another way to give the label. Raises InvalidRequest or TooLarge, naming
    the field and the limit.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body must have at most {MAX_BODY_BYTES} bytes")
    values = {name: member.value for name, member in strict_json.members(body, "the body").items()}
    for name in values.keys() - FIELDS:
        raise InvalidRequest(f"unknown field {reprlib.repr(name)}: there are {', '.join(FIELDS)}")
    for name in ("amount", "description"):
        if name not in values:
            raise InvalidRequest(f"{name} is missing")
    return InvreqOrder.checked(
        amount_msat=amounts.msat(values["amount"], "amount"),
        description=_typed(values, "description", str, "a string"),
        issuer=_typed(values, "issuer", str, "a string"),
        label=_label(values, idempotency_key),
        absolute_expiry=_time(values),
        single_use=_typed(values, "single_use", bool, "true or false"),
        amount_field="amount",
    )


def _typed(values: dict[str, Any], name: str, kind: type, what: str) -> Any:
    if name in values and type(values[name]) is not kind:
        raise InvalidRequest(f"{name} must be {what}")
    return values.get(name)


def _label(values: dict[str, Any], idempotency_key: str | None) -> str | None:
    label: str | None = _typed(values, "label", str, "a string")
    if None not in (label, idempotency_key) and label != idempotency_key:
        raise InvalidRequest("label and the header Idempotency-Key differ: give one of them")
    return idempotency_key if label is None else label


def _time(values: dict[str, Any]) -> datetime | None:
    what = "a whole number of seconds since 1970 (UTC)"
    seconds = _typed(values, "absolute_expiry", int, what)
    if seconds is None:
        return None
    if not 0 <= seconds <= MAX_SECONDS:
        raise InvalidRequest(f"absolute_expiry must be {what}, in the years to 9999")
    return utc(seconds)
