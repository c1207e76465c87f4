"""Runs clients/conformance/suite.yaml with each client and a real tilld."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

from tests.clients import agent, suite
from tests.clients.choice import built, chosen
from tests.clients.scenario import SLOW_PATIENCE_SECONDS, Scenario
from tests.clients.world import Worlds

# A fixture may build a client, which takes minutes.
pytestmark = pytest.mark.timeout(120, func_only=True)

# The start of the malformed keys in the suite, and that of each secret of a webhook.
REFUSED_KEY = "till_secret"
SECRET = "whsec_"


def cases(slow: bool) -> list[ParameterSet]:
    return [pytest.param(case, id=case["name"]) for case in suite.load() if case.get("slow", False) is slow]


@pytest.mark.parametrize("case", cases(slow=False))
async def test_conformance(client: str, case: dict[str, Any], worlds: Worlds, tmp_path: Path) -> None:
    await goes_through(case, client, worlds, tmp_path)


@pytest.fixture
def clients(request: pytest.FixtureRequest) -> list[str]:
    """The names of all clients under test, built."""
    there = [name for name in chosen(request.config) if not agent.missing(name)]
    for name in there:
        built(request.config, name)
    return there


@pytest.mark.parametrize("case", cases(slow=True))
async def test_what_takes_its_time(
    clients: list[str], case: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Run the slow cases of all clients concurrently, each with its own Till."""

    async def alone(client: str) -> None:
        async with AsyncExitStack() as stack:
            worlds = Worlds(stack, tmp_path_factory)
            await goes_through(case, client, worlds, tmp_path_factory.mktemp(client), SLOW_PATIENCE_SECONDS)

    await asyncio.gather(*map(alone, clients))


async def goes_through(
    case: dict[str, Any], client: str, worlds: Worlds, directory: Path, *patience: float
) -> None:
    """Run a case with a client. After a failure no other case uses its Till."""
    wanted = case.get("till", {})
    world = await worlds.get(wanted)
    variables = suite.filled(case.get("environment", {}), world.names)
    log = directory / f"{client}.log"
    try:
        async with agent.running(client, log, variables) as running:
            await Scenario(running, world, *patience).run(case["steps"])
            async with asyncio.timeout(10):
                assert await running.end() == 0, "the agent must exit with 0 at the end of its input"
                # Its watches have ended with it.
                await world.settle()
        logged = log.read_text(errors="replace")
        assert not any(key in logged for key in (*world.names["keys"].values(), REFUSED_KEY, SECRET))
    except AssertionError as wrong:
        worlds.forget(wanted)
        told = f"{client}: {wrong}\n\nWhat the agent logged:\n{log.read_text(errors='replace')}"
        raise pytest.fail.Exception(told, pytrace=False) from None
    except BaseException:
        worlds.forget(wanted)
        raise
