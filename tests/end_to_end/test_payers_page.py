"""A payer's page: EventSource or polyfill with a watch token, also behind nginx and HAProxy."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.keys import KEYS
from tests.support.shop import HEARTBEAT_SECONDS, Shop, config, open_shop
from tests.support.waiting import eventually
from tilld.auth.caller import SHOP
from tilld.auth.key import Key
from tilld.auth.repository import KeyStore
from tilld.config import Address
from tilld.invoices.repository import Store
from tilld.storage.database import open_database

# Debian installs the servers in /usr/sbin.
PATH = f"{os.environ['PATH']}:/usr/sbin"

# The configuration of Debian's package, with an upstream as in the manual: buffers, HTTP/1.0, gzip.
NGINX = """
daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
events {{}}
http {{
    access_log off; gzip on;
    client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
    uwsgi_temp_path {directory}; scgi_temp_path {directory};
    server {{ listen unix:{socket}; location / {{ proxy_pass http://{rest}; }} }}
}}
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
    bind unix@{socket}
    default_backend till
backend till
    server till {rest}
"""


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A Till with a key that the shop's own requests carry."""
    directory = tmp_path_factory.mktemp("page")
    store = Store(open_database(f"sqlite:///{directory / 'till.db'}"))
    key, token = Key.new(
        username="shop", scopes=SHOP, type=None, created_at=datetime.now(UTC), expires_at=None
    )
    KEYS.add(token)
    await KeyStore(store).add(key)
    await store.close()
    async with open_shop(config(directory)) as shop:
        shop.rest.headers["authorization"] = f"Bearer {token}"
        yield shop


@pytest.fixture(scope="module")
async def page(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, which has no key."""
    async with httpx.AsyncClient(base_url=shop.rest.base_url, timeout=10) as page:
        yield page


@pytest.fixture
async def created(shop: Shop) -> Any:
    return await shop.create(
        watch_token=True, msat="any", metadata={"type": "shop", "text": "a\u2028b\u2029c\x85d"}
    )


def path(created: Any, *rest: str) -> str:
    return "/".join(["/lightning/invoice", created["invoiceid"], *rest])


async def watched(
    page: httpx.AsyncClient, url: str, **headers: str
) -> tuple[int, httpx.Headers, list[bytes]]:
    """Return the status and headers of a watch, and the first piece of its body, if any."""
    async with page.stream("GET", url, headers=headers) as reply:
        lines = reply.aiter_raw()
        return reply.status_code, reply.headers, [line async for line in _first(lines)]


async def _first(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
        return


def percent_encoded(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


QUERIES = {
    "alone": "token={token}",
    "first": "token={token}&lastEventId=1",
    "last": "utm_source=a%20b&_=1700000000000&token={token}",
    "between": "a&token={token}&b=",
    "with a trailing ampersand": "token={token}&",
    "after empty ones": "&&=x&token={token}&&",
    "percent-encoded": "x=%26&%74oken={encoded}",
    "twice": "token={token}&token=watch_other",
    "beside one with a similar name": "xtoken=y&tokens=z&token={token}",
}


@pytest.mark.parametrize("what", ["watch", "read", "read by its id"])
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_a_token_is_found_in_any_query(
    page: httpx.AsyncClient, created: Any, query: str, what: str
) -> None:
    """Pages, polyfills and trackers add parameters of their own."""
    query = query.format(token=created["watch_token"], encoded=percent_encoded(created["watch_token"]))

    told: list[bytes] | None
    match what:
        case "watch":
            status, _, told = await watched(page, f"{path(created, 'watch')}?{query}")
        case "read":
            status, told = (await page.get(f"{path(created)}?{query}")).status_code, None
        case _:
            status, told = (
                (await page.get(f"/lightning/invoice/i/{created['_id']}?{query}")).status_code,
                None,
            )

    assert status == 200
    assert told is None or b"unpaid" in told[0]


@pytest.mark.parametrize(
    "query",
    [
        "", "token", "token=", "Token={token}", "token=%20{token}", "token={token}%0d%0ax-a:b",
        "x=token={token}", "token=watch_other&token={token}", "token%3D{token}", "token={token};x=1",
        "token%00={token}",
    ],
)  # fmt: skip
async def test_what_is_not_the_parameter_opens_nothing(
    page: httpx.AsyncClient, created: Any, query: str
) -> None:
    """Neither a part of the token nor a longer text counts; nor does a key in its place."""
    query = query.format(token=created["watch_token"])

    refused = await page.get(f"{path(created, 'watch')}?{query}")

    assert (refused.status_code, refused.json()["error"]) == (401, "E3")


async def test_a_token_in_the_url_does_no_more_than_read(
    shop: Shop, page: httpx.AsyncClient, created: Any
) -> None:
    other = await shop.create()
    query = f"?token={created['watch_token']}"

    replies = [
        await page.get(path(other) + query),
        await page.post(f"/lightning/invoice/create{query}", json={"msat": 1, "metadata": {"type": "shop"}}),
        await page.get(f"{path(created)}{query}&watch_token=true"),
        await page.get(f"/lightning/info{query}"),
    ]

    assert [reply.status_code for reply in replies] == [404, 403, 403, 401]


@pytest.mark.parametrize("by", ["header", "query"])
async def test_an_end_that_till_does_not_know_of_is_no_end(
    page: httpx.AsyncClient, created: Any, by: str
) -> None:
    """The claimed last id is ignored: the open invoice is reported, and later its payment."""
    url, headers = by_last_id(created, by)

    status, _, told = await watched(page, url, **headers)

    assert status == 200
    assert b'"unpaid"' in told[0]


@pytest.mark.parametrize("by", ["header", "query"])
async def test_who_knows_the_end_is_told_not_to_come_back(
    shop: Shop, page: httpx.AsyncClient, created: Any, by: str
) -> None:
    """A polyfill sends no headers; without 204 it would reconnect every 2 s until the page closes."""
    await shop.pay(created["payreq"], 5)
    await shop.outcome(created)
    url, headers = by_last_id(created, by)

    again = await page.get(url, headers=headers)
    first = await page.get(url.replace("lastEventId=2", "lastEventId=1"))

    assert (again.status_code, again.content) == (204, b"")
    assert (first.status_code, b"id: 2" in first.content) == (200, True)


async def test_of_another_invoice_nobody_is_told_that_it_is_over(
    shop: Shop, page: httpx.AsyncClient, created: Any
) -> None:
    other = await shop.create()
    url, headers = by_last_id({**other, "watch_token": created["watch_token"]}, "header")

    refused = await page.get(url, headers=headers)

    assert (refused.status_code, refused.json()["error"]) == (404, "E2")


def by_last_id(created: Any, by: str) -> tuple[str, dict[str, str]]:
    query = f"?token={created['watch_token']}" + ("&lastEventId=2" if by == "query" else "")
    return path(created, "watch") + query, {"last-event-id": "2"} if by == "header" else {}


async def test_events_are_not_to_be_kept_gathered_or_changed(page: httpx.AsyncClient, created: Any) -> None:
    """Unicode line ends within a text are escaped, so that a client splits lines only between events."""
    _, headers, told = await watched(page, f"{path(created, 'watch')}?token={created['watch_token']}")

    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert rb"a\u2028b\u2029c\u0085d" in told[0]
    assert len(told[0].decode().strip().splitlines()) == 4


@asynccontextmanager
async def proxy(name: str, directory: Path, rest: Address) -> AsyncIterator[httpx.AsyncClient]:
    """Run a proxy in front of Till with a default configuration; yield a client behind the proxy."""
    program = shutil.which(name, path=PATH)
    if program is None:
        pytest.skip(f"needs {name}, which is not installed")
    socket, file = directory / "socket", directory / "conf"
    template, command = {"nginx": (NGINX, ["-e", "stderr", "-c"]), "haproxy": (HAPROXY, ["-db", "-f"])}[name]
    file.write_text(template.format(directory=directory, socket=socket, rest=rest))
    process = await asyncio.create_subprocess_exec(program, *command, str(file))
    try:
        await eventually(socket.exists)
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        async with httpx.AsyncClient(base_url="http://pages", transport=transport) as page:
            yield page
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_a_proxy_passes_events_on_as_they_come(
    shop: Shop, created: Any, tmp_path: Path, name: str
) -> None:
    """The first state passes immediately, then heartbeats and the payment, without special settings."""
    assert shop.till.running.rest
    query = f"?token={created['watch_token']}"
    async with (
        proxy(name, tmp_path, shop.till.running.rest) as page,
        asyncio.timeout(5),
        page.stream("GET", path(created, "watch") + query, headers={"accept-encoding": "gzip"}) as reply,
    ):
        pieces = reply.aiter_raw()
        told = await anext(pieces)
        assert (reply.status_code, reply.headers.get("content-encoding")) == (200, None)
        assert told.startswith(b"retry: 2000\n\nid: 1\ndata: ")
        async with asyncio.timeout(10 * HEARTBEAT_SECONDS):
            assert await anext(pieces) == b": heartbeat\n\n"

        await shop.pay(created["payreq"], 5)

        rest = b"".join([piece async for piece in pieces])
        assert rest.replace(b": heartbeat\n\n", b"").startswith(b"id: 2\ndata: ")
