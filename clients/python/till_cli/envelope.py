"""Events as JSON: the envelope that REST and webhooks have."""

import json
import re
from datetime import UTC

from google.protobuf.timestamp_pb2 import Timestamp

from till.events import Event
from till.results import STATUS
from till.v1.invoice_pb2 import Invoice
from till.v1.invreq_pb2 import Invreq


def envelope(event: Event) -> str:
    """Return the envelope of an event. With events of all users it has their username and cursor."""
    message = event.message
    members = {
        "id": _json(event.id),
        "sequence": _json(event.sequence),
        "type": _json(event.type),
        "timestamp": _time(message.timestamp),
        "data": _data(event),
    }
    if event.cursor:
        members |= {"username": _json(event.username), "cursor": _json(event.cursor)}
    return _object(members)


def one_line(text: str) -> str:
    """Return JSON on one line of ASCII, which every terminal and line reader understands."""
    text = re.sub(r"[\t\n\r]", " ", text)
    return re.sub("[^ -~]", lambda found: json.dumps(found[0])[1:-1], text)


def _data(event: Event) -> str:
    message = event.message
    match message.WhichOneof("data"):
        case "invoice":
            return _invoice(message.invoice)
        case "invreq":
            return _invreq(message.invreq)
        case "invoice_import":
            return _object({"invoices": _json(message.invoice_import.invoices)})
        case "disabled_webhook":
            disabled = message.disabled_webhook
            return _object(
                {"id": _json(disabled.id), "url": _json(disabled.url), "reason": _json(disabled.reason)}
            )
    # Data that only a newer client knows.
    return "{}"


def _invoice(invoice: Invoice) -> str:
    payment = invoice.payment
    members = {
        "status": _json(STATUS.get(invoice.status, "unknown")),
        "_id": _json(invoice.id),
        # Not parsed: a float cannot hold all its numbers.
        "metadata": invoice.metadata,
        "expires_at": _time(invoice.expires_at),
        "created_at": _time(invoice.created_at),
        "msatoshi": _json(invoice.amount_msat if invoice.HasField("amount_msat") else None),
        "invoiceid": _json(invoice.invoice_id),
        "rhash": _json(invoice.payment_hash),
        "payreq": _json(invoice.bolt12 or invoice.bolt11),
        "username": _json(invoice.username),
    }
    for name in ("description", "label"):
        if invoice.HasField(name):
            members[name] = _json(getattr(invoice, name))
    if invoice.HasField("payment"):
        members |= {
            "paid_at": _time(payment.paid_at),
            "msatoshi_received": _json(payment.amount_received_msat),
            "pay_index": _json(payment.pay_index),
        }
        if payment.HasField("payment_preimage"):
            members["preimage"] = _json(payment.payment_preimage)
    return _object(members)


def _invreq(invreq: Invreq) -> str:
    members = {
        "invreq_id": _json(invreq.invreq_id),
        "active": _json(invreq.active),
        "single_use": _json(invreq.single_use),
        "bolt12": _json(invreq.bolt12),
        "used": _json(invreq.used),
    }
    if invreq.HasField("label"):
        members["label"] = _json(invreq.label)
    return _object(members)


def _object(members: dict[str, str]) -> str:
    """Return an object; its values are JSON."""
    return "{" + ",".join(f"{_json(name)}:{value}" for name, value in members.items()) + "}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _time(time: Timestamp) -> str:
    return _json(f"{time.ToDatetime(UTC).isoformat(timespec='milliseconds')[:23]}Z")
