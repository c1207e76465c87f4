"""Invoices and the node as the documented JSON: names, their order, formats of numbers and times."""

from datetime import datetime
from typing import Any, NamedTuple

from tilld.errors import InvalidRequest
from tilld.formats.strict_json import write
from tilld.invoices.invoice import Invoice
from tilld.invoices.service import Info
from tilld.invoices.terms import InvoiceTerms
from tilld.lightningd.info import NodeAddress, NodeInfo
from tilld.rest_api import body

FIELDS = ("msat", "metadata", "description", "expiry", "label", "watch_token")


class CreateRequest(NamedTuple):
    """The terms of an invoice, and whether it comes with a watch token."""

    terms: InvoiceTerms
    watch_token: bool


def create_request(raw: bytes, idempotency_key: str | None = None) -> CreateRequest:
    """Read a body: msat and metadata, and if wanted description, expiry (seconds), label, watch_token.

    The header Idempotency-Key is another way to give the label. Raises InvalidRequest or TooLarge, naming
    the field and the limit.
    """
    members = body.object_of(raw, FIELDS, required=("msat", "metadata"))
    values = {name: member.value for name, member in members.items()}
    if not isinstance(values["metadata"], dict):
        raise InvalidRequest("metadata must be an object")
    terms = InvoiceTerms.checked(
        amount_msat=_amount(values["msat"]),
        description=body.text(values, "description"),
        expiry=body.seconds(values, "expiry"),
        metadata=members["metadata"].text,
        label=body.label(values, idempotency_key),
        amount_field="msat",
    )
    return CreateRequest(terms, bool(body.flag(values, "watch_token")))


def _amount(value: Any) -> int | None:
    if value == "any":
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRequest('msat must be a whole number of millisatoshi, or "any"')
    return value


def invoice(invoice: Invoice, watch_token: str | None = None) -> str:
    """Return an invoice as documented, followed by what the document does not have."""
    rest: dict[str, Any] = {
        "expires_at": _time(invoice.expires_at),
        "created_at": _time(invoice.created_at),
        "msatoshi": invoice.amount_msat,
        "invoiceid": invoice.invoice_id,
        "rhash": invoice.payment_hash,
        "payreq": invoice.bolt11,
        "username": invoice.username,
    }
    if invoice.description is not None:
        rest["description"] = invoice.description
    if invoice.label is not None:
        rest["label"] = invoice.label
    if invoice.payment:
        rest["paid_at"] = _time(invoice.payment.paid_at)
        rest["msatoshi_received"] = invoice.payment.amount_received_msat
        rest["pay_index"] = invoice.payment.pay_index
    if watch_token is not None:
        rest["watch_token"] = watch_token
    # The metadata is JSON already: parsed and written anew it would not be what came.
    head = f'{{"status":"{invoice.status}","_id":"{invoice.id}","metadata":{invoice.metadata},'
    return head + write(rest)[1:]


def info(info: Info) -> str:
    """Return the totals and the node as documented."""
    return write(
        {
            "invoices": info.totals.invoices,
            "volume": info.totals.volume_msat,
            "node": info.node and info.node.id,
            "online": info.online,
            "nodeinfo": info.node and _node(info.node),
        }
    )


def _node(node: NodeInfo) -> dict[str, Any]:
    return {
        "id": node.id,
        "alias": node.alias,
        "color": node.color,
        "num_peers": node.num_peers,
        "num_pending_channels": node.num_pending_channels,
        "num_active_channels": node.num_active_channels,
        "num_inactive_channels": node.num_inactive_channels,
        "address": [_address(each) for each in node.address],
        "binding": [_address(each) for each in node.binding],
        "version": node.version,
        "blockheight": node.blockheight,
        "network": node.network,
        "msatoshi_fees_collected": node.fees_collected_msat,
        "fees_collected_msat": f"{node.fees_collected_msat}msat",
    }


def _address(address: NodeAddress) -> dict[str, Any]:
    fields = {"type": address.type, "address": address.address, "port": address.port}
    return {name: value for name, value in fields.items() if value is not None}


def _time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z")
