"""A gRPC server that ends watches, lists, exports, event streams and other calls as its callers ask it to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from tests.support.impostor_events import ImpostorEvents
from tests.support.impostor_webhooks import ImpostorWebhooks
from till.v1.event_service_pb2 import WatchEventsRequest, WatchEventsResponse
from till.v1.invoice_pb2 import INVOICE_STATUS_PAID, INVOICE_STATUS_UNPAID, Invoice, InvoiceStatus
from till.v1.invoice_service_pb2 import (
    INVOICE_ORDER_CREATED_ASC,
    ExportInvoicesRequest,
    ExportInvoicesResponse,
    ListInvoicesRequest,
    ListInvoicesResponse,
    WatchInvoiceRequest,
    WatchInvoiceResponse,
)

Context = grpc.aio.ServicerContext[Any, Any]
# The pause that the impostor asks for with E7, and how many watches and attempts make up its herd.
PAUSE_SECONDS = 2
HERD = 8
HERD_LOSSES = 4
# Endings that a second attempt does not get.
PASSING = {"UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED"}
# The endings with a code, besides E7.
ENDINGS = {
    "E0": (grpc.StatusCode.INTERNAL, "INTERNAL"),
    "E3": (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    "E4": (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"),
    "E8": (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
    "E16": (grpc.StatusCode.OUT_OF_RANGE, "EVENTS_GONE"),
}
# Beyond 2^53, which a floating-point number cannot have exactly.
OLDEST_SEQUENCE = {"oldest_sequence": "9007199254740993"}
# A status that no client knows.
FUTURE = cast("InvoiceStatus", 99)


class _Impostor:
    """Ends calls as the invoice ID of a watch, or the type in the filter of a list or an export, says.

    A watch gets UNPAID, and the ending; the next attempt gets PAID.
    A list has the invoices "1" and "2", an empty page, and a page with "3". The last page gets the ending; a
    second attempt at it gets the invoice if the ending is one of PASSING. The pages have one size and order.
    An export gets a header and a row, and the ending.

    Event streams: see ImpostorEvents. Webhooks: see ImpostorWebhooks.

    Endings: STATUS, such as UNAVAILABLE. OK: a watch ends early, a list and an export end well. E0, E3 and so
    on: a documented code; E7 asks for a pause. HANGS: nothing more is sent.
    Of watches only: ALWAYS_UNAVAILABLE, at each attempt. FUTURE: an unknown status, and an early end.
    HERD-N: all watches of the herd end together, and each gets PAID after some more losses.
    Of lists only: EXPORTS_ENDED, which answers when no export is open.
    """

    def __init__(self) -> None:
        # How often a call was ended, by its caller's connection and its ending.
        self._endings: Counter[tuple[str, str]] = Counter()
        self._herd = asyncio.Barrier(HERD)
        self._exports = 0
        self._export_ended = asyncio.Condition()

    async def watch(
        self, request: WatchInvoiceRequest, context: Context
    ) -> AsyncIterator[WatchInvoiceResponse]:
        ending = request.invoice_id
        before = self._seen(context, ending)
        if not before:
            yield _state(INVOICE_STATUS_UNPAID)
        if ending == "ALWAYS_UNAVAILABLE":
            await context.abort(grpc.StatusCode.UNAVAILABLE, ending)
        elif ending.startswith("HERD-") and before < HERD_LOSSES:
            if not before:
                await self._herd.wait()
            await context.abort(grpc.StatusCode.UNAVAILABLE, ending)
        elif before:
            yield _state(INVOICE_STATUS_PAID)
        elif ending == "FUTURE":
            # An early end: a client that takes the status for a final one stays away.
            yield _state(FUTURE)
        else:
            await _end(context, ending)

    async def page(self, request: ListInvoicesRequest, context: Context) -> ListInvoicesResponse:
        ending, page = request.filter.type, request.page_token
        if ending == "EXPORTS_ENDED":
            async with self._export_ended:
                await self._export_ended.wait_for(lambda: not self._exports)
            return ListInvoicesResponse()
        if (request.page_size, request.order) != (2, INVOICE_ORDER_CREATED_ASC):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "page_size must be 2, and order CREATED_ASC"
            )
        if page == "empty":
            return ListInvoicesResponse(next_page_token="last")
        if page != "last":
            return ListInvoicesResponse(
                invoices=[Invoice(invoice_id="1"), Invoice(invoice_id="2")], next_page_token="empty"
            )
        if not self._seen(context, ending) or ending not in PASSING:
            await _end(context, ending)
        return ListInvoicesResponse(invoices=[Invoice(invoice_id="3")])

    async def export(
        self, request: ExportInvoicesRequest, context: Context
    ) -> AsyncIterator[ExportInvoicesResponse]:
        self._exports += 1
        try:
            yield ExportInvoicesResponse(csv="invoice_id,status\r\n")
            yield ExportInvoicesResponse(csv="1,paid\r\n", invoices=1)
            await _end(context, request.filter.type)
        finally:
            self._exports -= 1
            async with self._export_ended:
                self._export_ended.notify_all()

    def _seen(self, context: Context, ending: str) -> int:
        before = self._endings[context.peer(), ending]
        self._endings[context.peer(), ending] += 1
        return before


async def _end(context: Context, ending: str) -> None:
    """End a call as its caller asks."""
    if ending == "HANGS":
        await asyncio.Event().wait()
    elif ending in ENDINGS:
        status, reason = ENDINGS[ending]
        facts = OLDEST_SEQUENCE if ending == "E16" else {}
        info = ErrorInfo(domain="till", reason=reason, metadata={"code": ending} | facts)
        await _abort(context, status, info)
    elif ending == "E7":
        info = ErrorInfo(domain="till", reason="TOO_MANY", metadata={"code": ending})
        retry = RetryInfo(retry_delay=Duration(seconds=PAUSE_SECONDS))
        await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, info, retry)
    elif ending not in {"OK", "FUTURE", "DISABLED"}:
        await context.abort(grpc.StatusCode[ending], ending)


async def _abort(context: Context, status: grpc.StatusCode, *details: Message) -> None:
    """End a call as Till does: with google.rpc.Status in its trailing metadata."""
    packed = Status(code=status.value[0])
    for each in details:
        packed.details.add().Pack(each)
    await context.abort(status, status.name, (("grpc-status-details-bin", packed.SerializeToString()),))


def _state(status: InvoiceStatus) -> WatchInvoiceResponse:
    return WatchInvoiceResponse(invoice=Invoice(status=status))


@asynccontextmanager
async def impostor() -> AsyncIterator[str]:
    """Run an impostor; yield its address."""
    own = _Impostor()
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "WatchInvoice": grpc.unary_stream_rpc_method_handler(
            own.watch,
            request_deserializer=WatchInvoiceRequest.FromString,
            response_serializer=WatchInvoiceResponse.SerializeToString,
        ),
        "ListInvoices": grpc.unary_unary_rpc_method_handler(
            own.page,
            request_deserializer=ListInvoicesRequest.FromString,
            response_serializer=ListInvoicesResponse.SerializeToString,
        ),
        "ExportInvoices": grpc.unary_stream_rpc_method_handler(
            own.export,
            request_deserializer=ExportInvoicesRequest.FromString,
            response_serializer=ExportInvoicesResponse.SerializeToString,
        ),
    }
    server = grpc.aio.server()
    streams: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "WatchEvents": grpc.unary_stream_rpc_method_handler(
            ImpostorEvents(_end).watch,
            request_deserializer=WatchEventsRequest.FromString,
            response_serializer=WatchEventsResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("till.v1.InvoiceService", handlers),
            grpc.method_handlers_generic_handler("till.v1.EventService", streams),
            grpc.method_handlers_generic_handler("till.v1.WebhookService", ImpostorWebhooks(_end).handlers()),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
