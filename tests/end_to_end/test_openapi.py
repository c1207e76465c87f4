"""The OpenAPI document and the page /docs as Envoy serves them; Till complies with the document."""

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import httpx
import pytest

from tests.support.browser import ORIGIN, SECURITY
from tests.support.keys import make_key
from tests.support.shop import Shop, config, open_shop

FILES = resources.files("tilld.rest_api")
SERVED = {
    "/openapi.json": ("openapi.json", "application/json"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/docs.css": ("docs.css", "text/css; charset=utf-8"),
}
ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).parent / "schemathesis.toml"


@pytest.mark.parametrize("path", SERVED)
async def test_envoy_serves_it_without_tilld(lonely: httpx.AsyncClient, path: str) -> None:
    """Neither a key nor a tilld is needed, and pages of allowed origins may read it."""
    name, media_type = SERVED[path]

    reply = await lonely.get(path, headers={"origin": ORIGIN})
    head = await lonely.head(path)
    other = await lonely.post(path)

    assert (reply.status_code, reply.content) == (200, FILES.joinpath(name).read_bytes())
    assert reply.headers["content-type"] == head.headers["content-type"] == media_type
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert (head.status_code, head.content) == (200, b"")
    assert (other.status_code, other.headers["allow"], other.json()["error"]) == (405, "GET", "E10")


@pytest.mark.parametrize("path", SERVED)
async def test_the_content_security_policy_allows_only_the_page(lonely: httpx.AsyncClient, path: str) -> None:
    """The page may fetch from its own origin only, and may not be framed."""
    headers = (await lonely.get(path)).headers
    policy = "content-security-policy"

    assert headers.items() >= {name: SECURITY[name] for name in SECURITY.keys() - {policy}}.items()
    if path == "/docs":
        *allowed, base, form, frame = headers[policy].split("; ")[1:]
        assert allowed == ["connect-src 'self'", "script-src 'self'", "style-src 'self'"]
        assert (base, form, frame) == ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
        assert headers[policy].startswith("default-src 'none'; ")
    else:
        assert headers[policy] == SECURITY[policy]


@pytest.fixture(scope="module")
async def cashier(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Shop, dict[str, str]]]:
    """A Till, and the header of a key that may call the whole REST API without a practical rate limit."""
    directory = tmp_path_factory.mktemp("openapi")
    async with open_shop(config(directory, key_creates_per_second=10_000)) as shop:
        scopes = (
            "invoices:create",
            "invoices:read",
            "invoices:cancel",
            "info:read",
            "payouts",
            "events:read",
            "webhooks",
        )
        yield shop, await make_key(directory, "--username=all", *(f"--scope={each}" for each in scopes))


@pytest.mark.timeout(180)
async def test_schemathesis_finds_nothing(cashier: tuple[Shop, dict[str, str]]) -> None:
    """Valid requests are accepted, invalid ones rejected, and every response is documented."""
    shop, header = cashier
    program = Path(sys.executable).parent / "schemathesis"

    process = await asyncio.create_subprocess_exec(
        program, "--config-file", CONFIG, "run", f"{shop.rest.base_url}/openapi.json",
        "--header", f"Authorization: {header['authorization']}", "--no-color", "--continue-on-failure",
        stdout=PIPE, stderr=STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    report = output.decode()

    assert (process.returncode, "Tested: 28" in report) == (0, True), report
