"""The annotations of the REST services also work in grpc-gateway, built here, before a real tilld."""

import asyncio
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.shop import Shop, config, open_shop

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "grpc_gateway"
PROTOS = [
    f"till/rest/v1/{each}_service.proto" for each in ("event", "health", "invoice", "invreq", "webhook")
]
MODULE = "lightning-till/tests/grpc_gateway"
GO = shutil.which("go")

pytestmark = [
    pytest.mark.skipif(GO is None, reason="needs go, which is not installed"),
    # The first build takes minutes.
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Shop, httpx.AsyncClient]]:
    """A Till, and an HTTP client of the gateway in front of it."""
    assert GO
    directory = tmp_path_factory.mktemp("gateway")
    for file in SOURCE.iterdir():
        shutil.copy(file, directory)
    await run(GO, "build", "-o", "bin/", "tool", cwd=directory)
    packages = [f"M{each}={MODULE}/gen/till/rest/v1" for each in PROTOS]
    plugins = {
        f"{name}_{kind}": value
        for name in ("go", "go-grpc", "grpc-gateway")
        for kind, value in (("out", "."), ("opt", ",".join([f"module={MODULE}", *packages])))
    }
    await run(
        sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT / 'proto'}",
        *(f"--plugin={each}" for each in (directory / "bin").iterdir()),
        *(f"--{name}={value}" for name, value in plugins.items()), *PROTOS, cwd=directory,
    )  # fmt: skip
    await run(GO, "build", "-o", "gateway", ".", cwd=directory)
    async with open_shop(config(tmp_path_factory.mktemp("till"))) as shop:
        process = await asyncio.create_subprocess_exec(
            directory / "gateway", str(shop.till.running.grpc), stdout=PIPE
        )
        assert process.stdout
        address = (await process.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=10) as client:
            yield shop, client
        process.terminate()
        await process.wait()


async def run(*command: str | Path, cwd: Path) -> None:
    """Run a program, which must succeed."""
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=PIPE, stderr=STDOUT)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def test_a_call_has_the_documented_response(
    gateway: tuple[Shop, httpx.AsyncClient],
) -> None:
    """The response equals that of Envoy byte by byte."""
    shop, client = gateway
    body = b'{"msat": 12345678901234567, "metadata": {"type": "shop", "n": 123456789012345678901.50}}'

    created = await client.post("/lightning/invoice/create", content=body, headers={"idempotency-key": "k"})
    again = await client.post("/lightning/invoice/create", content=body, headers={"idempotency-key": "k"})

    assert (created.status_code, created.headers["content-type"]) == (200, "application/json")
    assert {**again.json(), "payability": None} == {**created.json(), "payability": None}
    invoice = created.json()
    for path in (
        f"/lightning/invoice/{invoice['invoiceid']}",
        f"/lightning/invoice/i/{invoice['_id']}",
        "/lightning/info",
    ):
        answer, documented = await client.get(path), await shop.rest.get(path)
        assert (answer.status_code, answer.content) == (200, documented.content)
        assert answer.headers["content-type"] == "application/json"
    asked = await client.get(f"/lightning/invoice/{invoice['invoiceid']}?watch_token=true")
    assert asked.json()["watch_token"].startswith("watch_")


async def test_lists_have_the_documented_response(gateway: tuple[Shop, httpx.AsyncClient]) -> None:
    shop, client = gateway
    await shop.create(label="é+1")
    canceled = await shop.create()
    path = f"/lightning/invoice/{canceled['invoiceid']}"
    paid = await shop.create()
    await shop.pay(paid["payreq"])
    await shop.outcome(paid)

    deleted = await client.delete(path)
    assert (deleted.status_code, deleted.json()) == (200, canceled | {"status": "canceled"})
    for path in (
        "/lightning/invoices",
        "/lightning/invoices?status=paid&status=canceled&limit=1",
        "/lightning/invoices?label=%C3%A9%2B1&created_from=2020-01-01T00:00:00%2B01:00",
        "/lightning/invoices?label=",
        "/lightning/invoices.csv?order=created&tz=Europe/Rome",
        "/lightning/report?from=2026-01-01&to=2030-01-01&by=day",
    ):
        answer, documented = await client.get(path), await shop.rest.get(path)
        assert (answer.status_code, answer.content) == (documented.status_code, documented.content), path
        for header in ("content-type", "content-disposition"):
            assert answer.headers.get(header) == documented.headers.get(header)


async def test_a_watch_is_a_stream_of_events(gateway: tuple[Shop, httpx.AsyncClient]) -> None:
    shop, client = gateway
    invoice = await shop.create()
    path = f"/lightning/invoice/{invoice['invoiceid']}/watch"

    async with client.stream("GET", path) as stream:
        lines = stream.aiter_lines()
        first = [await anext(lines) for _ in range(5)]
        await shop.pay(invoice["payreq"])
        rest = [line async for line in lines if line and not line.startswith(":")]

    assert stream.headers["content-type"] == "text/event-stream"
    assert first[:3] == ["retry: 2000", "", "id: 1"]
    assert '"status":"unpaid"' in first[3]
    assert rest[0] == "id: 2"
    assert '"status":"paid"' in rest[1]


async def test_events_have_the_documented_response(gateway: tuple[Shop, httpx.AsyncClient]) -> None:
    shop, client = gateway
    await shop.create()
    for path in (
        "/lightning/events",
        "/lightning/events?after=beginning&types=invoice.created,invoice.paid&limit=1",
        "/lightning/events?after=now&wait=1",
    ):
        answer, documented = await client.get(path), await shop.rest.get(path)
        assert (answer.status_code, answer.content) == (200, documented.content), path
    newest = (await client.get("/lightning/events?after=now")).json()["next"]

    headers = {"last-event-id": str(newest - 1)}
    async with client.stream("GET", "/lightning/events/stream?after=now", headers=headers) as stream:
        lines = stream.aiter_lines()
        first = [await anext(lines) for _ in range(4)]

    assert stream.headers["content-type"] == "text/event-stream"
    assert first[:3] == ["retry: 2000", "", f"id: {newest}"]


async def test_webhooks_have_the_documented_response(gateway: tuple[Shop, httpx.AsyncClient]) -> None:
    shop, client = gateway
    made = (await client.post("/lightning/webhooks", json={"url": "https://shop.example/till"})).json()
    path = f"/lightning/webhooks/{made['id']}"

    changed = await client.patch(path, json={"types": ["invoice.paid"]})
    rotated = await client.post(f"{path}/rotate")
    replayed = await client.post(f"{path}/replay", json={"after": 0})

    assert made["secret"].startswith("whsec_")
    assert changed.json()["types"] == ["invoice.paid"]
    assert rotated.json()["secret"] != made["secret"]
    assert replayed.json()["sequence"] == 0
    for each in ("/lightning/webhooks", path, f"{path}/deliveries", f"{path}/deliveries?state=dead&limit=1"):
        answer, documented = await client.get(each), await shop.rest.get(each)
        assert (answer.status_code, answer.content) == (200, documented.content), each
    deleted = await client.delete(path)
    assert (deleted.status_code, deleted.json()) == (200, {})


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_probe_has_the_documented_body(gateway: tuple[Shop, httpx.AsyncClient], path: str) -> None:
    shop, client = gateway

    answer = await client.get(path)

    assert (answer.status_code, answer.json()) == (200, (await shop.rest.get(path)).json())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/lightning/invoice/PDxIkt9La2h1iG~VTIEcz", None),
        ("GET", "/lightning/invoice/PDxIkt9La2h1iG~VTIEcz/watch", None),
        ("GET", "/lightning/invoicerequest/abc", None),
        ("GET", "/lightning/invoicerequests?after=abc", None),
        ("GET", "/lightning/invoices?stat=paid", None),
        ("GET", "/lightning/invoices?label=a&label=b", None),
        ("GET", "/lightning/invoices?label=%FF", None),
        ("GET", "/lightning/invoices?status=open", None),
        ("GET", "/lightning/invoices.csv?page=x", None),
        ("GET", "/lightning/invoices.csv?tz=Mars", None),
        ("GET", "/lightning/report?from=2026-01-01", None),
        ("GET", "/lightning/events?after=-1", None),
        ("GET", "/lightning/events?after=999999", None),
        ("GET", "/lightning/events?after=1&after=2", None),
        ("GET", "/lightning/events?wait=61", None),
        ("GET", "/lightning/events/stream?after=999999", None),
        ("DELETE", "/lightning/invoice/PDxIkt9La2h1iG~VTIEcz", None),
        ("POST", "/lightning/invoice/create", b'{"msat": 1}'),
        ("POST", "/lightning/invoice/create", b"[" * 70_000),
        ("POST", "/lightning/invoice/send", b'{"invreq": "lnr1qq", "label": "l"}'),
        ("POST", "/lightning/webhooks", b'{"url": "http://shop.example/"}'),
        ("PATCH", "/lightning/webhooks/PDxIkt9La2h1iG~VTIEcz", b'{"enabled": true}'),
        ("POST", "/lightning/webhooks/PDxIkt9La2h1iG~VTIEcz/rotate", None),
        ("POST", "/lightning/webhooks/PDxIkt9La2h1iG~VTIEcz/replay", b"{}"),
        ("GET", "/lightning/webhooks/PDxIkt9La2h1iG~VTIEcz/deliveries?id=x", None),
        ("GET", "/lightning/webhooks/PDxIkt9La2h1iG~VTIEcz/deliveries?state=open", None),
    ],
)
async def test_an_error_has_the_documented_body(
    gateway: tuple[Shop, httpx.AsyncClient], method: str, path: str, body: bytes | None
) -> None:
    shop, client = gateway

    answer = await client.request(method, path, content=body)
    documented = await shop.rest.request(method, path, content=body)

    assert answer.status_code == documented.status_code >= 400
    assert answer.json()["error"] == documented.json()["error"]
    assert answer.headers["content-type"] == "application/json"
    if answer.status_code != 413:
        assert answer.json() == documented.json()
