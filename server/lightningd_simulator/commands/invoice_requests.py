"""Commands that create, list and disable invoice requests."""

from lightningd_simulator.bolts.bolt12_messages import InvoiceRequest
from lightningd_simulator.node import Node
from lightningd_simulator.payment_ledger import Disabled, Request, Requested
from lightningd_simulator.rpc.answers import Code, Result, RpcError


def invoicerequest(
    node: Node,
    *,
    amount: int,
    description: str | None,
    issuer: str | None,
    label: str | None,
    absolute_expiry: int | None,
    single_use: bool,
) -> Result:
    """Create a request. Like lightningd, the node never checks its expiry again."""
    made = InvoiceRequest.made(
        node.private_key,
        amount_msat=amount,
        description=description,
        issuer=issuer,
        absolute_expiry=absolute_expiry,
    )
    requested = Requested(made.id, made.string, label, single_use)
    node.record_spending(requested)
    return _shown(Request(requested))


def listinvoicerequests(node: Node, *, invreq_id: str | None, active_only: bool) -> Result:
    """List one request, or all."""
    found = node.spending.requests() if invreq_id is None else [node.spending.request(invreq_id)]
    wanted = (request for request in found if request and request.active >= active_only)
    return {"invoicerequests": [_shown(request) for request in wanted]}


def disableinvoicerequest(node: Node, *, invreq_id: str) -> Result:
    """Disable a request."""
    request = node.spending.request(invreq_id)
    if not request:
        raise RpcError(Code.FAILED, "Unknown invoice_request")
    if not request.active:
        raise RpcError(Code.NOT_ACTIVE, "invoice_request is not active")
    node.record_spending(Disabled(invreq_id))
    return {**_shown(request), "active": False}


def _shown(request: Request) -> Result:
    made = request.made
    shown: Result = {
        "invreq_id": made.invreq_id,
        "active": request.active,
        "single_use": made.single_use,
        "bolt12": made.bolt12,
        "used": request.used,
    }
    return shown if made.label is None else {**shown, "label": made.label}
