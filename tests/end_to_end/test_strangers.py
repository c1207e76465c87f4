"""Strangers and customers share Envoy's connections to tilld: no call changes another caller's response."""

import asyncio
import random
import re
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from typing import Any

import grpc.aio
import pytest

from tests.support.shop import Shop
from till.v1 import invoice_service_pb2 as pb
from till.v1.invoice_pb2 import INVOICE_STATUS_PAID, INVOICE_STATUS_UNPAID
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.config import Address

NATIVE, WEB = "application/grpc", "application/grpc-web+proto"
TYPES = (NATIVE, "application/grpc+proto", WEB, "application/grpc-web-text", "application/json", None)
EMPTY = struct.pack(">xI", 0)
# The headers that gRPC interprets, and values that its parsers reject.
NAMES = (
    "grpc-timeout", "grpc-status", "grpc-encoding", "grpc-accept-encoding", "grpc-message",
    "grpc-previous-rpc-attempts", "grpc-retry-pushback-ms", "grpc-internal-encoding-request",
    "grpc-tags-bin", "grpc-trace-bin", "grpc-server-stats-bin", "lb-cost-bin", "x-own-bin",
    "grpc-status-details-bin", "grpc-unheard-of", "te", "content-encoding", "user-agent",
    "traceparent", "x|odd", "x|odd-bin", "idempotency-key", "last-event-id", "authorization",
)  # fmt: skip
VALUES = (
    "",
    "x",
    "1",
    "123456789",
    "-1S",
    "1S",
    "999999999S",
    "0n",
    "é",
    "=",
    "AA==",
    "A",
    "gzip",
    "br",
    "%",
)
PATHS = (
    "/till.v1.InvoiceService/GetInfo",
    "/till.rest.v1.RestService/GetInfo",
    "/lightning/info",
    "/nothing",
)


async def send(
    address: Address, path: str, headers: Iterable[tuple[str, str]] = (), body: bytes | None = None
) -> tuple[bytes, bytes]:
    """Send one request on a connection of its own; return the head and body of the response.

    The request uses HTTP/1.0, so that the response is not chunked.
    """
    method = "GET" if body is None else "POST"
    lines = [f"{method} {path} HTTP/1.0", "host: till", f"content-length: {len(body or b'')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    reader, writer = await asyncio.open_connection(*address)
    writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        # After its own responses Envoy waits for 1 s before it closes the connection.
        length = re.search(rb"content-length: (\d+)", head)
        body = await (reader.readexactly(int(length[1])) if length else reader.read())
    writer.close()
    return head, body


async def strangers_call(address: Address, seed: int) -> None:
    """Send a random call; the same seed sends the same call."""
    dice = random.Random(seed)
    headers = [(dice.choice(NAMES), dice.choice(VALUES)) for _ in range(dice.randint(1, 3))]
    kind = dice.choice(TYPES)
    if kind:
        headers.append(("content-type", kind))
    await send(address, dice.choice(PATHS), headers, EMPTY if kind else None)


def web(message: bytes) -> bytes:
    return struct.pack(">xI", len(message)) + message


async def customers_answers(
    shop: Shop, channel: grpc.aio.Channel, created: Any, round_: int
) -> tuple[bytes, bytes, bytes]:
    """Return a customer's responses over native gRPC, gRPC-Web and REST, with a unique deadline."""
    assert shop.till.running.rest
    milliseconds = 9_000 + round_
    asked = pb.GetInvoiceRequest(invoice_id=created["invoiceid"])
    native = await InvoiceServiceStub(channel).GetInvoice(asked, timeout=milliseconds / 1000)
    timeout, envoy = ("grpc-timeout", f"{milliseconds}m"), shop.till.running.rest
    # A connection of its own for each: every thread of Envoy has a connection to tilld.
    _, rest = await send(envoy, f"/lightning/invoice/{created['invoiceid']}", [timeout])
    headers = [timeout, ("content-type", WEB), ("x-grpc-web", "1")]
    path = "/till.v1.InvoiceService/GetInvoice"
    _, over_web = await send(envoy, path, headers, web(asked.SerializeToString()))
    return native.SerializeToString(), rest, over_web


@pytest.fixture
async def channels(shop: Shop) -> AsyncIterator[list[grpc.aio.Channel]]:
    """A few connections to Envoy, spread over its threads."""
    async with AsyncExitStack() as stack:
        options = (("grpc.use_local_subchannel_pool", 1),)
        yield [
            await stack.enter_async_context(grpc.aio.insecure_channel(str(shop.till.running.rest), options))
            for _ in range(6)
        ]


@pytest.mark.parametrize("header", ["grpc-timeout", "grpc-status", "grpc-encoding", "grpc-tags-bin", "x-bin"])
@pytest.mark.parametrize("value", ["", "x"])
async def test_a_malformed_header_fails_only_its_own_call(
    shop: Shop, channels: list[grpc.aio.Channel], header: str, value: str
) -> None:
    """grpc core keeps a parse error with the HPACK table entry, to which the next call may refer."""
    created = await shop.create()
    expected = await customers_answers(shop, channels[0], created, 0)
    assert shop.till.running.rest
    headers = [("content-type", NATIVE), (header, value)]
    path = "/till.v1.InvoiceService/GetInfo"

    await asyncio.gather(*(send(shop.till.running.rest, path, headers, EMPTY) for _ in range(16)))
    answers = await asyncio.gather(
        *(customers_answers(shop, channel, created, round_) for round_, channel in enumerate(channels, 1))
    )

    assert set(answers) == {expected}


async def test_a_strangers_call_never_changes_another_response(
    shop: Shop, channels: list[grpc.aio.Channel]
) -> None:
    """Random calls over native gRPC, gRPC-Web and REST, concurrent with customers' calls and watches."""
    assert shop.till.running.rest
    created = await shop.create()
    expected = await customers_answers(shop, channels[0], created, 0)
    watches: list[Any] = [
        InvoiceServiceStub(channel).WatchInvoice(pb.WatchInvoiceRequest(invoice_id=created["invoiceid"]))
        for channel in channels
    ]
    first = [await watch.read() for watch in watches]
    outcome = asyncio.create_task(shop.outcome(created))

    for round_ in range(10):
        strangers = [strangers_call(shop.till.running.rest, round_ * 20 + number) for number in range(20)]
        customers = [
            customers_answers(shop, channel, created, round_ * 10 + number)
            for number, channel in enumerate(channels)
        ]
        _, *answers = await asyncio.gather(asyncio.gather(*strangers), *customers)
        assert set(answers) == {expected}

    assert not outcome.done()
    await shop.pay(created["payreq"])
    last = [await watch.read() for watch in watches]
    assert (await outcome)["status"] == "paid"
    assert {each.invoice.status for each in first} == {INVOICE_STATUS_UNPAID}
    assert {each.invoice.status for each in last} == {INVOICE_STATUS_PAID}


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("grpc-timeout", ""),
        ("grpc-timeout", "x"),
        ("grpc-timeout", "1"),
        ("grpc-timeout", "123456789S"),
        ("grpc-encoding", "br"),
        ("grpc-tags-bin", "no base64!"),
        ("own-bin", "A"),
        ("own-bin", "br"),
        ("own-bin", "AA==,AA=="),
    ],
)
@pytest.mark.parametrize("kind", [NATIVE, WEB])
async def test_a_malformed_header_is_an_invalid_request(
    shop: Shop, header: str, value: str, kind: str
) -> None:
    """The message names the header, over native gRPC and gRPC-Web; grpc core itself would return INTERNAL."""
    assert shop.till.running.rest
    headers = [("content-type", kind), (header, value)]

    head, _ = await send(shop.till.running.rest, "/till.v1.InvoiceService/GetInfo", headers, EMPTY)

    assert head.startswith(b"HTTP/1.0 200 ")
    assert b"grpc-status: 3\r\n" in head
    assert b"x-error-code: E1\r\n" in head
    assert f"grpc-message: the header {header} is malformed\r\n".encode() in head


@pytest.mark.parametrize("value", ["", "AA==", "AA", "AAE="])
async def test_a_binary_header_that_is_base64_passes(shop: Shop, value: str) -> None:
    """Padding is optional."""
    assert shop.till.running.rest
    headers = [("content-type", WEB), ("grpc-trace-bin", value), ("own-bin", value)]

    _, body = await send(shop.till.running.rest, "/till.v1.InvoiceService/GetInfo", headers, EMPTY)

    assert b"grpc-status:0\r\n" in body
