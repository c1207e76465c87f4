"""lightningd's commands for sending invoices: decode, check, sendinvoice, and lookups."""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
from pyln.client import RpcError

from tilld.errors import (
    Expired,
    Internal,
    InvalidRequest,
    NodeFailed,
    NodeOffline,
    NotActive,
    NotPaid,
    Refused,
    TillError,
    Unreachable,
)
from tilld.invoices.invoice import NodeInvoice
from tilld.invoices.lightningd import InvoiceNode, InvoiceRow, InvoiceRows, node_invoice
from tilld.invoices.terms import InvoiceTerms
from tilld.lightningd.abilities import Abilities
from tilld.lightningd.errors import MayExist, RpcCode, errors_translated
from tilld.lightningd.replies import AnyMsat, Reply, Whole, msat
from tilld.lightningd.rpc import ConnectionLost
from tilld.sent_invoices.attempt import DecodedInvreq, SendAttempt, cleaned

log = structlog.get_logger()

# The node's reply may come a moment after its timeout.
GRACE_SECONDS = 10.0

AGAIN = "try again with the same label"

# Claims a label. Callers never see this invoice, and it expires after a second.
_PLACEHOLDER = InvoiceTerms(amount_msat=None, description=None, expiry=1, metadata='{"type":""}', label=None)


class _Decoded(Reply, frozen=True):
    """The reply to decode. The fields of an invoice request are missing for other strings."""

    type: str = ""
    valid: bool = False
    invreq_payer_id: str | None = None
    invreq_amount_msat: AnyMsat | None = None
    invreq_quantity: int | None = None
    offer_quantity_max: int | None = None
    offer_absolute_expiry: int | None = None


class _SentInvoiceRow(InvoiceRow, frozen=True, kw_only=True):
    description: str | None = None
    updated_index: Whole | None = None
    payment_preimage: str | None = None


class _Deleted(Reply, frozen=True):
    status: str


class Unknown(Exception):
    """Raised when only a lookup can show whether the node sent the invoice."""


@dataclass(frozen=True, slots=True)
class Found:
    """A sent invoice, as the node has it."""

    invoice: NodeInvoice
    description: str | None
    updated_index: int | None
    payment_preimage: str | None


class SentInvoiceNode:
    """The node's commands for sending invoices."""

    def __init__(self, node: InvoiceNode) -> None:
        self._node = node

    async def read(self, invreq: str) -> DecodedInvreq:
        """Decode an invoice request (lightning-decode(7)).

        Raises InvalidRequest if the string is malformed or not an invoice request.
        """
        try:
            with errors_translated(refusals=True):
                said = await self._node.ask(_Decoded, "decode", {"string": invreq})
        except RpcError:
            raise InvalidRequest("invreq is incomplete or corrupted") from None
        if said.type != "bolt12 invoice_request" or not said.valid or said.invreq_payer_id is None:
            raise InvalidRequest("invreq has no valid signature; ask the payer for a new one")
        amount = said.invreq_amount_msat
        return DecodedInvreq(
            payer_id=said.invreq_payer_id,
            amount_msat=None if amount is None else msat(amount),
            has_quantity=said.invreq_quantity is not None or said.offer_quantity_max is not None,
            expires_at=said.offer_absolute_expiry,
        )

    async def check(self, order: dict[str, Any]) -> None:
        """Validate the parameters of sendinvoice without running the command (lightning-check(7)).

        Raises InvalidRequest.
        """
        try:
            with errors_translated(refusals=True):
                await self._node.call("check", {"command_to_check": "sendinvoice", **order})
        except RpcError as refused:
            raise _invalid(refused.error) from None

    async def send(self, sending: SendAttempt) -> None:
        """Send an invoice and wait until it is paid (lightning-sendinvoice(7)).

        Raises NodeOffline or InvalidRequest if nothing was sent, and Unknown if the invoice may have been
        sent. After other errors of the node, a sent invoice may still be payable.
        """
        params = {**parameters(sending), "timeout": sending.timeout}
        try:
            async with asyncio.timeout(sending.timeout + GRACE_SECONDS):
                await self._node.call("sendinvoice", params)
        except ConnectionLost as lost:
            if lost.sent:
                raise Unknown from None
            raise NodeOffline from None
        except TimeoutError:
            raise Unknown from None
        except RpcError as refused:
            raise _failure(refused.error) from None

    async def find(self, label: str) -> Found | None:
        """Return the node's full record of an invoice with a label, or None (lightning-listinvoices(7))."""
        node_id = await self._node.identity()
        with errors_translated():
            reply = await self._node.ask(InvoiceRows[_SentInvoiceRow], "listinvoices", {"label": label})
            return next((_found(node_id, row) for row in reply.invoices), None)

    async def withdraw(self, label: str) -> bool:
        """Delete an unpaid invoice; return whether it was unpaid (lightning-delinvoice(7))."""
        try:
            with errors_translated(refusals=True):
                await self._node.ask(_Deleted, "delinvoice", {"label": label, "status": "unpaid"})
        except RpcError as refused:
            if refused.error.get("code") in (RpcCode.UNEXPECTED_STATUS, RpcCode.UNKNOWN_INVOICE):
                return False
            log.error("lightningd failed to delete an invoice", code=refused.error.get("code"))
            raise Internal from None
        return True

    async def claim_label(self, label: str) -> bool:
        """Claim a label, so that a request in flight cannot use it; return whether the label was free."""
        try:
            await self._node.invoice(label, _PLACEHOLDER)
        except MayExist:
            return False
        return True

    async def abilities(self) -> Abilities:
        """Return the abilities of the node."""
        return await self._node.abilities()

    async def identity(self) -> str:
        """Return the public key of the node."""
        return await self._node.identity()


def parameters(sending: SendAttempt) -> dict[str, Any]:
    """Return an attempt's parameters of sendinvoice. lightningd v26.06.6 rejects `quantity` as unknown."""
    return {
        "invreq": sending.invreq,
        "label": sending.node_label,
        "amount_msat": sending.amount_msat,
        "quantity": sending.quantity,
    }


def _found(node_id: str, row: _SentInvoiceRow) -> Found:
    return Found(
        invoice=node_invoice(node_id, row),
        description=row.description,
        updated_index=row.updated_index,
        payment_preimage=row.payment_preimage,
    )


def _failure(error: dict[str, Any]) -> Exception:
    """Return the node's error as an error for the caller. The other node's text is untrusted."""
    code, data = error.get("code"), error.get("data")
    said = cleaned(str(data.get("error", ""))) if isinstance(data, dict) else ""
    match code:
        case RpcCode.DUPLICATE_LABEL:
            return MayExist()
        case RpcCode.INVALID_PARAMS:
            return _invalid(error)
        case RpcCode.INVREQ_NOT_ACTIVE:
            return NotActive()
        case RpcCode.INVREQ_EXPIRED:
            return Expired()
        case RpcCode.PAYER_UNREACHABLE:
            return Unreachable(f"the node that made the invoice request cannot be reached; {AGAIN}")
        case RpcCode.PAYER_REFUSED if "no longer available" in said or "Inactive invoice_request" in said:
            return NotActive("the invoice request is not active; it was disabled or collected")
        case RpcCode.PAYER_REFUSED:
            return Refused(f'the node that made the invoice request refuses to pay: "{said}"; {AGAIN}')
        case RpcCode.PAYER_SILENT:
            return NotPaid(f"the node that made the invoice request did not pay in time; {AGAIN}")
    log.error("lightningd failed to send an invoice", code=code, message=cleaned(str(error.get("message"))))
    return NodeFailed(f"the lightning node could not send the invoice; {AGAIN}")


def _invalid(error: dict[str, Any]) -> TillError:
    said = str(error.get("message"))
    if "unknown parameter: quantity" in said:
        return InvalidRequest("quantity is not supported by this lightning node; omit it")
    if "wrong chain" in said:
        return InvalidRequest("invreq is for another network than that of this lightning node")
    log.info("lightningd rejected an invoice request", message=cleaned(said))
    return InvalidRequest("the node cannot send an invoice for this invreq; ask the payer for a new one")
