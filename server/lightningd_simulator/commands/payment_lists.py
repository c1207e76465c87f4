"""Commands that list the payments of the node."""

from collections.abc import Iterator
from itertools import islice

from lightningd_simulator.bolts import bolt11 as bolt11_invoices
from lightningd_simulator.bolts.bolt12_messages import Bolt12Invoice
from lightningd_simulator.indexes import IndexName
from lightningd_simulator.node import Node
from lightningd_simulator.payment_ledger import Completed, PaymentStatus, Spent, Started
from lightningd_simulator.rpc.answers import Code, Result, RpcError


def listpays(
    node: Node,
    *,
    bolt11: str | None,
    payment_hash: str | None,
    status: PaymentStatus | None,
    index: IndexName | None,
    start: int,
    limit: int | None,
) -> Result:
    """List payments."""
    found = _found(node, bolt11, payment_hash, status, index, start, limit)
    return {"pays": [_pay(payment) for payment in found]}


def listsendpays(
    node: Node,
    *,
    bolt11: str | None,
    payment_hash: str | None,
    status: PaymentStatus | None,
    index: IndexName | None,
    start: int,
    limit: int | None,
) -> Result:
    """List the parts of payments. Each payment has one."""
    found = _found(node, bolt11, payment_hash, status, index, start, limit)
    return {"payments": [_part(payment) for payment in found]}


def _found(
    node: Node,
    bolt11: str | None,
    payment_hash: str | None,
    status: PaymentStatus | None,
    index: IndexName | None,
    start: int,
    limit: int | None,
) -> list[Spent]:
    if bolt11 is not None and payment_hash is not None:
        raise RpcError(Code.INVALID_PARAMS, "Can only specify one of {bolt11} or {payment_hash}")
    if index is None and start != 0:
        raise RpcError(Code.INVALID_PARAMS, "Can only specify {start} with {index}")
    if index is None and limit is not None:
        raise RpcError(Code.INVALID_PARAMS, "Can only specify {limit} with {index}")
    if bolt11 is not None:
        payment_hash = _payment_hash(bolt11)
    if payment_hash is not None:
        return node.spending.payments(payment_hash)
    page = node.spending.updated_since if index == "updated" else node.spending.created_since
    wanted: Iterator[Spent] = (payment for payment in page(start) if status in (None, payment.status))
    return list(islice(wanted, limit))


def _payment_hash(string: str) -> str:
    try:
        if string.startswith("ln") and not string.startswith("lni1"):
            return bolt11_invoices.read(string).payment_hash
        return Bolt12Invoice.read(string).payment_hash
    except ValueError as problem:
        raise RpcError(Code.INVALID_PARAMS, f"Invalid invstring: {problem}") from None


def _pay(payment: Spent) -> Result:
    started, end = payment.started, payment.end
    shown: Result = {
        **_invstring(started),
        "destination": started.destination,
        "payment_hash": started.payment_hash,
        "status": payment.status,
        "created_at": started.created_at,
    }
    if isinstance(end, Completed):
        shown |= {"completed_at": end.completed_at, "preimage": end.payment_preimage}
    if payment.status == "failed":
        shown["amount_sent_msat"] = 0
    else:
        shown |= {"amount_msat": started.amount_msat, "amount_sent_msat": started.amount_msat}
    return shown | _indexes(payment)


def _indexes(payment: Spent) -> Result:
    created = {"created_index": payment.created_index}
    return created | {"updated_index": payment.updated_index} if payment.updated_index else created


def _part(payment: Spent) -> Result:
    started, end = payment.started, payment.end
    shown: Result = {
        "created_index": payment.created_index,
        "id": payment.created_index,
        "payment_hash": started.payment_hash,
        "groupid": started.groupid,
    }
    if payment.updated_index:
        shown["updated_index"] = payment.updated_index
    shown |= {
        "partid": 1,
        "destination": started.destination,
        "amount_msat": started.amount_msat,
        "amount_sent_msat": started.amount_msat,
        "created_at": started.created_at,
    }
    if end:
        shown["completed_at"] = end.completed_at
    shown["status"] = payment.status
    if isinstance(end, Completed):
        shown["payment_preimage"] = end.payment_preimage
    return shown | _invstring(started)


def _invstring(started: Started) -> Result:
    return {"bolt12" if started.invreq_id else "bolt11": started.bolt12}
