"""What the lightningd behind Till does to collect: reads invoice requests, sends invoices for them."""

import asyncio
from dataclasses import dataclass
from enum import IntEnum
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
from tilld.formats.strict_json import text, whole
from tilld.invoices.invoice import NodeInvoice
from tilld.invoices.lightningd import INVOICE_FIELDS, InvoiceNode, node_invoice
from tilld.invoices.terms import InvoiceTerms
from tilld.lightningd.abilities import Abilities
from tilld.lightningd.errors import DUPLICATE_LABEL, MayExist, errors_translated
from tilld.lightningd.rpc import ConnectionLost
from tilld.sent_invoices.attempt import Request, SendAttempt, cleaned

log = structlog.get_logger()


# lightning-sendinvoice(7), lightning-delinvoice(7), lightningd-rpc(7)
class Code(IntEnum):
    """What the node's errors are known by."""

    INVALID_PARAMS = -32602
    DUPLICATE_LABEL = DUPLICATE_LABEL
    UNKNOWN_INVOICE = 905
    UNEXPECTED_STATUS = 906
    NOT_ACTIVE = 1001
    EXPIRED = 1002
    UNREACHABLE = 1003
    REFUSED = 1004
    SILENT = 1005


# Beyond its time-out the node needs a moment to answer.
GRACE_SECONDS = 10.0

AGAIN = "ask again with the same label to try once more"

# Nobody ever sees it, and it is over at once.
_PLACEHOLDER = InvoiceTerms(amount_msat=None, description=None, expiry=1, metadata='{"type":""}', label=None)


class Unknown(Exception):
    """An invoice may have been sent: only a look at the node can tell."""


@dataclass(frozen=True, slots=True)
class Found:
    """An invoice that was sent, as the node has it."""

    invoice: NodeInvoice
    description: str | None
    updated_index: int | None
    payment_preimage: str | None


class SentInvoiceNode:
    """The node, as `tilld.invoices.lightningd.InvoiceNode` is, for those who collect."""

    def __init__(self, node: InvoiceNode) -> None:
        self._node = node

    async def read(self, invreq: str) -> Request:
        """Read an invoice request (lightning-decode(7)).

        Raises InvalidRequest for what is none, or is damaged.
        """
        try:
            with errors_translated(refusals=True):
                said = await self._node.call("decode", {"string": invreq})
                if said.get("type") != "bolt12 invoice_request" or not said.get("valid"):
                    raise InvalidRequest("invreq is damaged: its signature is missing or wrong")
                return Request(
                    payer_id=text(said["invreq_payer_id"]),
                    amount_msat=_number(said.get("invreq_amount_msat")),
                    has_quantity=bool(said.keys() & {"invreq_quantity", "offer_quantity_max"}),
                    expires_at=_number(said.get("offer_absolute_expiry")),
                )
        except RpcError:
            raise InvalidRequest("invreq is damaged: it is no whole invoice request") from None

    async def check(self, order: dict[str, Any]) -> None:
        """Have the node look at the parameters of a sendinvoice, without doing it (lightning-check(7)).

        Raises InvalidRequest.
        """
        try:
            with errors_translated(refusals=True):
                await self._node.call("check", {"command_to_check": "sendinvoice", **order})
        except RpcError as refused:
            raise _invalid(refused.error) from None

    async def send(self, sending: SendAttempt) -> None:
        """Send an invoice and wait until it is paid (lightning-sendinvoice(7)).

        Raises NodeOffline, InvalidRequest where nothing was sent; Unknown where it may have been; else what
        the node says: the invoice that was sent may still be payable then.
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
        """Look an invoice up by its label, with all that the node knows (lightning-listinvoices(7))."""
        node_id = await self._node.identity()
        wanted = (*INVOICE_FIELDS, "description", "updated_index", "payment_preimage")
        with errors_translated():
            filtered = {"invoices": [dict.fromkeys(wanted, True)]}
            rows = (await self._node.call("listinvoices", {"label": label}, filtered))["invoices"]
            return next((_found(node_id, row) for row in rows), None)

    async def withdraw(self, label: str) -> bool:
        """Delete an invoice that is unpaid; tells whether it was (lightning-delinvoice(7))."""
        try:
            with errors_translated(refusals=True):
                await self._node.call("delinvoice", {"label": label, "status": "unpaid"}, {"status": True})
        except RpcError as refused:
            if refused.error.get("code") in (Code.UNEXPECTED_STATUS, Code.UNKNOWN_INVOICE):
                return False
            log.error("lightningd refused to delete an invoice", code=refused.error.get("code"))
            raise Internal from None
        return True

    async def claim_label(self, label: str) -> bool:
        """Take a label for good, so that nothing still on its way can use it; tells whether it was free."""
        try:
            await self._node.invoice(label, _PLACEHOLDER)
        except MayExist:
            return False
        return True

    async def abilities(self) -> Abilities:
        """What the node can do."""
        return await self._node.abilities()

    async def identity(self) -> str:
        """The public key of the node."""
        return await self._node.identity()


def parameters(sending: SendAttempt) -> dict[str, Any]:
    """What an attempt gives to sendinvoice. lightningd v26.06.6 knows no quantity, and says so."""
    return {
        "invreq": sending.invreq,
        "label": sending.node_label,
        "amount_msat": sending.amount_msat,
        "quantity": sending.quantity,
    }


def _number(value: Any) -> int | None:
    # An amount may be as large as 64 bits allow.
    return (
        value if value is None else int(text(value).removesuffix("msat") if isinstance(value, str) else value)
    )


def _found(node_id: str, row: dict[str, Any]) -> Found:
    return Found(
        invoice=node_invoice(node_id, row),
        description=row.get("description"),
        updated_index=whole(row["updated_index"]) if "updated_index" in row else None,
        payment_preimage=row.get("payment_preimage"),
    )


def _failure(error: dict[str, Any]) -> Exception:
    """The node's errors in our words. Those of the other node are a stranger's text."""
    code, data = error.get("code"), error.get("data")
    said = cleaned(str(data.get("error", ""))) if isinstance(data, dict) else ""
    match code:
        case Code.DUPLICATE_LABEL:
            return MayExist()
        case Code.INVALID_PARAMS:
            return _invalid(error)
        case Code.NOT_ACTIVE:
            return NotActive()
        case Code.EXPIRED:
            return Expired()
        case Code.UNREACHABLE:
            return Unreachable(f"the node that made the invoice request cannot be reached; {AGAIN}")
        case Code.REFUSED if "no longer available" in said or "Inactive invoice_request" in said:
            return NotActive("the invoice request is not active: it was disabled, or collected before")
        case Code.REFUSED:
            return Refused(f'the node that made the invoice request refuses to pay: "{said}"; {AGAIN}')
        case Code.SILENT:
            return NotPaid(f"the node that made the invoice request did not pay in time; {AGAIN}")
    log.error("lightningd refused to send an invoice", code=code, message=cleaned(str(error.get("message"))))
    return NodeFailed(f"the lightning node could not send the invoice; {AGAIN}")


def _invalid(error: dict[str, Any]) -> TillError:
    said = str(error.get("message"))
    if "unknown parameter: quantity" in said:
        return InvalidRequest("quantity is not supported by this lightning node: leave it away")
    if "wrong chain" in said:
        return InvalidRequest("invreq is for another network than this lightning node's")
    log.info("lightningd refused an invoice request", message=cleaned(said))
    return InvalidRequest("invreq cannot be answered by an invoice: ask for a new one")
