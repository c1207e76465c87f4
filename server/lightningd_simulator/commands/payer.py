"""The payer's side of invoice requests: receives their invoices, and pays them."""

import asyncio
import json
import secrets
from collections.abc import Awaitable
from contextlib import suppress

from lightningd_simulator import own_payments
from lightningd_simulator.bolts.bolt12_messages import Bolt12Invoice
from lightningd_simulator.node import Node
from lightningd_simulator.payment_ledger import Completed, Failed, Started
from lightningd_simulator.peers import Refused, Unreachable
from lightningd_simulator.rpc.answers import NodeAborted, Result

# 21 million bitcoin in millisatoshi, more than any channel can have.
_ALL_BITCOIN_MSAT = 21_000_000 * 100_000_000_000
_RECONNECT_SECONDS = 0.2
_REQUEST_INVALID = 212


class _Complaint(Exception):
    """The payer's error about an invoice, for the node that sent it."""


def onionmessage(node: Node, *, sender: str, invoice: str) -> Result | Awaitable[Result]:
    """Receive an invoice from another node. Messages above the limit are dropped silently."""
    if not node.hears(sender):
        return {}
    return _answered(node.spawn(_pay(node, invoice)))


async def _answered(paying: "asyncio.Task[str | None]") -> Result:
    # A payment continues after its caller disconnects.
    complaint = await asyncio.shield(paying)
    return {} if complaint is None else {"invoice_error": complaint}


async def _pay(node: Node, string: str) -> str | None:
    try:
        started = _checked(node, Bolt12Invoice.read(string))
        await _reach(node, started.destination)
        # Another payment may have started meanwhile.
        _check_others(node, started)
        node.record_spending(started)
        await _settle(node, started)
    except (_Complaint, ValueError) as problem:
        return f"Failed invoice {string}: {problem}"
    return None


def resume(node: Node) -> None:
    """Resume the payments that were in flight when the node ended."""
    for payment in node.spending.pending():
        if payment.started.invreq_id:
            _ = node.spawn(_resumed(node, payment.started))
        else:
            _ = node.spawn(own_payments.settle(node, payment.started))


async def _resumed(node: Node, started: Started) -> None:
    # The sender of the invoice no longer waits.
    with suppress(_Complaint):
        await _settle(node, started)


def _checked(node: Node, invoice: Bolt12Invoice) -> Started:
    """Check an invoice, in lightningd's order."""
    if int(node.clock()) > invoice.expires_at:
        raise _Complaint("Expired invoice")
    request = node.spending.request(invoice.invreq_id)
    if not request:
        raise _Complaint(f"Unknown invoice_request {invoice.invreq_id}")
    if not request.active:
        raise _Complaint("invoice_request no longer available")
    if invoice.amount_msat > invoice.requested_msat:
        raise _Complaint("invoice amount is too large")
    if not invoice.amount_msat:
        raise _payment_failed("Invalid bolt12 invoice with zero amount")
    if invoice.amount_msat > _ALL_BITCOIN_MSAT:
        raise _payment_failed("Failed: We could not find a usable set of paths.")
    return Started(
        payment_hash=invoice.payment_hash,
        bolt12=invoice.string,
        invreq_id=invoice.invreq_id,
        destination=invoice.node_id,
        amount_msat=invoice.amount_msat,
        groupid=secrets.randbits(63),
        created_at=int(node.clock()),
    )


async def _reach(node: Node, destination: str) -> None:
    try:
        await node.peers.socket_of(destination)
    except Unreachable:
        raise _payment_failed("Failed: We could not find a usable set of paths.") from None


def _check_others(node: Node, started: Started) -> None:
    """Check that other payments do not exclude this one.

    Like lightningd, check only the first payment of the request: after a failed one, two may be in flight.
    """
    if node.spending.payment(started.payment_hash):
        raise _payment_failed("Already paid this invoice successfully")
    request = node.spending.request(started.invreq_id)
    first = node.spending.first_payment(started.invreq_id)
    if not request or not request.active:
        problem = f"Inactive invoice_request {started.invreq_id}"
    elif request.made.single_use and first and first.status == "pending":
        problem = f"Single-use invoice_request already in progress with {first.started.payment_hash}"
    else:
        return
    error = json.dumps({"code": _REQUEST_INVALID, "message": problem}, separators=(",", ":"))
    raise _payment_failed(f"Unexpected injectpaymentonion error {_REQUEST_INVALID}: {error}")


async def _settle(node: Node, started: Started) -> None:
    """Retry a payment until its outcome is known."""
    if node.payment_seconds:
        await asyncio.sleep(node.payment_seconds)
    while True:
        try:
            preimage = await node.peers.pay(started.destination, started.payment_hash, started.amount_msat)
        except Unreachable:
            await asyncio.sleep(_RECONNECT_SECONDS)
        except Refused as refused:
            node.record_spending(Failed(started.payment_hash, int(node.clock())))
            raise _payment_failed(str(refused)) from None
        else:
            return _arrived(node, started, preimage)


def _arrived(node: Node, started: Started, preimage: str) -> None:
    request = node.spending.request(started.invreq_id)
    if not request or not request.active:
        abort = NodeAborted(f"invreq_id {started.invreq_id} not active: it ended with a payment on its way")
        node.end(abort)
        raise abort
    node.record_spending(Completed(started.payment_hash, preimage, int(node.clock())))


def _payment_failed(message: str) -> _Complaint:
    return _Complaint(f"pay attempt failed: {json.dumps(message, ensure_ascii=False)}")
