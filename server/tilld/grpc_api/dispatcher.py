"""Dispatches RPCs: authorizes the caller, and maps errors to a gRPC status with google.rpc.ErrorInfo."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from tilld import errors
from tilld.auth.access import PUBLIC, Access, caller
from tilld.auth.caller import Caller
from tilld.config import USUAL, Intervals
from tilld.grpc_api import Context
from tilld.grpc_api.registrar import Handler
from tilld.runtime.observer import NOBODY, Observer

log = structlog.get_logger()

# The REST body may have 64 KiB; its envelope needs some more.
MAX_REQUEST_BYTES = 66 * 1024
# Calls with time-outs of their own.
PATIENT = ("/SendInvoice", "/till.rest.v1.EventService/ListEvents")

STATUS = {
    "E0": grpc.StatusCode.INTERNAL,
    "E1": grpc.StatusCode.INVALID_ARGUMENT,
    "E2": grpc.StatusCode.NOT_FOUND,
    "E3": grpc.StatusCode.UNAUTHENTICATED,
    "E4": grpc.StatusCode.PERMISSION_DENIED,
    "E5": grpc.StatusCode.ALREADY_EXISTS,
    "E6": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "E7": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "E8": grpc.StatusCode.UNAVAILABLE,
    "E9": grpc.StatusCode.DEADLINE_EXCEEDED,
    "E10": grpc.StatusCode.UNIMPLEMENTED,
    "E11": grpc.StatusCode.FAILED_PRECONDITION,
    "E12": grpc.StatusCode.OUT_OF_RANGE,
    "E13": grpc.StatusCode.UNAVAILABLE,
    "E14": grpc.StatusCode.ABORTED,
    "E15": grpc.StatusCode.DEADLINE_EXCEEDED,
    "E16": grpc.StatusCode.OUT_OF_RANGE,
}

REST = "/till.rest.v1."
OURS = ("/till.v1.", REST)
MALFORMED = "x-till-malformed"
# Nothing follows a body over HTTP/1.1, so a file that fails midway would look complete. A proxy resets the
# stream of a message that it cannot read.
FILE = f"{REST}InvoiceService/ExportInvoices"
UNREADABLE = b"\xff"


def reason_of(error: type[errors.TillError]) -> str:
    """Return the reason in the ErrorInfo of an error: its name in upper case."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error.__name__).upper()


class Dispatcher(grpc.GenericRpcHandler):
    """Authorizes callers, and maps exceptions to statuses that reveal no internals.

    Registered as one generic handler for all methods: each separately registered method adds work to every
    call.

    Requests are read and decoded here. grpc would wait for a message without limit before the authorization,
    and reject a malformed one with its own text. For grpc, each call is therefore a stream of requests.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        access: Access,
        observer: Observer = NOBODY,
        intervals: Intervals = USUAL,
    ) -> None:
        self._observer = observer
        self._handlers = {
            method: _probe(method, handler)
            if method in PUBLIC
            else _guard(method, handler, access, observer, intervals)
            if method.startswith(OURS)
            else _open(method, handler, intervals.request_seconds)
            for method, handler in handlers.items()
        }
        self._unknown: Handler = grpc.stream_unary_rpc_method_handler(self._no_such_method)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Return the handler of a method."""
        method = handler_call_details.method
        return self._handlers.get(method, self._unknown if method.startswith(OURS) else None)

    async def _no_such_method(self, _: object, context: Context) -> None:
        try:
            # Callers could invent any number of names, so the metric has a fixed one.
            with self._observer.request("unknown", context.invocation_metadata):
                raise errors.NoSuchMethod
        except errors.NoSuchMethod as reason:
            await _refuse("", reason, context)


def _guard(
    method: str, handler: Handler, access: Access, observer: Observer, intervals: Intervals
) -> Handler:
    name = method.removeprefix("/")
    call_seconds = None if method.endswith(PATIENT) else intervals.call_seconds
    decoded = partial(_decoded, method, handler)

    async def call(_: object, context: Context) -> Any:
        try:
            with observer.request(name, context.invocation_metadata):
                begun = asyncio.get_running_loop().time()
                # One timer for both limits: a second one would add 2 µs to each call.
                async with asyncio.timeout_at(begun + intervals.request_seconds) as limit:
                    caller.set(await _admitted(access, method, context))
                    request = await _message(decoded, context)
                    limit.reschedule(None if call_seconds is None else begun + call_seconds)
                    return await handler.unary_unary(request, context)
        except Exception as reason:
            await _refuse(method, reason, context)

    async def stream(_: object, context: Context) -> None:
        is_begun = False
        try:
            with observer.watch(name, context.invocation_metadata):
                caller.set(await _admitted(access, method, context))
                request = await _only_message(intervals.request_seconds, decoded, context)
                async with aclosing(handler.unary_stream(request, context)) as responses:
                    async for response in responses:
                        # The key may have been revoked in the meantime.
                        await access.recheck(caller.get())
                        await context.write(handler.response_serializer(response))
                        is_begun = True
                        # Free the message: a watch waits for hours, and there are thousands.
                        del response
        except Exception as reason:
            if is_begun and method == FILE:
                await context.write(UNREADABLE)
            await _refuse(method, reason, context)

    if handler.unary_stream:
        return grpc.stream_stream_rpc_method_handler(stream)
    return grpc.stream_unary_rpc_method_handler(call, None, handler.response_serializer)


def _probe(method: str, handler: Handler) -> Handler:
    """Respond without a key, and before the request, which is empty: a slow caller keeps no call open.

    Probes are frequent, so they are neither measured nor traced.
    """

    async def call(_: object, context: Context) -> Any:
        try:
            return await handler.unary_unary(None, context)
        except Exception as reason:
            await _refuse(method, reason, context)

    return grpc.stream_unary_rpc_method_handler(call, None, handler.response_serializer)


def _open(method: str, handler: Handler, seconds: float) -> Handler:
    """Limit how long health and reflection, which are public, wait for each message."""
    decoded = partial(_decoded, method, handler)

    async def requests(context: Context) -> AsyncIterator[Any]:
        while True:
            async with asyncio.timeout(seconds):
                raw = await context.read()
            if not isinstance(raw, bytes):
                return
            yield decoded(raw)

    async def call(_: object, context: Context) -> None:
        try:
            if handler.stream_stream:
                async for response in handler.stream_stream(requests(context), context):
                    await context.write(response)
            else:
                request = await _only_message(seconds, decoded, context)
                # A watch of health writes its responses itself.
                if response := await (handler.unary_unary or handler.unary_stream)(request, context):
                    await context.write(response)
        except grpc.aio.AbortError:
            raise
        except Exception as reason:
            await _refuse(method, reason, context)

    return grpc.stream_stream_rpc_method_handler(call, None, handler.response_serializer)


def _decoded(method: str, handler: Handler, raw: bytes) -> Any:
    if len(raw) > MAX_REQUEST_BYTES:
        raise errors.TooLarge(f"the request must have at most {MAX_REQUEST_BYTES} bytes")
    try:
        return handler.request_deserializer(raw)
    except DecodeError:
        # Only the path of a REST request can be undecodable, by an invalid id.
        raise errors.NotFound if method.startswith(REST) else errors.InvalidRequest from None


async def _admitted(access: Access, method: str, context: Context) -> Caller:
    headers: dict[str, Any] = dict(context.invocation_metadata() or ())
    admitted = await access.authorize(method, headers.get("authorization"))
    # Envoy drops headers that grpc core cannot parse, and puts their names here.
    if malformed := headers.get(MALFORMED):
        raise errors.InvalidRequest(f"the header {malformed} is malformed")
    return admitted


async def _only_message(seconds: float, decoded: Callable[[bytes], Any], context: Context) -> Any:
    async with asyncio.timeout(seconds):
        return await _message(decoded, context)


async def _message(decoded: Callable[[bytes], Any], context: Context) -> Any:
    raw = await context.read()
    if not isinstance(raw, bytes):
        raise errors.InvalidRequest("the request message is missing")
    return decoded(raw)


async def _refuse(method: str, reason: Exception, context: Context) -> NoReturn:
    if isinstance(reason, TimeoutError):
        reason = errors.TookTooLong()
    elif not isinstance(reason, errors.TillError):
        log.error("call failed", method=method, exc_info=reason)
        reason = errors.Internal()
    log.debug("call rejected", method=method, code=reason.code, message=reason.message)
    status = STATUS[reason.code]
    metadata = {"code": reason.code, **reason.facts}
    if reason.lightningd_code is not None:
        metadata["lightningd_code"] = str(reason.lightningd_code)
    info = ErrorInfo(reason=reason_of(type(reason)), domain="till", metadata=metadata)
    rich = Status(code=status.value[0], message=reason.message)
    rich.details.add().Pack(info)
    trailers: list[tuple[str, str | bytes]] = [("x-error-code", reason.code)]
    # Envoy's filter cannot read the details.
    trailers += [(f"x-error-{name.replace('_', '-')}", value) for name, value in reason.facts.items()]
    if isinstance(reason, errors.TooMany):
        rich.details.add().Pack(RetryInfo(retry_delay=_duration(reason.retry_seconds)))
        # RFC 9110 has whole seconds only.
        trailers.append(("retry-after", str(math.ceil(reason.retry_seconds))))
    trailers.append(("grpc-status-details-bin", rich.SerializeToString()))
    await context.abort(status, reason.message, tuple(trailers))


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration
