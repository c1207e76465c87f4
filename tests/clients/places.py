"""Where else than at Till an agent may be sent: to who answers wrongly, late, or not at all."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

import grpc.aio
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tests.support.shop import ANY_PORT
from till.v1.invoice_pb2 import INVOICE_STATUS_PAID, INVOICE_STATUS_UNPAID, Invoice, InvoiceStatus
from till.v1.invoice_service_pb2 import WatchInvoiceRequest, WatchInvoiceResponse

Context = grpc.aio.ServicerContext[WatchInvoiceRequest, WatchInvoiceResponse]


class _Impostor:
    """Ends a watch with the status that is its invoice's ID, after UNPAID; the caller's next one sees PAID.

    OK: it ends too early. E0: INTERNAL, with this documented code.
    """

    def __init__(self) -> None:
        self._ended: set[tuple[str, str]] = set()

    async def watch(
        self, request: WatchInvoiceRequest, context: Context
    ) -> AsyncIterator[WatchInvoiceResponse]:
        ending = request.invoice_id
        if (context.peer(), ending) in self._ended:
            yield _state(INVOICE_STATUS_PAID)
            return
        self._ended.add((context.peer(), ending))
        yield _state(INVOICE_STATUS_UNPAID)
        if ending == "E0":
            detail = Any()
            detail.Pack(ErrorInfo(domain="till", reason="INTERNAL", metadata={"code": "E0"}))
            details = Status(code=grpc.StatusCode.INTERNAL.value[0], details=[detail]).SerializeToString()
            await context.abort(grpc.StatusCode.INTERNAL, ending, (("grpc-status-details-bin", details),))
        elif ending != "OK":
            await context.abort(grpc.StatusCode[ending], ending)


def _state(status: InvoiceStatus) -> WatchInvoiceResponse:
    return WatchInvoiceResponse(invoice=Invoice(status=status))


@asynccontextmanager
async def impostor() -> AsyncIterator[str]:
    """Run what takes itself for Till, and ends watches; gives its address."""
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
    """An address that neither takes a connection nor refuses it, as behind a firewall."""
    with socket.create_server(ANY_PORT, backlog=0) as full:
        # Nobody accepts it, so there is no room for a second one.
        with socket.create_connection(full.getsockname()):
            yield "{}:{}".format(*full.getsockname())


class Relay:
    """Passes connections on to an address, until they fall silent."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._connections: set[asyncio.Task[None]] = set()
        # Set: those that there are pass nothing on any more.
        self._muted = asyncio.Event()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
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
        """Let the connections that there are fall silent; new ones are passed on."""
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
    """Run a Relay; gives its address too."""
    passing = Relay(upstream)
    server = await asyncio.start_server(passing.accept, *ANY_PORT)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname()), passing
    finally:
        server.close()
        await passing.close()
