"""The TypeScript client in a real browser: gRPC-Web, through the real Envoy."""

import json
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.clients import agent
from tests.clients.choice import built, chosen, left_out
from tests.support.chromium import CHROMIUM, Page, open_page
from tests.support.nodes import SimulatedNode, simulated_node
from tests.support.shop import ANY_PORT, config, open_shop
from tilld.config import Address, Config

TYPESCRIPT = agent.CLIENTS / "typescript"
# What a page iterates over, and how it reports an item.
WATCH = "client.connect(url).watch({ invoiceId }, options)", "client.InvoiceStatus[item.status]"
EVENTS = (
    "client.connect(url).events({ from: 'beginning', ...options })",
    "`${item.sequence} ${item.type} ${item.data.value.invoiceId}`",
)
REPORT = """
    window.reports = [];
    window.waiting = [];
    const report = (what) => { reports.push(what); waiting.splice(0).forEach((wake) => wake()); };
    (async () => {
      const options = {
        timeoutMs: 60_000,
        onConnection: ({ lost, error }) => report(lost ? "lost: " + client.Code[error.code] : "back"),
      };
      try {
        for await (const item of ITEMS) report(TEXT);
        report("end");
      } catch (error) {
        report(client.Code[error.code] + ": " + error.rawMessage);
      }
    })();
    undefined;
"""

pytestmark = pytest.mark.timeout(120, func_only=True)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an empty page with the bundled client, as `client`; yield the page's origin."""
    if "typescript" not in chosen(request.config):
        pytest.skip("the TypeScript client is not chosen")
    if not CHROMIUM:
        left_out(request.config, "the TypeScript client in a browser, which needs chromium")
    built(request.config, "typescript")
    directory = tmp_path_factory.mktemp("site")
    esbuild = TYPESCRIPT / "node_modules" / ".bin" / "esbuild"
    options = (
        "--bundle",
        "--global-name=client",
        f"--outfile={directory / 'client.js'}",
        "--log-level=error",
    )
    subprocess.run([esbuild, TYPESCRIPT / "dist/src/web.js", *options], check=True)
    (directory / "index.html").write_text('<!doctype html><script src="client.js"></script>')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=directory)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield "http://{}:{}".format(*server.server_address)
        server.shutdown()


class Watcher:
    """A page that watches an invoice, or reads events."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._seen = 0

    async def watch(self, rest: Address | None, invoice_id: str) -> None:
        """Watch an invoice at a Till."""
        await self._report(rest, f"var invoiceId = {json.dumps(invoice_id)};", *WATCH)

    async def read_events(self, rest: Address | None) -> None:
        """Read all events of a Till."""
        await self._report(rest, "", *EVENTS)

    async def _report(self, rest: Address | None, names: str, items: str, text: str) -> None:
        script = REPORT.replace("ITEMS", items).replace("TEXT", text)
        await self._page.run(f"var url = 'http://{rest}'; {names} {script}")

    async def sees(self) -> Any:
        """Wait for the next report: an item, a loss or a return of the connection, an error or the end."""
        here = self._seen
        self._seen += 1
        wait = f"while (reports.length <= {here}) await new Promise((wake) => waiting.push(wake));"
        return await self._page.run(f"(async () => {{ {wait} return reports[{here}]; }})()")


@pytest.fixture
async def watcher(site: str, tmp_path: Path) -> AsyncIterator[Watcher]:
    async with open_page(tmp_path / "browser") as page:
        await page.call("Page.navigate", url=site)
        loaded = "document.readyState === 'complete' || new Promise((done) => addEventListener('load', done))"
        await page.run(loaded)
        yield Watcher(page)


@asynccontextmanager
async def lasting_till(directory: Path, site: str) -> AsyncIterator[tuple[Config, SimulatedNode]]:
    """Yield the settings of a Till that may start more than once at the same address, and its node."""
    with socket.socket() as reserved:
        # Bound, but not listening: no other process than Envoy can take the port.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(ANY_PORT)
        address = Address(*reserved.getsockname())
        async with simulated_node(directory) as node:
            yield config(directory, cors_origin=(site,), rest=address, lightning_rpc=node.rpc_file), node


async def test_a_page_of_another_origin_sees_the_payment(site: str, watcher: Watcher, tmp_path: Path) -> None:
    async with open_shop(config(tmp_path / "till", cors_origin=(site,))) as shop:
        invoice = await shop.create()
        await watcher.watch(shop.till.running.rest, invoice["invoiceid"])
        assert await watcher.sees() == "UNPAID"

        await shop.pay(invoice["payreq"])

        assert await watcher.sees() == "PAID"
        assert await watcher.sees() == "end"


async def test_a_page_of_a_refused_origin_fails_before_the_first_state(
    site: str, watcher: Watcher, tmp_path: Path
) -> None:
    async with open_shop(config(tmp_path / "till", cors_origin=("https://shop.example",))) as shop:
        invoice = await shop.create()
        rest = shop.till.running.rest
        await watcher.watch(rest, invoice["invoiceid"])

        error = await watcher.sees()

    cannot = f"Unavailable: Till at http://{rest} cannot be reached, or does not allow pages of {site}"
    assert error.startswith(cannot)


async def test_an_error_of_till_keeps_its_status(site: str, watcher: Watcher, tmp_path: Path) -> None:
    async with open_shop(config(tmp_path / "till", cors_origin=(site,))) as shop:
        await watcher.watch(shop.till.running.rest, "nope")

        assert await watcher.sees() == "NotFound: resource not found"


async def test_a_page_shows_a_lost_connection_and_the_payment_of_that_time(
    site: str, watcher: Watcher, tmp_path: Path
) -> None:
    async with lasting_till(tmp_path, site) as (settings, node):
        async with open_shop(settings) as shop:
            invoice = await shop.create()
            await watcher.watch(settings.rest, invoice["invoiceid"])
            assert await watcher.sees() == "UNPAID"

        assert (await watcher.sees()).startswith("lost: ")
        await node.pay(invoice["payreq"])

        async with open_shop(settings):
            while (report := await watcher.sees()) != "back":
                assert report.startswith("lost: ")
            assert await watcher.sees() == "PAID"
            assert await watcher.sees() == "end"


async def test_a_page_reads_each_event_once_through_a_lost_connection(
    site: str, watcher: Watcher, tmp_path: Path
) -> None:
    async with lasting_till(tmp_path, site) as (settings, node):
        async with open_shop(settings) as shop:
            first = await shop.create()
            await watcher.read_events(settings.rest)
            assert await watcher.sees() == f"1 invoice.created {first['invoiceid']}"
            second = await shop.create()
            assert await watcher.sees() == f"2 invoice.created {second['invoiceid']}"

        assert (await watcher.sees()).startswith("lost: ")
        await node.pay(first["payreq"])

        async with open_shop(settings) as shop:
            while (report := await watcher.sees()) != "back":
                assert report.startswith("lost: ")
            assert await watcher.sees() == f"3 invoice.paid {first['invoiceid']}"
            await shop.pay(second["payreq"])
            assert await watcher.sees() == f"4 invoice.paid {second['invoiceid']}"
