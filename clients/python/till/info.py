"""The state of Till and its node, as frozen dataclasses."""

from dataclasses import dataclass

from till.v1 import invoice_service_pb2


@dataclass(frozen=True, kw_only=True)
class NodeAddress:
    """A network address of the node; port: None for a local socket."""

    type: str
    address: str
    port: int | None


@dataclass(frozen=True, kw_only=True)
class Node:
    """The lightningd behind Till, with the field names of its getinfo command."""

    id: str
    alias: str
    color: str
    num_peers: int
    num_pending_channels: int
    num_active_channels: int
    num_inactive_channels: int
    address: tuple[NodeAddress, ...]
    binding: tuple[NodeAddress, ...]
    version: str
    blockheight: int
    network: str
    fees_collected_msat: int


@dataclass(frozen=True, kw_only=True)
class Info:
    """The state of Till and its node.

    invoices: number of invoices that the key's user created.
    volume_msat: sum of their payments, in millisatoshi.
    volume_out_msat: sum of the payments for the user's invoice requests, in millisatoshi.
    online: whether the node answers; while False, creates fail.
    node: the node when it last answered. None: it never did.
    """

    invoices: int
    volume_msat: int
    volume_out_msat: int
    online: bool
    node: Node | None


def info(message: invoice_service_pb2.GetInfoResponse) -> Info:
    """Return the Info of a message."""
    return Info(
        invoices=message.invoices,
        volume_msat=message.volume_msat,
        volume_out_msat=message.volume_out_msat,
        online=message.online,
        node=_node(message.node) if message.HasField("node") else None,
    )


def _node(message: invoice_service_pb2.Node) -> Node:
    return Node(
        id=message.id,
        alias=message.alias,
        color=message.color,
        num_peers=message.num_peers,
        num_pending_channels=message.num_pending_channels,
        num_active_channels=message.num_active_channels,
        num_inactive_channels=message.num_inactive_channels,
        address=tuple(map(_address, message.address)),
        binding=tuple(map(_address, message.binding)),
        version=message.version,
        blockheight=message.blockheight,
        network=message.network,
        fees_collected_msat=message.fees_collected_msat,
    )


def _address(message: invoice_service_pb2.NodeAddress) -> NodeAddress:
    return NodeAddress(
        type=message.type, address=message.address, port=message.port if message.HasField("port") else None
    )
