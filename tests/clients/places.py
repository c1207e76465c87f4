"""Servers that are not Till: an impostor, a port that never answers, a relay that falls silent."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from tests.support.shop import ANY_PORT
from till.v1.invoice_pb2 import INVOICE_STATUS_PAID, INVOICE_STATUS_UNPAID, Invoice, InvoiceStatus
from till.v1.invoice_service_pb2 import WatchInvoiceRequest, WatchInvoiceResponse

Context = grpc.aio.ServicerContext[WatchInvoiceRequest, WatchInvoiceResponse]
# The pause that the impostor asks for with E7, and how many watches and attempts make up its herd.
PAUSE_SECONDS = 2
HERD = 8
HERD_LOSSES = 4


class _Impostor:
    """Ends watches as their invoice IDs say.

    STATUS, such as UNAVAILABLE: UNPAID, then this status; the next attempt gets PAID. OK: an early end.
    E0, E7: the same, with this documented code; E7 asks for a pause.
    ALWAYS_UNAVAILABLE: UNPAID, then UNAVAILABLE at each attempt.
    HERD-N: UNPAID; all watches of the herd end together, and each gets PAID after some more losses.
    """

    def __init__(self) -> None:
        # How often a watch was ended, by its caller's connection and its invoice ID.
        self._endings: Counter[tuple[str, str]] = Counter()
        self._herd = asyncio.Barrier(HERD)

    async def watch(
        self, request: WatchInvoiceRequest, context: Context
    ) -> AsyncIterator[WatchInvoiceResponse]:
        ending = request.invoice_id
        before = self._endings[context.peer(), ending]
        self._endings[context.peer(), ending] += 1
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
        elif ending == "E0":
            info = ErrorInfo(domain="till", reason="INTERNAL", metadata={"code": ending})
            await _abort(context, grpc.StatusCode.INTERNAL, info)
        elif ending == "E7":
            info = ErrorInfo(domain="till", reason="TOO_MANY", metadata={"code": ending})
            retry = RetryInfo(retry_delay=Duration(seconds=PAUSE_SECONDS))
            await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, info, retry)
        elif ending != "OK":
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
    """Run a gRPC server that ends watches as it is asked to; yield its address."""
    watch = grpc.unary_stream_rpc_method_handler(
        _Impostor().watch,
        request_deserializer=WatchInvoiceRequest.FromString,
        response_serializer=WatchInvoiceResponse.SerializeToString,
    )
    server = grpc.aio.server()
    service = grpc.method_handlers_generic_handler("till.v1.InvoiceService", {"WatchInvoice": watch})
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@contextmanager
def silence() -> Iterator[str]:
    """Yield an address that neither accepts a connection nor refuses it, as behind a firewall."""
    with socket.create_server(ANY_PORT, backlog=0) as full:
        # The backlog has room for one connection, and this one is never accepted.
        with socket.create_connection(full.getsockname()):
            yield "{}:{}".format(*full.getsockname())


@contextmanager
def mute() -> Iterator[str]:
    """Yield an address that accepts connections and sends nothing."""
    with socket.create_server(ANY_PORT) as server:
        yield "{}:{}".format(*server.getsockname())


class Relay:
    """Forwards connections to an address, until they are muted."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._connections: set[asyncio.Task[None]] = set()
        # Set: the connections so far forward nothing more.
        self._muted = asyncio.Event()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        task = asyncio.create_task(self._pass_on(reader, writer, self._muted))
        self._connections.add(task)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, muted: asyncio.Event
    ) -> None:
        host, _, port = self._upstream.rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        with closing(writer), closing(back):
            await asyncio.gather(_copy(reader, back, muted), _copy(there, writer, muted))

    def mute(self) -> None:
        """Drop what open connections send from now on; forward new connections."""
        self._muted.set()
        self._muted = asyncio.Event()

    async def close(self) -> None:
        """End all connections."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, muted: asyncio.Event) -> None:
    while data := await reader.read(2**16):
        if not muted.is_set():
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def relay(upstream: str) -> AsyncIterator[tuple[str, Relay]]:
    """Run a Relay; yield its address and the Relay."""
    passing = Relay(upstream)
    server = await asyncio.start_server(passing.accept, *ANY_PORT)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname()), passing
    finally:
        server.close()
        await passing.close()
