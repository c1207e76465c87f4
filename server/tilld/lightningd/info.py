"""The reply of lightningd to getinfo (lightning-getinfo(7))."""

from tilld.lightningd.replies import Reply, Whole


class NodeAddress(Reply, frozen=True):
    """An address that a node announces or listens on, without the path of a local socket."""

    type: str
    address: str | None = None
    port: Whole | None = None


class NodeInfo(Reply, frozen=True):
    """A node, with its public key (66 hexadecimal digits) and its state."""

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
    # A node that does not listen has no addresses.
    address: tuple[NodeAddress, ...] = ()
    binding: tuple[NodeAddress, ...] = ()
