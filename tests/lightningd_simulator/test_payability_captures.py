"""The simulated node chooses route hints and warns like a real lightningd with the same channels."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import groupby
from pathlib import Path

import pytest

from lightningd_simulator import Simulator
from lightningd_simulator.channels import Channel
from tests.support.clock import Clock
from tests.support.replay import Exchange, Replay, Target, recorded
from tests.support.rpc import Params, Reply


def state_of(exchange: Exchange) -> str:
    return exchange.title.partition(":")[0]


# By the state of the real node's channels, which a recording's title begins with.
STATES = {
    state: {exchange.title.partition(": ")[2]: exchange for exchange in exchanges}
    for state, exchanges in groupby(recorded("payability"), state_of)
}


def channels(exchanges: dict[str, Exchange]) -> list[Channel]:
    """Return the channels of the real node."""
    if "channels" not in exchanges:
        return []
    incoming = {
        each["short_channel_id"]: each for each in exchanges.pop("incoming").reply["result"]["incoming"]
    }
    return [
        Channel(
            short_channel_id=each["short_channel_id"],
            remote_alias=each["alias"]["remote"],
            peer_id=each["peer_id"],
            receivable_msat=min(each["receivable_msat"], incoming[each["short_channel_id"]]["htlc_max_msat"]),
            is_private=each["private"],
            is_connected=each["peer_connected"],
            is_dead_end=incoming[each["short_channel_id"]]["incoming_capacity_msat"] == 0,
        )
        for each in exchanges.pop("channels").reply["result"]["channels"]
    ]


@pytest.mark.parametrize("state", STATES)
async def test_invoices(state: str, tmp_path: Path) -> None:
    """Each reply has the recorded warnings or error, and its payment request the recorded hints."""
    exchanges = dict(STATES[state])
    given = channels(exchanges)

    problems = await replayed(tmp_path / "rpc", given, list(exchanges.values()))

    assert not problems, "\n".join(problems)


async def replayed(rpc_file: Path, given: Sequence[Channel], exchanges: Sequence[Exchange]) -> list[str]:
    async with Simulator(rpc_file, clock=Clock(), channels=given), AsyncExitStack() as connections:
        replay = Replay(Target(rpc_file, unpayable, time_stands_still), connections)
        problems = []
        for exchange in exchanges:
            reply = await replay.call(exchange.method, replay.translated(exchange.params))
            if exchange.method != "decode":
                problems += replay.compare(exchange, reply)
            elif reply["result"]["routes"] != exchange.reply["result"]["routes"]:
                problems.append(f"{exchange.title}: {reply['result']['routes']}")
        return problems


async def unpayable(method: str, params: Params) -> Reply:
    raise NotImplementedError


async def time_stands_still(seconds: float) -> None:
    raise NotImplementedError


def test_recordings_have_every_warning() -> None:
    """lightning-invoice(7) documents five warnings."""
    seen = {
        name
        for exchange in recorded("payability")
        for name in exchange.reply.get("result", {})
        if name.startswith("warning_")
    }

    assert seen == {
        "warning_capacity", "warning_deadends", "warning_mpp", "warning_offline", "warning_private_unused"
    }  # fmt: skip
