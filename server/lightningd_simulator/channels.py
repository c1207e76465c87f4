"""The channels of a simulated node, and which of them an invoice names as route hints. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import NamedTuple, TypeAlias

from lightningd_simulator.bolts.bolt11 import Hop, node_id
from lightningd_simulator.rpc.answers import Code, RpcError

# Chosen by lightningd (None), all private channels or none, or the only candidates by short channel id.
Exposed: TypeAlias = bool | frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel. A dead end has a peer without other public channels, so payers cannot reach the peer."""

    short_channel_id: str
    remote_alias: str
    peer_id: str
    receivable_msat: int
    is_private: bool = False
    is_connected: bool = True
    is_dead_end: bool = False

    @property
    def hop(self) -> Hop:
        """The route hint. A private channel hides its place in the block chain behind an alias."""
        return Hop(
            pubkey=self.peer_id,
            short_channel_id=self.remote_alias if self.is_private else self.short_channel_id,
            fee_base_msat=1,
            fee_proportional_millionths=10,
            cltv_expiry_delta=6,
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """The channels that an invoice names, and lightningd's warnings."""

    hints: list[Channel]
    warnings: dict[str, str]


# The warnings if channels would help that are offline, dead ends, or private and not exposed.
_HELPFUL = {
    "warning_offline": "Insufficient incoming capacity, once offline peers were excluded",
    "warning_deadends": "Insufficient incoming capacity, once dead-end peers were excluded",
    "warning_private_unused": (
        "Insufficient incoming capacity, once private channels were excluded "
        "(try exposeprivatechannels=true?)"
    ),
}

_PEER = node_id("0" * 63 + "1")

# For play money: payers reach the node with up to 1 bitcoin, or 2 if private channels are exposed.
USUAL = (
    Channel("103x1x0", "103x1x1", _PEER, 100_000_000_000),
    Channel("104x1x0", "9737214x3341994x50740", _PEER, 100_000_000_000, is_private=True),
)


class _Groups(NamedTuple):
    """Candidates, and the channels that are none, in the order in which lightningd asks for their help."""

    candidates: list[Channel]
    offline: list[Channel]
    dead_ends: list[Channel]
    private: list[Channel]


def choose(channels: Sequence[Channel], amount_msat: int, exposed: Exposed) -> Choice:
    """Choose the channels that an invoice names, as lightningd does.

    lightningd chooses among several sufficient channels at random, and this node the largest. Raises
    RpcError if none of the given short channel ids is usable.
    """
    groups = _grouped(channels, exposed)
    if isinstance(exposed, frozenset) and exposed and not groups.candidates:
        raise RpcError(Code.NO_SUITABLE_HINTS, "None of those hints were suitable local channels")
    sufficient = [each for each in groups.candidates if each.receivable_msat >= amount_msat]
    if sufficient and _has_public(channels):
        hints = [max(sufficient, key=lambda each: each.receivable_msat)]
    else:
        hints = _gathered(groups.candidates, amount_msat)
    return Choice(hints, _warnings(amount_msat, len(hints), groups))


def _grouped(channels: Sequence[Channel], exposed: Exposed) -> _Groups:
    groups = _Groups([], [], [], [])
    for channel in channels:
        is_named = isinstance(exposed, frozenset)
        if isinstance(exposed, frozenset) and exposed.isdisjoint(
            (channel.short_channel_id, channel.remote_alias)
        ):
            continue
        if channel.is_dead_end and not is_named:
            groups.dead_ends.append(channel)
        elif not channel.is_connected:
            groups.offline.append(channel)
        elif not channel.is_private or is_named or exposed is True:
            groups.candidates.append(channel)
        else:
            groups.private.append(channel)
    if exposed is None and not _has_public(channels):
        return groups._replace(candidates=groups.private, private=[])
    return groups


def _has_public(channels: Sequence[Channel]) -> bool:
    return not all(each.is_private for each in channels)


def _gathered(channels: Sequence[Channel], amount_msat: int) -> list[Channel]:
    """Return as many channels as are needed for the amount."""
    found: list[Channel] = []
    for channel in channels:
        if _capacity(found) >= amount_msat:
            break
        found.append(channel)
    return found


def _warnings(amount_msat: int, hints: int, groups: _Groups) -> dict[str, str]:
    warnings = {}
    if hints > 1:
        warnings["warning_mpp"] = "The invoice is only payable by MPP-capable payers."
    if amount_msat >= sum(map(_capacity, groups)):
        warnings["warning_capacity"] = "Insufficient incoming channel capacity to pay invoice"
    capacities = accumulate(map(_capacity, groups))
    if amount_msat > next(capacities):
        helpful = (
            name for name, capacity in zip(_HELPFUL, capacities, strict=True) if amount_msat <= capacity
        )
        warnings.update({name: _HELPFUL[name] for name in islice(helpful, 1)})
    return warnings


def _capacity(channels: Sequence[Channel]) -> int:
    return sum(each.receivable_msat for each in channels)
