"""Crashes of any part at any moment lose and invent nothing: the short form of `make crash`."""

from pathlib import Path

import pytest

from tests.crash import KILLS, Crash
from tests.support.nodes import LIGHTNINGD, RealPair, SimulatedProcess


@pytest.mark.timeout(240)
async def test_killed_under_load_nothing_is_lost_and_nothing_invented(
    tmp_path: Path, database_url: str
) -> None:
    """One kill of each kind, with two replicas.

    Tilld, the node, both, and tilld at each point; then the node's list and the received events are compared.
    """
    crash = Crash(tmp_path, SimulatedProcess(tmp_path), seed=1, database=database_url, replicas=2)

    done = await crash.run(len(KILLS))

    assert crash.kills == dict.fromkeys(KILLS, 1), done


@pytest.mark.lightningd
@pytest.mark.skipif(not LIGHTNINGD, reason="LIGHTNINGD does not name a real lightningd")
@pytest.mark.timeout(300)
async def test_with_a_real_node_too(tmp_path: Path) -> None:
    """The real node is killed and paid like the simulated one."""
    crash = Crash(tmp_path, RealPair(tmp_path), seed=1)

    done = await crash.run(len(KILLS))

    assert crash.kills == dict.fromkeys(KILLS, 1), done
