"""The connection of the client for asyncio: it makes calls, retries them, and is closed."""

import asyncio
import inspect
import os
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

import grpc.aio

from till import connection, keys
from till.connection import ADDRESS, TIMEOUT_SECONDS, File
from till.errors import ConnectionLost, Error, error_of
from till.keys import AsyncKey, Metadata
from till.retries import Attempts
from till.v1.event_service_pb2_grpc import EventServiceStub
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from till.v1.invreq_service_pb2_grpc import InvreqServiceStub
from till.v1.key_service_pb2_grpc import KeyServiceStub
from till.v1.webhook_service_pb2_grpc import WebhookServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")


class AsyncCalls:
    """The part of AsyncClient that makes calls."""

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
        self.event_log = EventServiceStub(self._channel)
        self.webhooks = WebhookServiceStub(self._channel)

    async def call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        timeout: float | None = None,
        again: bool = False,
    ) -> Response:
        """Call a method of one of the stubs with its request message: see Client.call."""
        attempts = Attempts(self._timeout if timeout is None else timeout)
        while True:
            metadata = await self._metadata()
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
        """Return the key for a new call. Raise Error if the client is closed."""
        self._check_loop()
        if os.getpid() != self._process:
            # A channel does not survive a fork: a call would hang.
            raise RuntimeError("the AsyncClient was created before a fork; create one in each process")
        key = self._key() if callable(self._key) else self._key
        header = keys.header(await key if inspect.isawaitable(key) else key)
        if self._closed.is_set():
            raise self._closed_error()
        return header

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
