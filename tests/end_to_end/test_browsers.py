"""Browsers: which origins may call (CORS), and the security headers of every response."""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.browser import ORIGIN, SECURITY
from tests.support.processes import output
from tests.support.shop import ANY_PORT, Shop, config, open_shop
from till.v1 import invoice_service_pb2 as pb
from tilld.config import Address, Config
from tilld.envoy.process import Envoy
from tilld.errors import OperatorError

BODY = {"msat": 5000, "metadata": {"type": "shop"}}
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,idempotency-key",
}

# Requests, and the status of their responses without a key.
ANSWERS = [
    ("GET", "/lightning/info", 401),
    ("POST", "/lightning/invoice/create", 401),
    ("GET", "/lightning/invoice/abc/watch", 401),
    ("GET", "/lightning/invoices?stat=paid", 400),
    ("GET", "/nothing", 404),
    ("DELETE", "/lightning/info", 405),
]


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A Till with a key and two allowed origins."""
    directory = tmp_path_factory.mktemp("browsers")
    settings = config(directory, cors_origin=(ORIGIN, "http://localhost:3000"))
    async with open_shop(settings) as shop:
        _, key = await output("key", "create", "--username=shop", f"--data-dir={directory}", cwd=directory)
        shop.rest.headers["authorization"] = f"Bearer {key.split()[-1]}"
        yield shop


@pytest.fixture
async def nobody(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with httpx.AsyncClient(base_url=shop.rest.base_url, timeout=10) as client:
        yield client


def cors(reply: httpx.Response) -> set[str]:
    return {name for name in reply.headers if name.startswith("access-control-")}


def items(header: str) -> set[str]:
    return set(header.split(", "))


# CORS


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
async def test_a_preflight_of_an_allowed_origin_needs_no_key(nobody: httpx.AsyncClient, origin: str) -> None:
    """A browser may cache the preflight response for a day."""
    reply = await nobody.options("/lightning/invoice/create", headers=PREFLIGHT | {"origin": origin})

    assert (reply.status_code, reply.content) == (200, b"")
    headers = reply.headers
    assert headers["access-control-allow-origin"] == origin
    assert items(headers["access-control-allow-methods"]) == {"GET", "POST", "PATCH", "DELETE", "OPTIONS"}
    assert items(headers["access-control-allow-headers"]) == {
        "authorization", "content-type", "idempotency-key", "last-event-id",
        "x-grpc-web", "x-user-agent", "grpc-timeout",
        "traceparent",
        "tracestate",
        "baggage",
    }  # fmt: skip
    assert headers["access-control-max-age"] == "86400"
    assert headers.items() >= SECURITY.items()


async def test_a_page_of_the_origin_may_read_an_answer(shop: Shop) -> None:
    shop.rest.headers["origin"] = ORIGIN
    created = await shop.rest.post("/lightning/invoice/create", json=BODY)
    async with shop.rest.stream("GET", f"/lightning/invoice/{created.json()['invoiceid']}/watch") as watch:
        pass
    del shop.rest.headers["origin"]

    for reply in (created, watch):
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, ORIGIN)
        assert items(reply.headers["access-control-expose-headers"]) == {
            "grpc-status", "grpc-message", "grpc-status-details-bin", "x-error-code", "retry-after"
        }  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_a_page_of_the_origin_may_read_an_error(
    nobody: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    reply = await nobody.request(method, path, headers={"origin": ORIGIN})

    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (status, ORIGIN)
    assert reply.json()["error"]


async def test_a_page_of_the_origin_may_read_that_its_body_is_too_large(shop: Shop) -> None:
    """With a key, since Till may reject a call without one before its body has arrived."""
    headers = {"origin": ORIGIN}
    reply = await shop.rest.post("/lightning/invoice/create", content=b" " * 70_000, headers=headers)

    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (413, ORIGIN)


async def test_a_page_may_read_that_till_is_down(lonely: httpx.AsyncClient) -> None:
    """This Envoy allows every origin."""
    for origin in (ORIGIN, "https://other.example"):
        reply = await lonely.get("/lightning/info", headers={"origin": origin})
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (503, origin)


async def test_grpc_web_may_be_called_from_a_page(shop: Shop) -> None:
    """The page can also read errors."""
    frame = struct.pack(">xI", 0) + pb.GetInvoiceRequest().SerializeToString()
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": ORIGIN}

    reply = await shop.rest.post("/till.v1.InvoiceService/GetInvoice", content=frame, headers=headers)

    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert "x-error-code" in reply.headers
    assert {"grpc-status", "grpc-message", "x-error-code"} <= items(
        reply.headers["access-control-expose-headers"]
    )


@pytest.mark.parametrize("origin", ["https://other.example", f"{ORIGIN}:8443", "http://shop.example", "null"])
async def test_another_origin_gets_no_cors_headers(nobody: httpx.AsyncClient, origin: str) -> None:
    preflight = await nobody.options("/lightning/info", headers=PREFLIGHT | {"origin": origin})
    read = await nobody.get("/lightning/info", headers={"origin": origin})

    assert (preflight.status_code, read.status_code) == (405, 401)
    assert not cors(preflight) | cors(read)


async def test_without_origins_there_is_no_cors(tmp_path: Path) -> None:
    envoy = Envoy(ANY_PORT, [Address("127.0.0.1", 1)], tmp_path)
    await envoy.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://{envoy.rest}", headers={"origin": ORIGIN}) as client:
            preflight = await client.options("/lightning/info", headers=PREFLIGHT)
            read = await client.get("/lightning/info")
    finally:
        await envoy.stop(0)

    assert (preflight.status_code, read.status_code) == (405, 503)
    assert not cors(preflight) | cors(read)


@pytest.mark.parametrize(
    "origin",
    [
        "shop.example",
        "https://",
        "https://shop.example/",
        "https://shop.example/pay",
        "https://Shop.example",
        "https://user@shop.example",
        "https://shop.example:443",
        "https://*.example",
        "null",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    with pytest.raises(OperatorError) as told:
        Config.load(cors_origin=[ORIGIN, origin])

    assert str(told.value) == (
        f"--cors-origin (TILLD_CORS_ORIGIN) is {origin!r}: "
        "give an origin as browsers send it, such as https://shop.example, or * for all"
    )


def test_origins_may_be_given_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLD_CORS_ORIGIN", f"{ORIGIN}, http://[::1]:3000,capacitor://localhost")

    assert Config.load().cors_origin == (ORIGIN, "http://[::1]:3000", "capacitor://localhost")


# Security headers


@pytest.mark.parametrize(("method", "path", "status"), [*ANSWERS, ("HEAD", "/lightning/nothing", 404)])
async def test_every_error_has_the_security_headers(
    nobody: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    reply = await nobody.request(method, path)

    assert reply.status_code == status
    assert reply.headers.items() >= SECURITY.items()


async def test_every_success_has_the_security_headers(shop: Shop) -> None:
    """Proxies must not transform events. HSTS is sent only over TLS."""
    events = SECURITY | {"cache-control": "no-cache, no-transform"}
    created = await shop.rest.post("/lightning/invoice/create", json=BODY)
    async with shop.rest.stream("GET", f"/lightning/invoice/{created.json()['invoiceid']}/watch") as watch:
        pass

    for reply, headers in ((created, SECURITY), (watch, events)):
        assert reply.status_code == 200
        assert reply.headers.items() >= headers.items()
        assert "strict-transport-security" not in reply.headers
        assert not cors(reply)


async def test_the_error_of_an_absent_tilld_has_the_security_headers(lonely: httpx.AsyncClient) -> None:
    reply = await lonely.get("/lightning/info")

    assert reply.status_code == 503
    assert reply.headers.items() >= SECURITY.items()


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET /lightning/info HTTP/1.1\r\n\r\n",
        b"GET /lightning/info HTTP/1.1\r\nhost: till\r\nx-much: " + b"x" * 10_000 + b"\r\n\r\n",
        b"POST /lightning/invoice/create HTTP/1.1\r\nhost: till\r\ncontent-length: 70000\r\n\r\n"
        + b" " * 70_000,
    ],
)
async def test_errors_before_the_filters_have_the_security_headers(shop: Shop, raw: bytes) -> None:
    url = shop.rest.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(raw)
    async with asyncio.timeout(5):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    writer.close()

    for name, value in SECURITY.items():
        assert f"{name}: {value}\r\n" in head
