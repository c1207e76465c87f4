"""Every client does what clients/conformance/suite.yaml says, with a real tilld."""

import asyncio

import pytest

from tests.clients import agent, suite
from tests.clients.scenario import Scenario

# A client is built by a fixture, for as long as that takes.
pytestmark = pytest.mark.timeout(120, func_only=True)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in suite.load()])
async def test_conformance(client, case, worlds, tmp_path):
    wanted = case.get("till", {})
    world = await worlds.get(wanted)
    variables = suite.filled(case.get("environment", {}), world.names)
    log = tmp_path / f"{client}.log"
    try:
        async with agent.running(client, log, variables) as running:
            await Scenario(running, world).run(case["steps"])
            async with asyncio.timeout(10):
                assert await running.end() == 0, "at the end of its input the agent must exit with 0"
                # It has taken its watches with it.
                await world.settle()
    except AssertionError as wrong:
        worlds.forget(wanted)
        told = f"{wrong}\n\nWhat the agent logged:\n{log.read_text(errors='replace')}"
        raise pytest.fail.Exception(told, pytrace=False) from None
    except BaseException:
        worlds.forget(wanted)
        raise
