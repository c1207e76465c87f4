"""Traces by OpenTelemetry: a span for each request and, below it, for each call of the node and each write.

Says of them what they are, how they ended and how long that took: nothing of what is in them.
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

# Of these the one who is asked is at fault, and not the one who asks.
FAULTS = {"E0", "E8", "E9"}


class Tracing(Observer):
    """Sends spans to an OTLP endpoint, by gRPC. All else is set by the OTEL_… variables of OpenTelemetry."""

    def __init__(self, endpoint: str, intervals: Intervals = USUAL) -> None:
        self._flush_seconds = intervals.flush_seconds
        _log_here()
        own = Resource.create({"service.name": "tilld", "service.version": version("lightning-till")})
        self._exporter = OTLPSpanExporter(endpoint)
        # Not the global one, which can be set only once in a process, nor ended when the process ends.
        self._provider = TracerProvider(
            resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("tilld")

    async def stop(self) -> None:
        """Send what was not sent yet."""
        ending = asyncio.create_task(asyncio.to_thread(self._provider.shutdown))
        if not (await asyncio.wait([ending], timeout=self._flush_seconds))[0]:
            log.warning("the last traces could not be sent")
            self._exporter.shutdown()
        await ending

    def request(self, method: str, headers: Headers) -> Span:
        """A span that goes on with the caller's trace, if its headers have one."""
        carrier = {name: value for name, value in headers() or () if isinstance(value, str)}
        above = TraceContextTextMapPropagator().extract(carrier, context.Context())
        service, _, name = method.partition("/")
        span = self._tracer.start_span(
            method,
            above,
            trace.SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        # The context is the call's own, and ends with it: a stream may be left in another one.
        context.attach(trace.set_span_in_context(span))
        return _Ended(span)

    watch = request

    def node_call(self, method: str) -> Span:
        """A span below the request's."""
        return self._below(f"lightningd {method}", trace.SpanKind.CLIENT)

    def store_call(self, operation: str) -> Span:
        """A span below the request's, but not for a read: most take less than their spans would."""
        return NOTHING if operation == "read" else self._below(f"store {operation}", trace.SpanKind.INTERNAL)

    def _below(self, name: str, kind: trace.SpanKind) -> Span:
        # What is done for no request, as to follow the node, would be noise without end.
        if not trace.get_current_span().is_recording():
            return NOTHING
        return _Ended(self._tracer.start_span(name, kind=kind))


class _Ended:
    """Ends a span, and says in it how that came."""

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
        log.log(record.levelno, "OpenTelemetry", said=record.getMessage())


def _log_here() -> None:
    """Have what OpenTelemetry says in our log, and in our form."""
    theirs = logging.getLogger("opentelemetry")
    theirs.handlers = [_Log()]
    theirs.propagate = False
