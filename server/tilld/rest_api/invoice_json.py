"""The documented JSON: its names, their order, its number and time formats. Nobody else knows them."""

import json
from datetime import datetime
from typing import Any

from tilld.invoices.invoice import Invoice
from tilld.invoices.service import Info
from tilld.lightningd.info import NodeAddress, NodeInfo

_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def invoice(invoice: Invoice, watch_token: str | None = None) -> str:
    """An invoice as documented; behind that, what there is to say beyond it."""
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
    return head + _text(rest)[1:]


def info(info: Info) -> str:
    """Till and its node as documented."""
    return _text(
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
