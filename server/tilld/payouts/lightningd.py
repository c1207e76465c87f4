"""lightningd's commands for invoice requests and for the payments made for them."""

from typing import Any

import structlog

from tilld.formats import bolt12
from tilld.formats.times import unix_seconds, utc
from tilld.lightningd.errors import MayExist, errors_translated
from tilld.lightningd.node import Node
from tilld.lightningd.replies import Msat, Reply, Seconds, Whole, msat
from tilld.lightningd.updates import Updates
from tilld.payouts.invreq import Invreq, NodeInvreq, PaymentPart

log = structlog.get_logger()


class _InvreqRow(Reply, frozen=True, kw_only=True):
    invreq_id: str
    bolt12: str
    label: str | None = None
    active: bool
    used: bool


class _Invreqs(Reply, frozen=True):
    invoicerequests: list[_InvreqRow]


class _Disabled(Reply, frozen=True):
    active: bool


class _PartRow(Reply, frozen=True, kw_only=True):
    payment_hash: str
    created_index: Whole
    updated_index: Whole = 0
    status: str
    amount_sent_msat: Msat
    completed_at: Seconds | None = None
    bolt12: str | None = None


class _Parts(Reply, frozen=True):
    payments: list[_PartRow]


class InvreqNode:
    """The node's payout commands. Raises the errors of Node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def create(self, invreq: Invreq) -> NodeInvreq:
        """Create an invoice request with our id as label (lightning-invoicerequest(7)).

        Raises MayExist if only a lookup can show the outcome; NodeFailed.
        """
        node_id = await self._node.identity()
        expiry = invreq.absolute_expiry
        params = {
            "amount": invreq.amount_msat,
            "description": invreq.description,
            "issuer": invreq.issuer,
            "label": invreq.id,
            "absolute_expiry": expiry and unix_seconds(expiry),
            "single_use": invreq.single_use,
        }
        with errors_translated(unknown_outcome=MayExist):
            made = _made(node_id, await self._node.ask(_InvreqRow, "invoicerequest", params))
        if await self._node.identity() != node_id:
            raise MayExist
        return made

    async def find(self, invreq_id: str) -> NodeInvreq | None:
        """Return an invoice request with an id, or None (lightning-listinvoicerequests(7))."""
        node_id = await self._node.identity()
        with errors_translated():
            reply = await self._node.ask(_Invreqs, "listinvoicerequests", {"invreq_id": invreq_id})
            found = [_made(node_id, row) for row in reply.invoicerequests]
        await self._node.check_is(node_id)
        return found[0] if found else None

    async def disable(self, invreq_id: str) -> None:
        """Disable an invoice request, so that it cannot be collected (lightning-disableinvoicerequest(7)).

        The caller must make sure that no payment is in flight: lightningd v26.06 crashes when that payment
        arrives, and again after each start. Raises NotActive; MayExist if only a lookup can show the outcome.
        """
        with errors_translated(unknown_outcome=MayExist):
            await self._node.ask(_Disabled, "disableinvoicerequest", {"invreq_id": invreq_id})

    async def pending(self) -> list[PaymentPart]:
        """Return the parts of payments in flight (lightning-listsendpays(7))."""
        return [part for part, _ in await self._parts({"status": "pending"})]

    async def updates(self, after: int, upto: int) -> Updates[PaymentPart]:
        """Return a page of updates beyond the updated index `after`, up to the known latest index `upto`."""
        size = self._node.page_size
        changed = await self._parts({"index": "updated", "start": after + 1, "limit": size})
        return Updates.page(changed, after, upto, size)

    async def _parts(self, params: dict[str, Any]) -> list[tuple[PaymentPart, int]]:
        with errors_translated():
            reply = await self._node.ask(_Parts, "listsendpays", params)
            return [(_part(row), row.updated_index) for row in reply.payments]


def _made(node_id: str, row: _InvreqRow) -> NodeInvreq:
    return NodeInvreq(
        node_id=node_id,
        invreq_id=row.invreq_id,
        bolt12=row.bolt12,
        label=row.label,
        active=row.active,
        used=row.used,
    )


def _part(row: _PartRow) -> PaymentPart:
    return PaymentPart(
        invreq_id=_invreq_id(row.bolt12),
        payment_hash=row.payment_hash,
        created_index=row.created_index,
        status=row.status,
        amount_sent_msat=msat(row.amount_sent_msat) if row.status == "complete" else 0,
        ended_at=None if row.completed_at is None else utc(row.completed_at),
    )


def _invreq_id(invoice: str | None) -> str | None:
    """Return the invoice request of a payment, or None for other payments of the node."""
    try:
        return None if invoice is None else bolt12.invreq_id(invoice)
    except ValueError:
        return None
