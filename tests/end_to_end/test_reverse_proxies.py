"""Server-sent events behind nginx, HAProxy and Caddy, with compression on."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.shop import HEARTBEAT_SECONDS, Shop, config, open_shop
from tests.support.waiting import eventually

# Debian installs the servers in /usr/sbin.
PATH = f"{os.environ['PATH']}:/usr/sbin"
GUIDE = Path(__file__).parents[2] / "docs/guides/reverse-proxies.md"

# The configuration of Debian's package, with an upstream as in the manual: buffers, HTTP/1.0, gzip.
NGINX = """
daemon off; master_process off; pid DIRECTORY/nginx.pid; error_log DIRECTORY/nginx.log;
events {}
http {
    access_log off; gzip on;
    client_body_temp_path DIRECTORY; proxy_temp_path DIRECTORY; fastcgi_temp_path DIRECTORY;
    uwsgi_temp_path DIRECTORY; scgi_temp_path DIRECTORY;
    server { listen unix:DIRECTORY/socket; location / { proxy_pass http://127.0.0.1:8080; } }
}
"""
# HAProxy compresses events unless a header forbids transformations.
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    compression algo gzip
    compression type text/event-stream
frontend pages
    bind unix@DIRECTORY/socket
    default_backend till
backend till
    server till 127.0.0.1:8080
"""


def caddy() -> str:
    """Return the guide's example. Caddy before 2.6.3 compresses events even if a header forbids it."""
    found = re.search(r"^## Caddy\n.*?^```text\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    here = found[1].replace("{\n", "{\nadmin off\nauto_https off\n", 1)
    return here.replace("shop.example {\n", "http:// {\nbind unix/DIRECTORY/socket\n")


PROXIES = {
    "nginx": (NGINX, ["-e", "stderr", "-c"]),
    "haproxy": (HAPROXY, ["-db", "-f"]),
    "caddy": (caddy(), ["run", "--adapter=caddyfile", "--config"]),
}


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with open_shop(config(tmp_path_factory.mktemp("shop"))) as shop:
        yield shop


@asynccontextmanager
async def proxy(name: str, directory: Path, rest: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run a proxy in front of Till; yield a client behind the proxy."""
    program = shutil.which(name, path=PATH)
    if program is None:
        pytest.skip(f"needs {name}, which is not installed")
    socket, file = directory / "socket", directory / "conf"
    text, command = PROXIES[name]
    file.write_text(text.replace("DIRECTORY", str(directory)).replace("127.0.0.1:8080", rest))
    homes = {"XDG_CONFIG_HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    process = await asyncio.create_subprocess_exec(program, *command, str(file), env=os.environ | homes)
    try:
        await eventually(socket.exists)
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        async with httpx.AsyncClient(base_url="http://pages", transport=transport) as page:
            yield page
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize("name", PROXIES)
async def test_a_proxy_forwards_events_immediately(shop: Shop, tmp_path: Path, name: str) -> None:
    """The first state passes immediately, then heartbeats and the payment."""
    created = await shop.create()
    url = f"/lightning/invoice/{created['invoiceid']}/watch"
    async with (
        proxy(name, tmp_path, str(shop.till.running.rest)) as page,
        asyncio.timeout(5),
        page.stream("GET", url, headers={"accept-encoding": "gzip"}) as reply,
    ):
        pieces = reply.aiter_raw()
        told = await anext(pieces)
        assert (reply.status_code, reply.headers.get("content-encoding")) == (200, None)
        assert told.startswith(b"retry: 2000\n\nid: 1\ndata: ")
        async with asyncio.timeout(10 * HEARTBEAT_SECONDS):
            assert await anext(pieces) == b": heartbeat\n\n"

        await shop.pay(created["payreq"])

        rest = b"".join([piece async for piece in pieces])
        assert rest.replace(b": heartbeat\n\n", b"").startswith(b"id: 2\ndata: ")
