"""The totals and the node in the documented JSON."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from tilld.formats.strict_json import write
from tilld.invoices.service import Info
from tilld.lightningd.info import NodeAddress, NodeInfo
from tilld.rest_api.schemas.fields import described, optional


class NodeAddressJson(Struct, omit_defaults=True):
    """An address of a node."""

    type: str
    address: str | UnsetType = UNSET
    port: int | UnsetType = UNSET


class NodeInfoJson(Struct):
    """The node, or null if Till never reached it."""

    id: str
    alias: str
    color: str
    num_peers: int
    num_pending_channels: int
    num_active_channels: int
    num_inactive_channels: int
    address: list[NodeAddressJson]
    binding: list[NodeAddressJson]
    version: str
    blockheight: int
    network: str
    msatoshi_fees_collected: int
    fees_collected_msat: Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9]+msat$"})]


class InfoJson(Struct):
    """The totals and the node."""

    invoices: Annotated[int, described("Number of your invoices.", minimum=0)]
    volume: Annotated[int, described("Sum that your invoices received, in msat.", minimum=0)]
    node: Annotated[str | None, described("Id of the node, or null if Till never reached it.")]
    online: Annotated[bool, described("Whether the node responds. If not, nothing can be created.")]
    nodeinfo: NodeInfoJson | None


def info(info: Info) -> bytes:
    """Return the totals and the node as documented JSON."""
    return write(
        InfoJson(
            invoices=info.totals.invoices,
            volume=info.totals.volume_msat,
            node=info.node.id if info.node else None,
            online=info.online,
            nodeinfo=_node(info.node) if info.node else None,
        )
    )


def _node(node: NodeInfo) -> NodeInfoJson:
    return NodeInfoJson(
        id=node.id,
        alias=node.alias,
        color=node.color,
        num_peers=node.num_peers,
        num_pending_channels=node.num_pending_channels,
        num_active_channels=node.num_active_channels,
        num_inactive_channels=node.num_inactive_channels,
        address=[_address(each) for each in node.address],
        binding=[_address(each) for each in node.binding],
        version=node.version,
        blockheight=node.blockheight,
        network=node.network,
        msatoshi_fees_collected=node.fees_collected_msat,
        fees_collected_msat=f"{node.fees_collected_msat}msat",
    )


def _address(address: NodeAddress) -> NodeAddressJson:
    return NodeAddressJson(
        type=address.type,
        address=optional(address.address),
        port=optional(address.port),
    )
