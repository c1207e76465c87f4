"""The documented request: POST /lightning/invoicerequest/create, in the words of the manual page."""

from datetime import datetime
from typing import Any

from tilld.errors import InvalidRequest
from tilld.formats import amounts
from tilld.formats.times import stored_time
from tilld.payouts.invreq import InvreqTerms
from tilld.rest_api import body as parse

FIELDS = ("amount", "description", "issuer", "label", "absolute_expiry", "single_use")
# The end of the year 9999: no calendar goes further.


def invreq_order(body: bytes, idempotency_key: str | None = None) -> InvreqTerms:
    """Read a body: amount and description, and if wanted issuer, label, absolute_expiry, single_use.

    The header Idempotency-Key is another way to give the label. Raises InvalidRequest or TooLarge, naming
    the field and the limit.
    """
    members = parse.object_of(body, FIELDS, required=("amount", "description"))
    values = {name: member.value for name, member in members.items()}
    return InvreqTerms.checked(
        amount_msat=amounts.msat(values["amount"], "amount"),
        description=parse.text(values, "description") or "",
        issuer=parse.text(values, "issuer"),
        label=parse.label(values, idempotency_key),
        absolute_expiry=_time(values),
        single_use=parse.flag(values, "single_use"),
        amount_field="amount",
        expiry_field="absolute_expiry",
    )


def _time(values: dict[str, Any]) -> datetime | None:
    what = "a whole number of seconds since 1970 (UTC)"
    seconds = parse.whole(values, "absolute_expiry", what)
    if seconds is None:
        return None
    if seconds < 0:
        raise InvalidRequest(f"absolute_expiry must be {what}")
    return stored_time(seconds)
