"""The payee's side of invoice requests: sends an invoice, and waits for the payment."""

import asyncio
import secrets
from collections.abc import Awaitable
from hashlib import sha256

from lightningd_simulator.bolts.bolt12_messages import Bolt12Invoice, InvoiceRequest
from lightningd_simulator.commands.invoices import shown
from lightningd_simulator.invoice_ledger import Change, Created
from lightningd_simulator.node import Node
from lightningd_simulator.own_payments import receive, unknown_invoice
from lightningd_simulator.peers import Refused, Unreachable
from lightningd_simulator.rpc.answers import Code, Result, RpcError


def sendinvoice(
    node: Node, *, invreq: InvoiceRequest, label: str, amount_msat: int | None, timeout: int
) -> Awaitable[Result]:
    """Send an invoice to the node that requested it, which may be this one."""
    if existing := node.ledger.with_label(label):
        raise RpcError(Code.DUPLICATE_LABEL, "Duplicate label", shown(existing))
    payment_preimage = secrets.token_hex(32)
    payment_hash = sha256(bytes.fromhex(payment_preimage)).hexdigest()
    amount = invreq.amount_msat if amount_msat is None else amount_msat
    now = int(node.clock())
    invoice = Bolt12Invoice.made(
        node.private_key,
        invreq,
        amount_msat=amount,
        payment_hash=payment_hash,
        created_at=now,
        relative_expiry=timeout,
    ).string
    [change] = node.record(
        Created(label, invoice, payment_hash, payment_preimage, amount, invreq.description, now + timeout)
    )
    paid = node.waiters.for_payment_of(change.number)
    # Delivery continues after the caller disconnects.
    sending = node.spawn(_sent(node, invreq.payer_id, invoice))
    return _paid(paid, sending, invoice, timeout)


async def _paid(
    paid: asyncio.Future[Change], sending: "asyncio.Task[RpcError | None]", invoice: str, seconds: int
) -> Result:
    try:
        async with asyncio.timeout(seconds):
            await asyncio.wait((paid, sending), return_when=asyncio.FIRST_COMPLETED)
            if not paid.done() and (problem := sending.result()):
                raise problem
            return shown((await paid).invoice)
    except TimeoutError:
        raise RpcError(
            Code.PAYER_SILENT, "Failed: timeout waiting for response", {"invstring": invoice}
        ) from None
    finally:
        paid.cancel()


async def _sent(node: Node, payer_id: str, invoice: str) -> RpcError | None:
    try:
        payer = await node.peers.socket_of(payer_id)
    except Unreachable:
        return RpcError(
            Code.PAYER_UNREACHABLE,
            f"Failed: could not route or connect directly to {payer_id}: "
            '{"code":400,"message":"Unable to connect, no address known for peer"}',
        )
    try:
        complaint = await node.peers.deliver(payer, invoice)
    except (Unreachable, Refused):
        return None  # The invoice was sent: its state shows the outcome.
    if complaint is None or not node.hears(payer_id):
        return None
    return RpcError(Code.PAYER_REFUSED, "Remote node sent failure message", {"error": complaint})


def htlc(node: Node, *, payment_hash: str, amount_msat: int) -> Result:
    """Receive the payment of a sent invoice. Idempotent."""
    found = node.ledger.with_hash(payment_hash)
    if not found or not found.issued.is_bolt12:
        raise unknown_invoice()
    return {"payment_preimage": receive(node, payment_hash, amount_msat)}
