"""The client for asyncio."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc.aio

from till import connection, requests, results
from till.connection import ADDRESS, TIMEOUT_SECONDS, Attempts, File, Watching
from till.errors import ConnectionLost, Error, error_of
from till.results import Info, Invoice
from till.v1.invoice_service_pb2 import GetInfoRequest
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from till.v1.invreq_service_pb2_grpc import InvreqServiceStub
from till.v1.key_service_pb2_grpc import KeyServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")


class AsyncClient:
    """As Client, for asyncio: make it where a loop runs, and use it there.

    Raises RuntimeError where no loop runs, or another one than it was made in.
    """

    def __init__(
        self,
        address: str = ADDRESS,
        key: str | None = None,
        *,
        tls: bool = False,
        ca: File | None = None,
        cert: tuple[File, File] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._loop = _running_loop()
        self._metadata = connection.header(key)
        credentials = connection.credentials(tls, ca, cert)
        options = connection.options(address)
        self._proxy = connection.proxy(address)
        self._channel = (
            grpc.aio.secure_channel(address, credentials, options)
            if credentials
            else grpc.aio.insecure_channel(address, options)
        )
        self._timeout = timeout
        self._is_closed = False
        self.invoices = InvoiceServiceStub(self._channel)
        self.invreqs = InvreqServiceStub(self._channel)
        self.keys = KeyServiceStub(self._channel)

    async def create_invoice(
        self,
        amount_msat: int | None,
        metadata: Mapping[str, Any],
        *,
        description: str | None = None,
        label: str | None = None,
        expiry: timedelta | int | None = None,
        with_watch_token: bool = False,
        timeout: float | None = None,
    ) -> Invoice:
        """Create an invoice: see Client.create_invoice."""
        request = requests.create(amount_msat, metadata, description, label, expiry, with_watch_token)
        reply = await self.call(self.invoices.CreateInvoice, request, timeout=timeout, again=True)
        return results.invoice(reply.invoice, reply.watch_token)

    async def get_invoice(
        self,
        invoice_id: str | None = None,
        *,
        id: str | None = None,  # noqa: A002
        label: str | None = None,
        payment_hash: str | None = None,
        bolt11: str | None = None,
        with_watch_token: bool = False,
        timeout: float | None = None,
    ) -> Invoice:
        """Read an invoice, by one of its names: `id` is the internal one.

        Raises NotFound.
        """
        method, request = requests.get(
            invoice_id, with_watch_token, id=id, label=label, payment_hash=payment_hash, bolt11=bolt11
        )
        reply = await self.call(getattr(self.invoices, method), request, timeout=timeout, again=True)
        return results.invoice(reply.invoice, getattr(reply, "watch_token", ""))

    async def watch(
        self, invoice: Invoice | str, *, timeout: float | None = None
    ) -> AsyncGenerator[Invoice, None]:
        """Follow an invoice until it is paid or expired: see Client.watch."""
        self._check_loop()
        watching = Watching(timeout)
        request = requests.watch(invoice)
        while watching.goes_on:
            seconds = watching.seconds_left
            responses = self.invoices.WatchInvoice(request, timeout=seconds, metadata=self._metadata)
            try:
                async for response in responses:
                    if state := watching.news(response.invoice):
                        yield state
                pause = watching.pause_after_end()
            except (grpc.aio.AioRpcError, asyncio.CancelledError) as failed:
                pause = watching.pause_after(self._error(failed))
            finally:
                responses.cancel()
            await asyncio.sleep(pause)

    async def info(self, *, timeout: float | None = None) -> Info:
        """Tell about this Till and its node, and the totals of the key's user."""
        reply = await self.call(self.invoices.GetInfo, GetInfoRequest(), timeout=timeout, again=True)
        return results.info(reply)

    async def call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        timeout: float | None = None,
        again: bool = False,
    ) -> Response:
        """Call a method of `invoices`, `invreqs` or `keys` with its message: see Client.call."""
        self._check_loop()
        seconds = self._timeout if timeout is None else timeout
        attempts = Attempts(seconds, ConnectionLost if again else ())
        while True:
            try:
                return await method(request, timeout=attempts.seconds_left, metadata=self._metadata)
            except (grpc.aio.AioRpcError, asyncio.CancelledError) as failed:
                pause = attempts.pause_after(self._error(failed))
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """End all calls, and the connection."""
        self._check_loop()
        self._is_closed = True
        await self._channel.close()

    def _error(self, failed: grpc.aio.AioRpcError | asyncio.CancelledError) -> Error:
        """What a failed call raises. Raises CancelledError itself if the task was cancelled."""
        task = asyncio.current_task()
        if task and task.cancelling():
            raise failed
        if self._is_closed:
            return Error("the client was closed", status="CANCELLED")
        if isinstance(failed, asyncio.CancelledError):
            # grpc raises this for a CANCELLED that the server sent.
            return ConnectionLost("Till, or what is between, cancelled the call", status="CANCELLED")
        return error_of(failed, self._proxy)

    def _check_loop(self) -> None:
        # grpc's channel waits for its own loop, which does not run here.
        if _running_loop() is not self._loop:
            raise RuntimeError(
                "AsyncClient was made in another event loop; make one in each loop, or use till.Client"
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        # grpc would take a loop that never runs.
        raise RuntimeError(
            "AsyncClient needs a running event loop; make it in a coroutine, or use till.Client"
        ) from None
