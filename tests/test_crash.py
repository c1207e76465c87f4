"""Crashes of any part, at any moment, lose nothing and invent nothing: the short form of `make crash`."""

import pytest

from tests.crash import Crash


@pytest.mark.timeout(120)
async def test_killed_under_load_nothing_is_lost_and_nothing_invented(tmp_path, database_url):
    """Checked against the node's own list."""
    done = await Crash(tmp_path, seed=1, database=database_url).run(kills=6)

    assert done.startswith("6 kills")
