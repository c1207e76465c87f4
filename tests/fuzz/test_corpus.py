"""The seeds of the fuzzers, including earlier findings."""

from pathlib import Path

import pytest

from tests.fuzz import targets


@pytest.mark.parametrize("seed", sorted(targets.CORPUS.glob("body/*")), ids=lambda seed: seed.name)
def test_a_body_is_an_order_or_refused(seed: Path) -> None:
    targets.body(seed.read_bytes())


@pytest.mark.parametrize("seed", sorted(targets.CORPUS.glob("reply/*")), ids=lambda seed: seed.name)
def test_a_reply_is_a_record_or_one_of_our_errors(seed: Path) -> None:
    targets.reply(seed.read_bytes())
