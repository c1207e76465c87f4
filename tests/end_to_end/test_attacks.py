"""Attacks: each costs a bounded amount, and other callers are served meanwhile.

docs/design/security.md has the full-size attacks, with their measured cost.
"""

import asyncio
import gzip
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support import http2
from tests.support.shop import Shop, config, open_shop
from tests.support.waiting import eventually
from till.v1 import invoice_service_pb2 as pb
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.config import USUAL, Address

WAYS = ["straight", "through Envoy"]
CANCEL = struct.pack(">I", 8)
BODY = {"msat": 5000, "metadata": {"type": "shop"}}


@pytest.fixture(params=WAYS)
def address(shop: Shop, request: pytest.FixtureRequest) -> Address:
    """The address that serves gRPC."""
    return served(shop, request.param)


def served(shop: Shop, way: str) -> Address:
    assert shop.till.running.rest
    return shop.till.running.grpc if way == "straight" else shop.till.running.rest


@pytest.fixture(scope="module")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A Till that waits 50 ms for a message."""
    async with open_shop(
        config(tmp_path_factory.mktemp("till")), USUAL._replace(request_seconds=0.05)
    ) as shop:
        yield shop


def call_of(method: str) -> bytes:
    """Return the headers of a call of the InvoiceService."""
    return http2.call_of(f"/till.v1.InvoiceService/{method}")


async def rest_of(reader: asyncio.StreamReader, seconds: float = 10) -> bool:
    """Read until the peer closes the connection; return whether it did within the time."""
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(65_536):
                pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


async def others_are_served(shop: Shop) -> None:
    async with asyncio.timeout(10):
        created = await shop.create()
        await shop.invoices.GetInvoice(pb.GetInvoiceRequest(invoice_id=created["invoiceid"]))


async def test_silent_and_slow_connections_are_closed(shop: Shop) -> None:
    """Both ports close a silent connection after 5 s, also in the middle of a header."""
    rest, straight = shop.till.running.rest, shop.till.running.grpc
    assert rest
    silent = [await asyncio.open_connection(*each) for each in [rest, straight] * 50]
    slow, writer = await asyncio.open_connection(*rest)
    writer.write(b"GET /lightning/info HTTP/1.1\r\nhost: ")

    await others_are_served(shop)
    closed = await asyncio.gather(*(rest_of(reader) for reader, _ in [*silent, (slow, writer)]))

    assert all(closed)
    for _, each in [*silent, (slow, writer)]:
        each.close()


async def test_abandoned_streams_leave_nothing_behind(shop: Shop, address: Address) -> None:
    """Streams are cancelled immediately, cancelled while watched, or dropped with their connection."""
    created = await shop.create()
    message = pb.WatchInvoiceRequest(invoice_id=created["invoiceid"]).SerializeToString()
    request = http2.frame(http2.DATA, 1, 0, struct.pack(">BI", 0, len(message)) + message)

    def opened(stream: int) -> bytes:
        head = http2.frame(http2.HEADERS, 4, stream, call_of("WatchInvoice"))
        return head + request[:5] + struct.pack(">I", stream) + request[9:]

    for is_watched in (False, True):
        _, writer = await asyncio.open_connection(*address)
        writer.write(http2.PREFACE)
        for stream in range(1, 400, 2):
            writer.write(opened(stream))
            if not is_watched:
                writer.write(http2.frame(http2.RESET, 0, stream, CANCEL))
        await writer.drain()
        if is_watched:
            await eventually(lambda: shop.till.hub.watchers == 200)
            for stream in range(1, 200, 2):
                writer.write(http2.frame(http2.RESET, 0, stream, CANCEL))
            await eventually(lambda: shop.till.hub.watchers == 100)
        writer.close()

        await others_are_served(shop)
        await eventually(lambda: shop.till.hub.watchers == 0)


async def test_rapid_resets_end_their_connection(shop: Shop) -> None:
    """CVE-2023-44487: Envoy closes a connection on which most streams are reset immediately."""
    assert shop.till.running.rest
    reader, writer = await asyncio.open_connection(*shop.till.running.rest)
    writer.write(http2.PREFACE)
    for stream in range(1, 4001, 2):
        writer.write(http2.frame(http2.HEADERS, 5, stream, call_of("GetInfo")))
        writer.write(http2.frame(http2.RESET, 0, stream, CANCEL))

    await others_are_served(shop)
    assert await rest_of(reader)
    writer.close()


async def test_health_watches_without_a_key_cannot_take_all_calls(shop: Shop) -> None:
    """Anyone may watch health without end, so Envoy limits these watches."""
    async with grpc.aio.insecure_channel(str(shop.till.running.rest)) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch  # type: ignore[attr-defined]
        held = [watch(health_pb2.HealthCheckRequest()) for _ in range(1100)]
        answers = await asyncio.gather(*(call.read() for call in held), return_exceptions=True)

        refused = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
        assert 100 <= len(refused) < 1100
        assert {each.code() for each in refused} == {grpc.StatusCode.UNAVAILABLE}
        await others_are_served(shop)
        for path in ("/lightning/info", "/healthz", "/readyz"):
            assert (await shop.rest.get(path)).status_code == 200


async def test_endless_headers_are_cut_off(shop: Shop, address: Address) -> None:
    """The request consists of HTTP/2 CONTINUATION frames without an end."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(http2.PREFACE + http2.frame(http2.HEADERS, 0, 1, call_of("GetInfo")))
    writer.write(http2.frame(http2.CONTINUATION, 0, 1) * 20_000)

    await others_are_served(shop)
    assert await rest_of(reader)
    writer.close()


@pytest.mark.parametrize("size", [100_000, 30_000_000])
async def test_a_compression_bomb_is_refused(shop: Shop, address: Address, size: int) -> None:
    """The limit applies to the decompressed size; smaller compressed messages are accepted."""
    async with grpc.aio.insecure_channel(str(address), compression=grpc.Compression.Gzip) as channel:
        invoices = InvoiceServiceStub(channel)
        small = pb.CreateInvoiceRequest(metadata='{"type":"shop"}')
        bomb = pb.CreateInvoiceRequest(metadata="\0" * size)

        assert (await invoices.CreateInvoice(small)).invoice.invoice_id
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await invoices.CreateInvoice(bomb)

    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_compressed_rest_body_is_refused(shop: Shop) -> None:
    """REST rejects compressed bodies."""
    bomb = gzip.compress(b" " * 10_000_000)

    reply = await shop.rest.post(
        "/lightning/invoice/create", content=bomb, headers={"content-encoding": "gzip"}
    )

    assert (reply.status_code, reply.json()["error"]) == (400, "E1")


METHODS = [
    "till.v1.InvoiceService/GetInfo",
    "till.v1.InvoiceService/WatchInvoice",
    "till.v1.InvreqService/SendInvoice",
    "till.rest.v1.InvoiceService/CreateInvoice",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
]
HALF_A_MESSAGE = b"\0\0\0\0\5ab"


async def unfinished(
    address: Address, method: str, body: bytes, flags: int = 0
) -> tuple[str, str | None, bool]:
    """Make a call with a possibly incomplete body; return the status, code and details of the response."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(
        http2.PREFACE + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, http2.call_of(f"/{method}"))
    )
    writer.write(http2.frame(http2.DATA, flags, 1, body))
    told = http2.headers_in(await http2.answer(reader))
    writer.close()
    return told["grpc-status"], told.get("x-error-code"), "grpc-status-details-bin" in told


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("body", [b"", HALF_A_MESSAGE])
@pytest.mark.parametrize("way", WAYS)
async def test_a_message_that_never_arrives_times_out(
    impatient: Shop, way: str, method: str, body: bytes
) -> None:
    """tilld ends every such call, because Envoy's error has no code.

    A caller without a key cannot hold it open.
    """
    assert await unfinished(served(impatient, way), method, body) == ("4", "E9", True)


@pytest.mark.parametrize("method", METHODS[:-1])
@pytest.mark.parametrize("body", [b"", HALF_A_MESSAGE])
async def test_a_call_that_ends_without_a_message_is_refused(
    shop: Shop, address: Address, method: str, body: bytes
) -> None:
    """The refusal is immediate."""
    assert await unfinished(address, method, body, http2.END_STREAM) == ("3", "E1", True)


@pytest.mark.parametrize("method", METHODS)
async def test_a_malformed_message_is_the_callers_error(shop: Shop, address: Address, method: str) -> None:
    status, code, is_whole = await unfinished(address, method, b"\0\0\0\0\2\x0a\x05", http2.END_STREAM)

    assert (status, code) in {("3", "E1"), ("5", "E2")}
    assert is_whole


async def test_a_watcher_that_never_reads_delays_no_other(shop: Shop) -> None:
    """Neither other watchers nor memory suffer: a slow watcher gets only the newest state."""
    assert shop.till.running.rest
    created = await shop.create()
    request = f"GET /lightning/invoice/{created['invoiceid']}/watch HTTP/1.1\r\nhost: till\r\n\r\n".encode()
    idle = []
    for _ in range(50):
        # The size must be set before connecting, because the handshake announces it.
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.connect(shop.till.running.rest)
        connection.sendall(request)
        idle.append(connection)
    await eventually(lambda: shop.till.hub.watchers == 50)

    outcome = asyncio.create_task(shop.outcome(created))
    await shop.pay(created["payreq"])

    assert (await outcome)["status"] == "paid"
    for connection in idle:
        connection.close()
    await eventually(lambda: shop.till.hub.watchers == 0)


EVIL = "x\r\nset-cookie: till=evil\r\n\r\ndata: evil"


@pytest.mark.parametrize(
    "order",
    [
        BODY | {"description": EVIL},
        BODY | {"label": EVIL},
        BODY | {"metadata": {"type": EVIL}},
        BODY | {EVIL: 1},
        BODY | {"msat": EVIL},
    ],
)
async def test_no_text_becomes_a_header_or_an_event(shop: Shop, order: dict[str, Any]) -> None:
    """This holds for responses, errors and the event stream."""
    reply = await shop.rest.post("/lightning/invoice/create", json=order)
    answers = [reply]
    if reply.status_code == 200:
        await shop.pay(reply.json()["payreq"])
        path = f"/lightning/invoice/{reply.json()['invoiceid']}"
        answers += [await shop.rest.get(path), await shop.rest.get(f"{path}/watch")]
        assert len([line for line in answers[-1].text.splitlines() if line.startswith("data:")]) <= 2

    assert reply.status_code in {200, 400}
    assert not [each for each in answers if "set-cookie" in each.headers or "\ndata: evil" in each.text]


@pytest.mark.parametrize(
    ("key", "status"), [(b"a\r\nset-cookie: evil", b"200"), (b"a\0b", b"400"), (b"a\x01b", b"400")]
)
async def test_an_idempotency_key_ends_with_its_line(shop: Shop, key: bytes, status: bytes) -> None:
    """The next line is another header of the request, and appears in no response."""
    assert shop.till.running.rest
    body = b'{"msat":1,"metadata":{"type":"shop"}}'
    reader, writer = await asyncio.open_connection(*shop.till.running.rest)
    writer.write(b"POST /lightning/invoice/create HTTP/1.1\r\nhost: till\r\nconnection: close\r\n")
    writer.write(b"content-length: %d\r\nidempotency-key: %b\r\n\r\n%b" % (len(body), key, body))

    answer = await reader.read()

    writer.close()
    assert answer.split()[1] == status
    assert (b'"label":"a"' in answer) == (status == b"200")
    assert b"set-cookie" not in answer
