"""What lightningd is asked about invoice requests, and what it pays for them."""

from typing import Any

import structlog

from tilld.formats import bolt12
from tilld.formats.strict_json import text, whole
from tilld.formats.times import unix_seconds, utc
from tilld.lightningd.errors import MayExist, errors_translated, msat
from tilld.lightningd.node import Node
from tilld.lightningd.updates import Updates
from tilld.payouts.invreq import Invreq, NodeInvreq, PaymentPart

log = structlog.get_logger()

INVREQ_FIELDS = ("invreq_id", "bolt12", "label", "active", "used")
PART_FIELDS = (
    "payment_hash",
    "created_index",
    "updated_index",
    "status",
    "amount_sent_msat",
    "completed_at",
    "bolt12",
)


class InvreqNode:
    """The spending side of a node. Raises what Node does."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def create(self, invreq: Invreq) -> NodeInvreq:
        """Make an invoice request, labelled with our id (lightning-invoicerequest(7)).

        Raises MayExist where only a look at the node can tell what became of it; NodeFailed.
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
            made = _made(node_id, await self._node.call("invoicerequest", params, _wanted(INVREQ_FIELDS)))
        if await self._node.identity() != node_id:
            raise MayExist
        return made

    async def find(self, invreq_id: str) -> NodeInvreq | None:
        """Look an invoice request up (lightning-listinvoicerequests(7))."""
        node_id = await self._node.identity()
        wanted = {"invoicerequests": [_wanted(INVREQ_FIELDS)]}
        with errors_translated():
            reply = await self._node.call("listinvoicerequests", {"invreq_id": invreq_id}, wanted)
            found = [_made(node_id, row) for row in reply["invoicerequests"]]
        await self._node.check_is(node_id)
        return found[0] if found else None

    async def disable(self, invreq_id: str) -> None:
        """Let nobody collect it any more (lightning-disableinvoicerequest(7)).

        The caller makes sure that no payment of it is on its way: when it arrives, lightningd v26.06 dies,
        and again after each start. Raises NotActive; MayExist where a look at the node has to tell.
        """
        with errors_translated(unknown_outcome=MayExist):
            await self._node.call("disableinvoicerequest", {"invreq_id": invreq_id}, _wanted(("active",)))

    async def pending(self) -> list[PaymentPart]:
        """The parts of payments that are on their way (lightning-listsendpays(7))."""
        return [part for part, _ in await self._parts({"status": "pending"})]

    async def updates(self, after: int, upto: int) -> Updates[PaymentPart]:
        """A page of what changed beyond the updated index `after`, of what is known to go to `upto`."""
        size = self._node.page_size
        changed = await self._parts({"index": "updated", "start": after + 1, "limit": size})
        return Updates.page(changed, after, upto, size)

    async def _parts(self, params: dict[str, Any]) -> list[tuple[PaymentPart, int]]:
        wanted = {"payments": [_wanted(PART_FIELDS)]}
        with errors_translated():
            reply = await self._node.call("listsendpays", params, wanted)
            return [(_part(row), whole(row.get("updated_index", 0))) for row in reply["payments"]]


def _wanted(fields: tuple[str, ...]) -> dict[str, bool]:
    return dict.fromkeys(fields, True)


def _made(node_id: str, row: dict[str, Any]) -> NodeInvreq:
    label = row.get("label")
    return NodeInvreq(
        node_id=node_id,
        invreq_id=text(row["invreq_id"]),
        bolt12=text(row["bolt12"]),
        label=None if label is None else text(label),
        active=row["active"] is True,
        used=row["used"] is True,
    )


def _part(row: dict[str, Any]) -> PaymentPart:
    ended_at = row.get("completed_at")
    status = text(row["status"])
    return PaymentPart(
        invreq_id=_invreq_id(row.get("bolt12")),
        payment_hash=text(row["payment_hash"]),
        created_index=whole(row["created_index"]),
        status=status,
        amount_sent_msat=msat(row["amount_sent_msat"]) if status == "complete" else 0,
        ended_at=None if ended_at is None else utc(whole(ended_at)),
    )


def _invreq_id(invoice: Any) -> str | None:
    """The request that a payment was made for; None for any other payment of the node."""
    try:
        return None if invoice is None else bolt12.invreq_id(text(invoice))
    except ValueError:
        return None
