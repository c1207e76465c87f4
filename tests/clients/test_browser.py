"""The TypeScript client in a real browser: gRPC-Web, through the real Envoy."""

import asyncio
import json
import shutil
import socket
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.clients import agent
from tests.clients.choice import built, chosen, left_out
from tests.support.nodes import simulated_node
from tests.support.shop import ANY_PORT, config, open_shop
from tilld.config import Address

TYPESCRIPT = agent.CLIENTS / "typescript"
CHROMIUM = shutil.which("chromium") or ""

pytestmark = pytest.mark.timeout(120, func_only=True)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example page of the client, bundled, at an origin of its own; gives the origin."""
    if "typescript" not in chosen(request.config):
        pytest.skip("the TypeScript client is not chosen")
    if not CHROMIUM:
        left_out(request.config, "the TypeScript client in a browser, which needs chromium")
    built(request.config, "typescript")
    directory = tmp_path_factory.mktemp("site")
    shutil.copy(TYPESCRIPT / "examples" / "checkout.html", directory)
    esbuild = TYPESCRIPT / "node_modules" / ".bin" / "esbuild"
    source = TYPESCRIPT / "dist" / "examples" / "checkout.js"
    bundle = directory / source.name
    subprocess.run([esbuild, source, "--bundle", f"--outfile={bundle}", "--log-level=error"], check=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=directory)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield "http://{}:{}".format(*server.server_address)
        server.shutdown()


class Payer:
    """Somebody with a browser."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def sees(self) -> Any:
        """What the page shows next: the payment request, and a state of the invoice; None after the last."""
        assert self._process.stdout
        async with asyncio.timeout(30):
            line = await self._process.stdout.readline()
        return json.loads(line) if line else None


@asynccontextmanager
async def payer_at(site: str, rest: Address | None) -> AsyncIterator[Payer]:
    """Open the page, which talks to a Till, and click its button."""
    process = await asyncio.create_subprocess_exec(
        "node", TYPESCRIPT / "dist" / "test" / "chromium.js", CHROMIUM, f"{site}/checkout.html?till=http://{rest}",
        stdout=PIPE,
    )  # fmt: skip
    try:
        yield Payer(process)
    finally:
        if process.returncode is None:
            # It ends the browser, too.
            process.terminate()
        await process.wait()


async def test_a_page_creates_an_invoice_and_sees_it_paid(site: str, tmp_path: Path) -> None:
    """From another origin, as `--cors-origin` lets it."""
    async with open_shop(config(tmp_path, cors_origin=(site,))) as shop:
        async with payer_at(site, shop.till.running.rest) as payer:
            shown = await payer.sees()
            assert shown["state"] == "unpaid"

            await shop.pay(shown["bolt11"])

            assert await payer.sees() == shown | {"state": "paid"}
            assert await payer.sees() is None


async def test_a_page_sees_what_was_paid_while_till_was_away(site: str, tmp_path: Path) -> None:
    """Its watch comes back by itself, and shows no state twice."""
    with socket.socket() as reserved:
        # Bound, but not listening: the port is free for Envoy and for nobody else.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(ANY_PORT)
        address = Address(*reserved.getsockname())
        async with simulated_node(tmp_path) as node, AsyncExitStack() as page:
            settings = config(tmp_path, cors_origin=(site,), rest=address, lightning_rpc=node.rpc_file)
            async with open_shop(settings):
                payer = await page.enter_async_context(payer_at(site, address))
                shown = await payer.sees()
                assert shown["state"] == "unpaid"

            await node.pay(shown["bolt11"])

            async with open_shop(settings):
                assert await payer.sees() == shown | {"state": "paid"}
                assert await payer.sees() is None
