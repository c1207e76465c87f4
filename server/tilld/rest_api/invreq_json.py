"""An invoice request as lightning-invoicerequest(7) has it: its names, their order."""

import json
from collections.abc import Iterable
from typing import Any

from tilld.payouts.invreq import Invreq

_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def invreq(invreq: Invreq) -> str:
    """One of them. The label is the caller's own."""
    return _text(_fields(invreq))


def invreqs(invreqs: Iterable[Invreq]) -> str:
    """A list of them."""
    return _text({"invoicerequests": [_fields(each) for each in invreqs]})


def _fields(invreq: Invreq) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "invreq_id": invreq.invreq_id,
        "active": invreq.active,
        "single_use": invreq.single_use,
        "bolt12": invreq.bolt12,
        "used": invreq.used,
    }
    return fields if invreq.label is None else {**fields, "label": invreq.label}
