"""Traces as an OTLP collector receives them over gRPC from a running Till."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.keys import make_key
from tests.support.metrics import answered, figures
from tests.support.processes import fails
from tests.support.shop import ANY_PORT, config, open_shop
from till.v1 import invoice_service_pb2 as pb
from tilld.app import Till
from tilld.config import USUAL
from tilld.errors import OperatorError

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}
REST = "till.rest.v1.InvoiceService"


class Collector(otlp_grpc.TraceServiceServicer):
    """A collector that keeps the exported requests."""

    def __init__(self) -> None:
        self.requests: list[otlp.ExportTraceServiceRequest] = []
        self.endpoint = ""

    async def Export(  # noqa: N802
        self, request: otlp.ExportTraceServiceRequest, context: Any
    ) -> otlp.ExportTraceServiceResponse:
        self.requests.append(request)
        return otlp.ExportTraceServiceResponse()

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def of_trace(self, trace_id: str) -> dict[str, Span]:
        return {span.name: span for span in self.spans if span.trace_id.hex() == trace_id}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    server = grpc.aio.server()
    otlp_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    collector.endpoint = f"http://127.0.0.1:{port}"
    await server.start()
    yield collector
    await server.stop(None)


def attributes(span: Span) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


async def test_a_request_continues_its_callers_trace_with_node_and_store_calls(
    tmp_path: Path, collector: Collector
) -> None:
    """The trace passes through Envoy, and contains no data of the request or the response."""
    async with open_shop(config(tmp_path, otlp_endpoint=collector.endpoint)) as shop:
        key = await make_key(tmp_path, "--username", "shop")
        shop.rest.headers.update(key | CALLER)
        created = await shop.create(description="a coffee", label="order-1")
    # The stop exports the remaining spans.

    spans = collector.of_trace(TRACE_ID)
    request = spans[f"{REST}/CreateInvoice"]
    assert request.parent_span_id.hex() == SPAN_ID
    assert attributes(request) == {
        "rpc.system": "grpc",
        "rpc.service": REST,
        "rpc.method": "CreateInvoice",
        "till.code": "OK",
    }
    assert spans.keys() == {request.name, "lightningd invoice", "store add"}
    for name in spans.keys() - {request.name}:
        assert spans[name].parent_span_id == request.span_id
        assert request.start_time_unix_nano <= spans[name].start_time_unix_nano
        assert spans[name].end_time_unix_nano <= request.end_time_unix_nano
    [resource] = {
        (each.key, each.value.string_value)
        for each in collector.requests[0].resource_spans[0].resource.attributes
        if each.key == "service.name"
    }
    assert resource == ("service.name", "tilld")
    told = str(collector.requests)
    token = key["authorization"].removeprefix("Bearer ")
    secrets = [*token.split("_")[1:], "authorization", "coffee", "order-1", created["rhash"]]
    for secret in [*secrets, created["invoiceid"], created["payreq"]]:
        assert secret not in told


async def test_errors_and_watches_are_traced_but_not_the_followers_work(
    tmp_path: Path, collector: Collector
) -> None:
    both = {"otlp_endpoint": collector.endpoint, "metrics": ANY_PORT}
    async with open_shop(config(tmp_path, **both, no_rest=True)) as shop:
        with pytest.raises(grpc.aio.AioRpcError):
            await shop.invoices.GetInvoice(pb.GetInvoiceRequest(invoice_id="x" * 21))
        created = await shop.invoices.CreateInvoice(pb.CreateInvoiceRequest(metadata='{"type":"shop"}'))
        watch = shop.invoices.WatchInvoice(pb.WatchInvoiceRequest(invoice_id=created.invoice.invoice_id))
        await watch.read()
        left = shop.invoices.WatchInvoice(pb.WatchInvoiceRequest(invoice_id=created.invoice.invoice_id))
        await left.read()
        left.cancel()
        await shop.pay(created.invoice.bolt11, 1000)
        assert (await watch.read()).invoice.HasField("payment")
        assert await watch.read() == grpc.aio.EOF
        counted = await figures(shop)

    by_name: dict[str, list[str]] = {}
    for span in collector.spans:
        by_name.setdefault(span.name, []).append(attributes(span)["till.code"])
    service = "till.v1.InvoiceService"
    assert by_name[f"{service}/GetInvoice"] == ["E2"]
    assert sorted(by_name[f"{service}/WatchInvoice"]) == ["CANCELLED", "OK"]
    assert counted[answered("E2", f"{service}/GetInvoice")] == 1
    assert counted["till_node_call_duration_seconds_count", "OK", "invoice"] == 1
    requests = {span.span_id for span in collector.spans if not span.parent_span_id}
    assert {span.name.partition("/")[0] for span in collector.spans if span.span_id in requests} == {service}


async def test_an_unreachable_collector_blocks_nothing(tmp_path: Path, logged: Callable[[], str]) -> None:
    """Even a stop succeeds; the log reports the loss."""
    impatient = USUAL._replace(flush_seconds=0.1)
    async with open_shop(config(tmp_path, otlp_endpoint="http://127.0.0.1:1"), impatient) as shop:
        assert await shop.create()
        stopping_at = time.monotonic()

    # The exporter would retry for 10 s.
    assert time.monotonic() - stopping_at < 5
    assert "the last traces could not be sent" in logged()


async def test_opentelemetry_is_loaded_only_for_tracing(tmp_path: Path) -> None:
    code = "import sys; from tilld import app; sys.exit(any('opentelemetry' in name for name in sys.modules))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)

    assert await process.wait() == 0


async def test_a_missing_tracing_package_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "tilld.observability.tracing", raising=False)

    with pytest.raises(OperatorError, match=r"pip install 'lightning-till\[otel\]'"):
        async with Till(config(tmp_path, otlp_endpoint="http://127.0.0.1:4317", no_rest=True)):
            pass


async def test_an_invalid_endpoint_is_reported(tmp_path: Path) -> None:
    line = await fails("run", cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="127.0.0.1:4317")

    assert "OTEL_EXPORTER_OTLP_ENDPOINT is '127.0.0.1:4317'" in line
