"""The example shop of each client: a payer buys a coffee in a real browser."""

import asyncio
import base64
import io
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import zxingcpp
from PIL import Image

from tests.clients.agent import program
from tests.clients.choice import left_out
from tests.support.chromium import CHROMIUM, Page, open_page
from tests.support.keys import make_key
from tests.support.processes import Process
from tests.support.shop import Shop, config, open_shop

pytestmark = pytest.mark.timeout(120, func_only=True)


@dataclass(frozen=True)
class Open:
    """An open example shop, and the Till behind it."""

    url: str
    key: str
    process: Process
    till: Shop


@asynccontextmanager
async def opened(client: str, directory: Path) -> AsyncIterator[Open]:
    """Run the shop of a client with a key, and a Till that allows its page."""
    async with open_shop(config(directory, cors_origin=("*",))) as till:
        [header] = (await make_key(directory, "--username", "shop")).values()
        key = header.removeprefix("Bearer ")
        variables = {
            "TILL_ADDRESS": str(till.till.running.grpc),
            "TILL_URL": f"http://{till.till.running.rest}",
            "TILL_KEY": key,
            "PORT": "0",
        }
        async with program(client, "--shop", **variables) as shop:
            yield Open(await shop.says(r"The shop is open at (http://127\.0\.0\.1:\d+)\n"), key, shop, till)


async def test_a_payer_buys_a_coffee(request: pytest.FixtureRequest, client: str, tmp_path: Path) -> None:
    if not CHROMIUM:
        left_out(request.config, f"the shop of {client} in a browser, which needs chromium")
    async with opened(client, tmp_path / "till") as shop, open_page(tmp_path / "browser") as page:
        await page.call("Page.navigate", url=shop.url)
        await until(page, "document.querySelector('button[value=coffee]') !== null")
        await page.run("document.querySelector('button[value=coffee]').click()")
        await until(page, "document.querySelector('[role=status]').textContent.includes('Waiting')")
        bolt11 = await page.run("document.querySelector('code').textContent.trim()")

        assert await scanned(page) == f"lightning:{bolt11}".upper()
        assert await page.run("document.querySelector('a').href") == f"lightning:{bolt11}"

        await shop.till.pay(bolt11)

        await until(page, "document.querySelector('[role=status]').textContent.includes('Paid')")
        await shop.process.says(r"Order (\S+) is paid\.\n")


async def test_prices_and_keys_stay_at_the_server(client: str, tmp_path: Path) -> None:
    async with opened(client, tmp_path) as shop, httpx.AsyncClient(base_url=shop.url, timeout=10) as http:
        page = await http.get("/")
        cheap = {"item": "cake", "amount_msat": "1", "price": 1, "msat": 1}
        ordered = await http.post("/orders", json=cheap)
        unknown = await http.post("/orders", json={"item": "yacht"})
        order = ordered.json()
        watched = await http.get(order["watch_url"].removesuffix("/watch").replace("/watch?", "?"))

        assert (page.status_code, ordered.status_code, unknown.status_code) == (200, 201, 404)
        assert order["amount_msat"] == "12000"
        assert watched.json()["msatoshi"] == 12000
        assert watched.json()["label"] == order["order"]
        assert all(shop.key not in each.text for each in (page, ordered, unknown))


async def test_a_shop_ends_with_sigterm(client: str, tmp_path: Path) -> None:
    async with opened(client, tmp_path) as shop:
        async with asyncio.timeout(10):
            await shop.process.end(signal.SIGTERM)


async def until(page: Page, script: str) -> None:
    """Wait until a script is true in a page."""
    poll = f"setInterval(() => {{ if ({script}) {{ clearInterval(poll); resolve(); }} }}, 20)"
    async with asyncio.timeout(20):
        await page.run(f"new Promise((resolve) => {{ const poll = {poll}; }})")


async def scanned(page: Page) -> str:
    """Return the text of the QR code that a page shows."""
    image = (await page.call("Page.captureScreenshot", captureBeyondViewport=True))["data"]
    [code] = zxingcpp.read_barcodes(Image.open(io.BytesIO(base64.b64decode(image))))
    text: str = code.text
    return text
