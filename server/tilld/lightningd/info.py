"""What a lightningd says of itself, in the words of its getinfo command (lightning-getinfo(7))."""

from tilld.lightningd.replies import Reply, Whole


class NodeAddress(Reply, frozen=True):
    """Where a node announces itself or listens. A local socket's path is left out."""

    type: str
    address: str | None = None
    port: Whole | None = None


class NodeInfo(Reply, frozen=True):
    """A node: its public key in 66 hexadecimal digits, and how it is."""

    id: str
    alias: str
    color: str
    num_peers: Whole
    num_pending_channels: Whole
    num_active_channels: Whole
    num_inactive_channels: Whole
    version: str
    blockheight: Whole
    network: str
    fees_collected_msat: Whole
    # A node that does not listen has neither.
    address: tuple[NodeAddress, ...] = ()
    binding: tuple[NodeAddress, ...] = ()
