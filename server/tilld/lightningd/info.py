"""What a lightningd says of itself, in the words of its getinfo command (lightning-getinfo(7))."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from tilld.formats.strict_json import text, whole


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Where a node announces itself or listens. A local socket's path is left out."""

    type: str
    address: str | None
    port: int | None


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node: its public key in 66 hexadecimal digits, and how it is."""

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

    @classmethod
    def from_json(cls, info: Mapping[str, Any]) -> Self:
        """Read the fields above from an answer of getinfo, or from this record as JSON; drop the others.

        Raises LookupError, TypeError or ValueError where one is missing, or is not what it should be.
        """
        read: dict[Any, Callable[[Any], Any]] = {str: text, int: whole}
        known: dict[str, Any] = {
            each.name: read[each.type](info[each.name]) for each in fields(cls) if each.type in read
        }
        return cls(**known, address=_addresses(info, "address"), binding=_addresses(info, "binding"))


def _addresses(info: Mapping[str, Any], name: str) -> tuple[NodeAddress, ...]:
    # A node that does not listen has neither list.
    return tuple(
        NodeAddress(
            type=text(each["type"]),
            address=None if each.get("address") is None else text(each["address"]),
            port=None if each.get("port") is None else whole(each["port"]),
        )
        for each in info.get(name, ())
    )
