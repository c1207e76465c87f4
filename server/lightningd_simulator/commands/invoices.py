"""Commands that create, list, await and delete invoices."""

import asyncio
import secrets
from collections.abc import Awaitable
from hashlib import sha256

from lightningd_simulator.bolts import bolt11 as bolt11_invoices
from lightningd_simulator.bolts.bolt12_messages import Bolt12Invoice
from lightningd_simulator.channels import Exposed, choose
from lightningd_simulator.indexes import IndexName
from lightningd_simulator.invoice_ledger import (
    Change,
    Created,
    Deleted,
    DescriptionRemoved,
    Expired,
    Invoice,
    Paid,
    Status,
)
from lightningd_simulator.node import Node
from lightningd_simulator.rpc.answers import Code, Result, RpcError
from lightningd_simulator.rpc.requests import Value, unescaped

_LABEL_BYTES = 128
_DESCRIPTION_BYTES = 639


def invoice(
    node: Node,
    *,
    amount_msat: int | None,
    label: str,
    description: str,
    expiry: int,
    fallbacks: list[Value],
    preimage: str | None,
    exposeprivatechannels: Exposed,
    cltv: int,
    deschashonly: bool,
) -> Result:
    """Create an invoice."""
    if len(label.encode()) > _LABEL_BYTES:
        raise RpcError(Code.INVALID_PARAMS, f"Label '{label}' over {_LABEL_BYTES} bytes")
    length = len(description.encode())
    if length > _DESCRIPTION_BYTES and not deschashonly:
        raise RpcError(
            Code.INVALID_PARAMS,
            f"Description greater than {_DESCRIPTION_BYTES} bytes invalid (description length {length})",
        )
    if fallbacks:
        raise RpcError(Code.FAILED, "Fallback address not valid")
    # lightningd needs room for 1 msat if the payer chooses the amount.
    choice = choose(node.channels, amount_msat or 1, exposeprivatechannels)
    node.rotate(choice.hints)
    payment_preimage = preimage or secrets.token_hex(32)
    payment_hash = sha256(bytes.fromhex(payment_preimage)).hexdigest()
    now = int(node.clock())
    # Signing comes first: requests that abort lightningd do so for a known label, too.
    bolt11 = bolt11_invoices.sign(
        node.private_key,
        created_at=now,
        payment_preimage=payment_preimage,
        amount_msat=amount_msat,
        description=description,
        hash_only=deschashonly,
        expiry=expiry,
        cltv=cltv,
        hints=[channel.hop for channel in choice.hints],
    )
    if node.ledger.with_hash(payment_hash):
        raise RpcError(Code.DUPLICATE_PREIMAGE, "preimage already used")
    if node.ledger.with_label(label):
        raise RpcError(Code.DUPLICATE_LABEL, f"Duplicate label '{label}'")
    expires_at = now + expiry
    [change] = node.record(
        Created(label, bolt11, payment_hash, payment_preimage, amount_msat, description, expires_at)
    )
    return {
        "payment_hash": payment_hash,
        "expires_at": expires_at,
        "bolt11": bolt11,
        "payment_secret": bolt11_invoices.payment_secret(payment_preimage),
        "created_index": change.number,
        **choice.warnings,
    }


def listinvoices(
    node: Node,
    *,
    label: str | None,
    invstring: str | None,
    payment_hash: str | None,
    offer_id: str | None,
    index: IndexName | None,
    start: int,
    limit: int | None,
) -> Result:
    """List one invoice, a page of invoices, or all."""
    if sum(key is not None for key in (label, invstring, payment_hash, offer_id)) > 1:
        raise RpcError(
            Code.INVALID_PARAMS,
            "Can only specify one of {label}, {invstring}, {payment_hash} or {offer_id}",
        )
    if index is None and start != 0:
        raise RpcError(Code.INVALID_PARAMS, "Can only specify {start} with {index}")
    if index is None and limit is not None:
        raise RpcError(Code.INVALID_PARAMS, "Can only specify {limit} with {index}")
    ledger = node.ledger
    if label is not None:
        found = [ledger.with_label(label)]
    elif payment_hash is not None:
        found = [ledger.with_hash(payment_hash)]
    elif invstring is not None:
        found = [ledger.with_bolt11(invstring) or ledger.with_hash(_payment_hash(invstring))]
    elif offer_id is not None:
        found = []
    else:
        page = ledger.updated_since if index == "updated" else ledger.created_since
        found = list(page(start, limit))
    return {"invoices": [shown(invoice) for invoice in found if invoice]}


def _payment_hash(invstring: str) -> str:
    try:
        if invstring.startswith("lni1"):
            return Bolt12Invoice.read(invstring).payment_hash
        return bolt11_invoices.read(invstring).payment_hash
    except ValueError:
        raise RpcError(Code.INVALID_PARAMS, "Invalid invstring") from None


def delinvoice(node: Node, *, label: str, status: str, desconly: bool) -> Result:
    """Delete an invoice, or its description."""
    found = node.ledger.with_label(label)
    if not found:
        raise RpcError(Code.UNKNOWN_INVOICE, "Unknown invoice")
    if found.status != status:
        raise RpcError(
            Code.UNEXPECTED_STATUS,
            f"Invoice status is {found.status} not {status}",
            {"current_status": found.status, "expected_status": status},
        )
    if not desconly:
        node.record(Deleted(found.created_index))
        return shown(found)
    if found.description is None:
        raise RpcError(Code.NO_DESCRIPTION, "Invoice description already removed")
    node.record(DescriptionRemoved(found.created_index))
    # Like lightningd's, the reply lacks the new updated_index.
    return {name: value for name, value in shown(found).items() if name != "description"}


def details(change: Change) -> Result:
    """Return the details of a change for `wait`."""
    label = unescaped(change.invoice.issued.label)
    status: Status = change.invoice.status
    match change.event:
        case Created() | Deleted():
            return {"status": status, "label": label, **_invstring(change.invoice.issued)}
        case Paid():
            return {"status": status, "label": label}
        case Expired():
            return {"status": status}
        case DescriptionRemoved():
            return {"label": label, "description": change.invoice.description}


def waitinvoice(node: Node, *, label: str) -> Result | Awaitable[Result]:
    """Wait until an invoice is paid or expires."""
    found = node.ledger.with_label(label)
    if not found:
        raise RpcError(Code.FAILED, "Label not found")
    if found.status != "unpaid":
        return _paid(found)
    return _told_of_invoice(node.waiters.for_invoice(found.created_index))


async def _told_of_invoice(waiting: asyncio.Future[Change]) -> Result:
    change = await waiting
    if isinstance(change.event, Deleted):
        raise RpcError(Code.FAILED, "Invoice deleted during wait")
    return _paid(change.invoice)


def _paid(invoice: Invoice) -> Result:
    if not invoice.payment:
        raise RpcError(Code.EXPIRED_DURING_WAIT, "invoice expired during wait", shown(invoice))
    return shown(invoice)


def waitanyinvoice(node: Node, *, lastpay_index: int, timeout: int | None) -> Result | Awaitable[Result]:
    """Wait for the next payment."""
    if found := node.ledger.paid_after(lastpay_index):
        return shown(found)
    return _told_of_payment(node.waiters.for_payment(), timeout)


async def _told_of_payment(waiting: asyncio.Future[Change], seconds: int | None) -> Result:
    # lightningd times out immediately if the timeout exceeds a signed 64-bit number.
    try:
        async with asyncio.timeout(0 if seconds and seconds >= 2**63 else seconds):
            return shown((await waiting).invoice)
    except TimeoutError:
        raise RpcError(Code.WAIT_TIMED_OUT, "Timed out while waiting for invoice to be paid") from None


def shown(invoice: Invoice) -> Result:
    """Return an invoice in the format of lightningd's lists."""
    issued = invoice.issued
    fields: Result = {
        "label": unescaped(issued.label),
        **_invstring(issued),
        "payment_hash": issued.payment_hash,
    }
    if issued.amount_msat is not None:
        fields["amount_msat"] = issued.amount_msat
    fields["status"] = invoice.status
    if payment := invoice.payment:
        fields["pay_index"] = payment.pay_index
        fields["amount_received_msat"] = payment.amount_received_msat
        fields["paid_at"] = payment.paid_at
        fields["payment_preimage"] = issued.payment_preimage
    if invoice.description is not None:
        fields["description"] = invoice.description
    fields["expires_at"] = issued.expires_at
    fields["created_index"] = invoice.created_index
    if invoice.updated_index:
        fields["updated_index"] = invoice.updated_index
    return fields


def _invstring(issued: Created) -> Result:
    return {"bolt12" if issued.is_bolt12 else "bolt11": issued.bolt11}
