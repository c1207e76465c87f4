"""Traces by OpenTelemetry: a span for each request, with child spans for calls to the node and writes.

Spans have names, outcomes and durations, but no contents of requests.
"""

import asyncio
import logging
from importlib.metadata import version
from types import TracebackType

import structlog
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tilld.config import USUAL, Intervals
from tilld.runtime.observer import NOTHING, Headers, Observer, Span, code_of

log = structlog.get_logger()

# Errors of the server, not of the caller.
FAULTS = {"E0", "E8", "E9"}


class Tracing(Observer):
    """Sends spans to an OTLP endpoint over gRPC. The OTEL_… variables of OpenTelemetry configure the rest."""

    def __init__(self, endpoint: str, intervals: Intervals = USUAL) -> None:
        self._flush_seconds = intervals.flush_seconds
        _log_here()
        own = Resource.create({"service.name": "tilld", "service.version": version("lightning-till")})
        self._exporter = OTLPSpanExporter(endpoint)
        # Not the global provider, which can be set only once per process. `stop` shuts this one down.
        self._provider = TracerProvider(
            resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("tilld")

    async def stop(self) -> None:
        """Send the remaining spans."""
        ending = asyncio.create_task(asyncio.to_thread(self._provider.shutdown))
        if not (await asyncio.wait([ending], timeout=self._flush_seconds))[0]:
            log.warning("the last traces could not be sent")
            self._exporter.shutdown()
        await ending

    def request(self, method: str, headers: Headers) -> Span:
        """Return a span, which continues the caller's trace if the headers have one."""
        carrier = {name: value for name, value in headers() or () if isinstance(value, str)}
        above = TraceContextTextMapPropagator().extract(carrier, context.Context())
        service, _, name = method.partition("/")
        span = self._tracer.start_span(
            method,
            above,
            trace.SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        # No detach: the context ends with the call, and a stream may end in another context.
        context.attach(trace.set_span_in_context(span))
        return _Ended(span)

    watch = request

    def node_call(self, method: str) -> Span:
        """Return a child span of the request's."""
        return self._below(f"lightningd {method}", trace.SpanKind.CLIENT)

    def store_call(self, operation: str) -> Span:
        """Return a child span of the request's, but none for a read, which is faster than its span."""
        return NOTHING if operation == "read" else self._below(f"store {operation}", trace.SpanKind.INTERNAL)

    def _below(self, name: str, kind: trace.SpanKind) -> Span:
        # Calls without a request, such as following the node, would only be noise.
        if not trace.get_current_span().is_recording():
            return NOTHING
        return _Ended(self._tracer.start_span(name, kind=kind))


class _Ended:
    """Ends a span, with its outcome as an attribute."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, reason: BaseException | None, traceback: TracebackType | None
    ) -> None:
        code = code_of(reason)
        self._span.set_attribute("till.code", code)
        if code in FAULTS:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


class _Log(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, "OpenTelemetry", message=record.getMessage())


def _log_here() -> None:
    """Write OpenTelemetry's log records to Till's log."""
    theirs = logging.getLogger("opentelemetry")
    theirs.handlers = [_Log()]
    theirs.propagate = False
