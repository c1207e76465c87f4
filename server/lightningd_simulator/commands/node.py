"""Commands about the node itself, which has no funds."""

from typing import Any

from lightningd_simulator.node import Node
from lightningd_simulator.rpc.answers import Code, Result, RpcError

# Distinguishes this node from a real one, for people and programs.
VERSION = "v26.06.6-simulated"
ALIAS = "till-simulated"


def getinfo(node: Node) -> Result:
    """Return the state of the node."""
    return {
        "id": node.id,
        "alias": ALIAS,
        "color": node.id[:6],
        "num_peers": len({channel.peer_id for channel in node.channels}),
        "num_pending_channels": 0,
        "num_active_channels": len(node.channels),
        "num_inactive_channels": 0,
        "address": [],
        "binding": [],
        "version": VERSION,
        "blockheight": 0,
        "network": "regtest",
        "fees_collected_msat": 0,
        "lightning-dir": str(node.lightning_dir),
        "our_features": {
            "init": "800898880a8a59a1",
            "node": "808898880a8a59a1",
            "channel": "",
            "invoice": "02000002024100",
        },
    }


def stop(node: Node) -> Result:
    """Stop the node."""
    node.end(None)
    return {"result": "Shutdown complete"}


def listfunds(node: Node, *, spent: bool) -> Result:
    """List funds and channels."""
    return {"outputs": [], "channels": []}


def listpeerchannels(node: Node, **wanted: Any) -> Result:
    """List channels, with the fields that decide on route hints."""
    return {
        "channels": [
            {
                "peer_id": channel.peer_id,
                "peer_connected": channel.is_connected,
                "state": "CHANNELD_NORMAL",
                "short_channel_id": channel.short_channel_id,
                "alias": {"remote": channel.remote_alias},
                "private": channel.is_private,
                "receivable_msat": channel.receivable_msat,
            }
            for channel in node.channels
            if wanted["id"] in (None, channel.peer_id)
        ]
    }


def keysend(node: Node, *, destination: str, amount_msat: int, **_: Any) -> Result:
    """Pay a node without an invoice, which fails for lack of a route."""
    if destination == node.id:
        raise RpcError(
            Code.INVALID_PARAMS, "We are the destination. Keysend cannot be used to send funds to yourself"
        )
    attempt = {
        "status": "failed",
        "failreason": f"Unknown destination {destination}",
        "partid": 0,
        "amount_msat": amount_msat,
    }
    message = "Ran out of routes to try after 1 attempt: see `paystatus`"
    raise RpcError(Code.OUT_OF_ROUTES, message, beside={"attempts": [attempt]})
