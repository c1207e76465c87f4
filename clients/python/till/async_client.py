"""The client for asyncio."""

import asyncio
import inspect
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc.aio

from till import connection, keys, requests, results
from till.connection import ADDRESS, TIMEOUT_SECONDS, File
from till.errors import ConnectionLost, Error, error_of
from till.keys import AsyncKey, Metadata
from till.results import Info, Invoice
from till.retries import Attempts, Connection, Watching
from till.v1.invoice_service_pb2 import GetInfoRequest
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from till.v1.invreq_service_pb2_grpc import InvreqServiceStub
from till.v1.key_service_pb2_grpc import KeyServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")


class AsyncClient:
    """A connection to Till for asyncio, with the parameters and methods of Client.

    It belongs to the event loop in which it was created. Without that loop it raises RuntimeError.
    key: as Client's; the function may be a coroutine function.
    """

    def __init__(
        self,
        address: str = ADDRESS,
        key: AsyncKey = None,
        *,
        tls: bool = False,
        ca: File | None = None,
        cert: tuple[File, File] | None = None,
        timeout: float = TIMEOUT_SECONDS,
        allow_plaintext_key: bool = False,
    ) -> None:
        self._loop = _running_loop()
        credentials = connection.credentials(tls, ca, cert)
        keys.check(key, address, tls=bool(credentials), allow_plaintext_key=allow_plaintext_key)
        self._key = key
        options = connection.options(address)
        self._proxy = connection.proxy(address)
        self._channel = (
            grpc.aio.secure_channel(address, credentials, options)
            if credentials
            else grpc.aio.insecure_channel(address, options)
        )
        self._timeout = timeout
        self._closed = asyncio.Event()
        self._process = os.getpid()
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
        """Read an invoice by exactly one of its names: see Client.get_invoice."""
        method, request = requests.get(
            invoice_id, with_watch_token, id=id, label=label, payment_hash=payment_hash, bolt11=bolt11
        )
        reply = await self.call(getattr(self.invoices, method), request, timeout=timeout, again=True)
        return results.invoice(reply.invoice, getattr(reply, "watch_token", ""))

    async def watch(
        self,
        invoice: Invoice | str,
        *,
        timeout: float | None = None,
        wait_for_ready: bool = False,
        on_connection: Callable[[Connection], object] | None = None,
    ) -> AsyncGenerator[Invoice, None]:
        """Watch an invoice until it is final: see Client.watch.

        To leave the loop early and cancel the call immediately, use contextlib.aclosing.
        """
        watching = Watching(timeout, wait_for_ready, on_connection)
        request = requests.watch(invoice)
        while watching.is_open:
            metadata = await self._metadata()
            if self._closed.is_set():
                raise self._closed_error()
            responses = self.invoices.WatchInvoice(request, timeout=watching.seconds_left, metadata=metadata)
            try:
                async for response in responses:
                    if state := watching.news(response.invoice):
                        yield state
                pause = watching.pause_after_end()
            except (grpc.aio.AioRpcError, asyncio.CancelledError) as failed:
                pause = watching.pause_after(self._error(failed))
            finally:
                responses.cancel()
            await self._wait(pause)

    async def info(self, *, timeout: float | None = None) -> Info:
        """Return the state of Till and its node, and the totals of the key's user."""
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
        """Call a method of `invoices`, `invreqs` or `keys` with its request message: see Client.call."""
        attempts = Attempts(self._timeout if timeout is None else timeout)
        while True:
            metadata = await self._metadata()
            if self._closed.is_set():
                raise self._closed_error()
            try:
                return await method(request, timeout=attempts.seconds_left, metadata=metadata)
            except (grpc.aio.AioRpcError, asyncio.CancelledError) as failed:
                error = self._error(failed)
            if not again:
                raise error
            await self._wait(attempts.pause_after(error))

    async def close(self) -> None:
        """Cancel all calls, and close the connection."""
        self._check_loop()
        self._closed.set()
        await self._channel.close()

    async def _metadata(self) -> Metadata:
        self._check_loop()
        if os.getpid() != self._process:
            # A channel does not survive a fork: a call would hang.
            raise RuntimeError("the AsyncClient was created before a fork; create one in each process")
        key = self._key() if callable(self._key) else self._key
        return keys.header(await key if inspect.isawaitable(key) else key)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    def _error(self, failed: grpc.aio.AioRpcError | asyncio.CancelledError) -> Error:
        """Return the error of a failed call. Raise CancelledError itself if the task was cancelled."""
        task = asyncio.current_task()
        if task and task.cancelling():
            raise failed
        if self._closed.is_set():
            return self._closed_error()
        if isinstance(failed, asyncio.CancelledError):
            # grpc raises this for a CANCELLED that the server sent.
            return ConnectionLost("Till, or a proxy before it, cancelled the call", status="CANCELLED")
        return error_of(failed, self._proxy)

    @staticmethod
    def _closed_error() -> Error:
        return Error("the client was closed", status="CANCELLED")

    def _check_loop(self) -> None:
        # grpc's channel waits for its own loop, which does not run here: a call would hang.
        if _running_loop() is not self._loop:
            raise RuntimeError(
                "the AsyncClient belongs to another event loop; create one in each loop, or use till.Client"
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
        # Without a running loop grpc creates one that never runs.
        raise RuntimeError(
            "an AsyncClient needs a running event loop; create it in a coroutine, or use till.Client"
        ) from None
