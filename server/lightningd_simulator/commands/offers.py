"""Commands that create, list, disable and enable offers."""

from lightningd_simulator.bolts.bolt12_offers import OfferString
from lightningd_simulator.node import Node
from lightningd_simulator.offers import Offer, Offered, Switched
from lightningd_simulator.rpc.answers import Code, Result, RpcError
from lightningd_simulator.rpc.parameters import BadParameter


def offer(
    node: Node,
    *,
    amount: int | None,
    description: str | None,
    issuer: str | None,
    label: str | None,
    absolute_expiry: int | None,
    single_use: bool,
    **_: None,
) -> Result:
    """Create an offer, or return the existing one."""
    if amount is not None and description is None:
        problem = "description is required for the user to know what it was they paid for"
        raise BadParameter("description", problem, None)
    made = OfferString.made(
        node.private_key,
        amount_msat=amount,
        description=description,
        issuer=issuer,
        absolute_expiry=absolute_expiry,
    )
    existing = node.offers.offer(made.id)
    if existing and not existing.active:
        raise RpcError(Code.OFFER_EXISTS, "Already exists, but isn't active")
    found = existing or node.record_offer(Offered(made.id, made.string, label, description, single_use))
    shown = {name: value for name, value in _shown(found).items() if name != "description"}
    return {**shown, "created": not existing}


def listoffers(node: Node, *, offer_id: str | None, active_only: bool) -> Result:
    """List one offer, or all."""
    found = node.offers.all() if offer_id is None else [node.offers.offer(offer_id)]
    return {"offers": [_shown(offer) for offer in found if offer and offer.active >= active_only]}


def disableoffer(node: Node, *, offer_id: str) -> Result:
    """Disable an offer."""
    if not _known(node, offer_id).active:
        raise RpcError(Code.NOT_ACTIVE, "offer is not active")
    return _shown(node.record_offer(Switched(offer_id, active=False)))


def enableoffer(node: Node, *, offer_id: str) -> Result:
    """Enable an offer."""
    if _known(node, offer_id).active:
        raise RpcError(Code.ALREADY_ACTIVE, "offer already active")
    return _shown(node.record_offer(Switched(offer_id, active=True)))


def _known(node: Node, offer_id: str) -> Offer:
    found = node.offers.offer(offer_id)
    if not found:
        raise RpcError(Code.FAILED, "Unknown offer")
    return found


def _shown(offer: Offer) -> Result:
    made = offer.made
    texts = {"label": made.label, "description": made.description}
    return {
        "offer_id": made.offer_id,
        "active": offer.active,
        "single_use": made.single_use,
        "bolt12": made.bolt12,
        "force_paths": False,
        "used": False,
        **{name: text for name, text in texts.items() if text is not None},
    }
