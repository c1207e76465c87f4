"""Payments of the node's own invoices. No money moves, but they take as long as other payments."""

import asyncio
import json
import secrets
from collections.abc import Awaitable

from lightningd_simulator.invoice_ledger import Invoice, Paid
from lightningd_simulator.node import Node
from lightningd_simulator.payment_ledger import Completed, Failed, Started
from lightningd_simulator.rpc.answers import Code, RpcError

_IN_PROGRESS = 200


def begin(node: Node, invoice: Invoice, amount_msat: int) -> Awaitable[None]:
    """Start a payment; return an awaitable of its arrival.

    Raises RpcError, immediately or when awaited.
    """
    earlier = node.spending.payment(invoice.issued.payment_hash)
    if earlier and earlier.status == "pending":
        problem = (
            f"Payment with groupid={earlier.started.groupid} still in progress, "
            "cannot retry before that completes."
        )
        error = json.dumps({"code": _IN_PROGRESS, "message": problem}, separators=(",", ":"))
        raise RpcError(Code.UNEXPECTED, f"Unexpected injectpaymentonion error {_IN_PROGRESS}: {error}")
    started = Started(
        payment_hash=invoice.issued.payment_hash,
        bolt12=invoice.issued.bolt11,
        invreq_id="",
        destination=node.id,
        amount_msat=amount_msat,
        groupid=secrets.randbits(63),
        created_at=int(node.clock()),
    )
    node.record_spending(started)
    return _arrived(node.spawn(settle(node, started)))


async def _arrived(settling: "asyncio.Task[RpcError | None]") -> None:
    # A payment continues after its caller disconnects.
    if refusal := await asyncio.shield(settling):
        raise refusal


async def settle(node: Node, started: Started) -> RpcError | None:
    """Complete a payment, or fail it and return the error."""
    if node.payment_seconds:
        await asyncio.sleep(node.payment_seconds)
    try:
        preimage = receive(node, started.payment_hash, started.amount_msat)
    except RpcError as refusal:
        node.record_spending(Failed(started.payment_hash, int(node.clock())))
        return refusal
    node.record_spending(Completed(started.payment_hash, preimage, int(node.clock())))
    return None


def unknown_invoice() -> RpcError:
    """Return the error of a payment that its destination rejects."""
    return RpcError(
        Code.DESTINATION_REFUSED,
        "Destination said it doesn't know invoice: incorrect_or_unknown_payment_details",
    )


def receive(node: Node, payment_hash: str, amount_msat: int) -> str:
    """Receive the payment of an invoice and return the preimage. A paid invoice is not paid twice.

    Raises RpcError if the invoice is not payable.
    """
    found = node.ledger.with_hash(payment_hash)
    if found and not found.payment and found.issued.expires_at <= node.clock():
        node.expire_due()
        found = node.ledger.with_hash(payment_hash)
    if not found or found.status == "expired":
        raise unknown_invoice()
    if not found.payment:
        node.record(Paid(found.created_index, amount_msat, int(node.clock())))
    return found.issued.payment_preimage
