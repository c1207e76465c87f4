"""The connection of the client for blocking code: it makes calls, retries them, and is closed."""

import os
import threading
from types import TracebackType
from typing import Self, TypeVar

import grpc

from till import connection, keys
from till.connection import ADDRESS, TIMEOUT_SECONDS, File
from till.errors import Error, error_of
from till.keys import Key, Metadata
from till.retries import Attempts
from till.v1.event_service_pb2_grpc import EventServiceStub
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from till.v1.invreq_service_pb2_grpc import InvreqServiceStub
from till.v1.key_service_pb2_grpc import KeyServiceStub
from till.v1.webhook_service_pb2_grpc import WebhookServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")


class Calls:
    """The part of Client that makes calls."""

    def __init__(
        self,
        address: str = ADDRESS,
        key: Key = None,
        *,
        tls: bool = False,
        ca: File | None = None,
        cert: tuple[File, File] | None = None,
        timeout: float = TIMEOUT_SECONDS,
        allow_plaintext_key: bool = False,
    ) -> None:
        credentials = connection.credentials(tls, ca, cert)
        keys.check(key, address, tls=bool(credentials), allow_plaintext_key=allow_plaintext_key)
        self._key = key
        options = connection.options(address)
        self._proxy = connection.proxy(address)
        self._channel = (
            grpc.secure_channel(address, credentials, options)
            if credentials
            else grpc.insecure_channel(address, options)
        )
        self._timeout = timeout
        self._closed = threading.Event()
        self._process = os.getpid()
        self.invoices = InvoiceServiceStub(self._channel)
        self.invreqs = InvreqServiceStub(self._channel)
        self.keys = KeyServiceStub(self._channel)
        self.event_log = EventServiceStub(self._channel)
        self.webhooks = WebhookServiceStub(self._channel)

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        timeout: float | None = None,
        again: bool = False,
    ) -> Response:
        """Call a method of one of the stubs, such as `invoices`, with its request message.

        again: retry if the connection is lost. Only for calls that may run twice.
        """
        attempts = Attempts(self._timeout if timeout is None else timeout)
        while True:
            metadata = self._metadata()
            try:
                return method(request, timeout=attempts.seconds_left, metadata=metadata)
            except grpc.RpcError as failed:
                error = self._error(failed)
            if not again:
                raise error
            self._closed.wait(attempts.pause_after(error))

    def close(self) -> None:
        """Cancel all calls, and close the connection."""
        self._closed.set()
        self._channel.close()

    def _metadata(self) -> Metadata:
        """Return the key for a new call. Raise Error if the client is closed."""
        if os.getpid() != self._process:
            # A channel does not survive a fork: a call would hang.
            raise RuntimeError("the Client was created before a fork; create one in each process")
        header = keys.header(self._key() if callable(self._key) else self._key)
        if self._closed.is_set():
            raise self._closed_error()
        return header

    def _error(self, failed: grpc.RpcError) -> Error:
        return self._closed_error() if self._closed.is_set() else error_of(failed, self._proxy)

    @staticmethod
    def _closed_error() -> Error:
        return Error("the client was closed", status="CANCELLED")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
