"""Commands that decode invoices and pay them. Payer and payee are the same node, so no money moves."""

from collections.abc import Awaitable
from dataclasses import asdict
from typing import Any

from lightningd_simulator import own_payments
from lightningd_simulator.bolts import bolt11 as bolt11_invoices
from lightningd_simulator.bolts.bolt12_messages import Bolt12Invoice, InvoiceRequest
from lightningd_simulator.bolts.bolt12_offers import OfferString
from lightningd_simulator.invoice_ledger import Invoice
from lightningd_simulator.node import Node
from lightningd_simulator.rpc.answers import Code, Result, RpcError
from lightningd_simulator.rpc.parameters import BadParameter

# 21 million bitcoin in millisatoshi, more than any channel can have.
_ALL_BITCOIN_MSAT = 21_000_000 * 100_000_000_000


def decode(node: Node, *, string: str) -> Result:
    """Decode an invoice, an invoice request or an offer of any node."""
    try:
        if string.lower().startswith("lno1"):
            return OfferString.read(string).shown()
        if string.lower().startswith("lnr1"):
            return InvoiceRequest.read(string).shown()
        if string.lower().startswith("lni1"):
            return Bolt12Invoice.read(string).shown()
        string = string.lower()
        if not bolt11_invoices.looks_like_one(string):
            raise ValueError("Unparsable string")
        invoice = bolt11_invoices.read(string)
    except ValueError as problem:
        raise BadParameter("string", str(problem), string) from None
    shown = {"type": "bolt11 invoice", **asdict(invoice), "valid": True}
    return {name: value for name, value in shown.items() if value is not None}


def xpay(node: Node, *, invstring: str, amount_msat: int | None, **_: Any) -> Awaitable[Result]:
    """Pay an invoice of this node; a second payment fails."""
    found, amount = _payable(node, invstring, amount_msat)
    if found.payment:
        raise RpcError(Code.ALREADY_PAID, "Already paid this invoice successfully")
    result = {
        "payment_preimage": found.issued.payment_preimage,
        "amount_msat": amount,
        "amount_sent_msat": amount,
        "failed_parts": 0,
        "successful_parts": 1,
    }
    return _after(own_payments.begin(node, found, amount), result)


def pay(node: Node, *, bolt11: str, amount_msat: int | None, **_: Any) -> Result | Awaitable[Result]:
    """Pay an invoice of this node; a second call returns the first payment."""
    found, amount = _payable(node, bolt11, amount_msat)
    if found.payment:
        return {
            "payment_preimage": found.issued.payment_preimage,
            "status": "complete",
            "amount_msat": found.payment.amount_received_msat,
            "amount_sent_msat": found.payment.amount_received_msat,
            "destination": node.id,
            "payment_hash": found.issued.payment_hash,
            "created_at": found.payment.paid_at,
            "parts": 1,
        }
    result = {
        "payment_preimage": found.issued.payment_preimage,
        "amount_msat": amount,
        "amount_sent_msat": amount,
        "parts": 1,
        "destination": node.id,
        "payment_hash": found.issued.payment_hash,
        "status": "complete",
        "created_at": round(node.clock(), 6),
    }
    return _after(own_payments.begin(node, found, amount), result)


async def _after(paid: Awaitable[None], result: Result) -> Result:
    await paid
    return result


def _payable(node: Node, invstring: str, amount_msat: int | None) -> tuple[Invoice, int]:
    """Return the invoice to pay and the amount. Like lightningd, check the amount before the invoice."""
    found = node.ledger.with_bolt11(invstring)
    asked = found.issued.amount_msat if found else _amount_of_unknown(invstring)
    if asked is None and amount_msat is None:
        raise RpcError(Code.INVALID_PARAMS, "amount_msat required")
    if asked is not None and amount_msat is not None:
        raise RpcError(Code.INVALID_PARAMS, "amount_msat unnecessary")
    amount = asked or amount_msat
    if not amount:
        raise RpcError(Code.INVALID_PARAMS, "Cannot pay bolt11 invoice with zero amount")
    if amount > _ALL_BITCOIN_MSAT:
        raise RpcError(Code.NO_ROUTE, "Failed: We could not find a usable set of paths.")
    # In whole seconds: within the second of the expiry the payer still sends, and the payee rejects.
    if found and (ago := int(node.clock()) - found.issued.expires_at) > 0:
        raise RpcError(Code.INVOICE_EXPIRED, f"Invoice expired {ago} seconds ago")
    if not found:
        raise own_payments.unknown_invoice()
    return found, amount


def _amount_of_unknown(invstring: str) -> int | None:
    try:
        invoice = bolt11_invoices.read(invstring)
        if invoice.currency != bolt11_invoices.CURRENCY:
            raise ValueError(f"Prefix {invoice.currency} is not for regtest")
    except ValueError as problem:
        raise RpcError(Code.INVALID_PARAMS, f"Invalid bolt11 invoice: {problem}") from None
    return invoice.amount_msat
