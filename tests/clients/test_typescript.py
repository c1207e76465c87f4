"""The TypeScript client's own tests: package, types, README, and calls over a transport in memory."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT

import pytest

from tests.clients.agent import CLIENTS
from tests.clients.choice import built, chosen

pytestmark = pytest.mark.timeout(180)


async def test_its_own_tests(request: pytest.FixtureRequest) -> None:
    if "typescript" not in chosen(request.config):
        pytest.skip("the TypeScript client is not chosen")
    built(request.config, "typescript")
    process = await asyncio.create_subprocess_exec(
        "npm", "test", "--silent", cwd=CLIENTS / "typescript", stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()
