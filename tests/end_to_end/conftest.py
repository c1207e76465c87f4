"""Leak check: all logs of these tests are kept, and searched for secrets at the end."""

import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from tests.support.keys import KEYS
from tests.support.shop import ANY_PORT
from tilld.config import Address
from tilld.envoy.process import Envoy
from tilld.invoices import repository
from tilld.runtime import logs

LAST = "the tests are over"

SECRETS = {
    "a key": re.compile(r"till_[A-Za-z0-9]{12}_[A-Za-z0-9]{32}"),
    "a watch token": re.compile(r"watch_\.?[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
    "a secret of a webhook": re.compile(r"whsec_[A-Za-z0-9+/]{32}"),
    "an authorization header": re.compile(r"(?i)\b(?:bearer|basic) [A-Za-z0-9_.~+/=-]{12,}"),
}


@pytest.fixture(scope="package", autouse=True)
def nothing_leaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Log everything at the level debug; Envoy, nodes and other processes log to files of their own."""
    base = tmp_path_factory.getbasetemp()
    ours = base / "tests.log"
    # tilld shows other packages' records of the standard library from this level up.
    handler = logging.FileHandler(ours)
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    with ours.open("a") as log:
        logs.configure("debug", "json", log)
        structlog.configure(cache_logger_on_first_use=False)
        yield ours
        # Log a last record, whichever tests were selected: tilld's logger may have cached another
        # destination.
        repository.log.debug(LAST)
        structlog.reset_defaults()
    logging.getLogger().removeHandler(handler)
    handler.close()

    secrets = {key.rpartition("_")[2] for key in KEYS} | _preimages(base)
    files = {file: file.read_text(errors="replace") for file in base.rglob("*.log")}
    found = [f"{what} in {file}" for file, text in files.items() for what in _found(text, secrets)]
    assert not found, "\n".join(found)
    assert LAST in files[ours], "nothing was logged, so the search proves nothing"


@pytest.fixture
def logged(nothing_leaks: Path) -> Callable[[], str]:
    """Return a function that returns all log output since the test began."""
    before = nothing_leaks.stat().st_size
    return lambda: nothing_leaks.read_bytes()[before:].decode()


def _found(text: str, secrets: set[str]) -> Iterator[str]:
    """Yield the kinds of secrets that a text contains."""
    yield from (what for what, pattern in SECRETS.items() if pattern.search(text))
    if not secrets.isdisjoint(re.findall(r"[A-Za-z0-9]{64}|[A-Za-z0-9]{32}", text)):
        yield "a key's secret or a preimage"


def _preimages(base: Path) -> set[str]:
    """Return the preimages of all invoices of all simulated nodes."""
    lines = (line for file in base.rglob("*.jsonl") for line in file.read_text().splitlines())
    return {json.loads(line)["payment_preimage"] for line in lines if '"payment_preimage"' in line}


@pytest.fixture
async def lonely(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an Envoy without a tilld; the Envoy allows every origin."""
    envoy = Envoy(ANY_PORT, [Address("127.0.0.1", 1)], tmp_path, cors_origins=("*",))
    await envoy.start()
    async with httpx.AsyncClient(base_url=f"http://{envoy.rest}") as client:
        yield client
    await envoy.stop(0)
