"""The client for blocking code."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from till import connection, keys, requests, results
from till.connection import ADDRESS, TIMEOUT_SECONDS, File
from till.errors import Error, error_of
from till.keys import Key, Metadata
from till.results import Info, Invoice
from till.retries import Attempts, Connection, Watching
from till.v1.invoice_service_pb2 import GetInfoRequest
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from till.v1.invreq_service_pb2_grpc import InvreqServiceStub
from till.v1.key_service_pb2_grpc import KeyServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")


class Client:
    """A connection to Till for blocking code. Threads may share it. Close it, or use it as a context manager.

    address: HOST:PORT of Till's gRPC, or of the Envoy in front of it.
    key: an API key or a watch token; or a function that returns it, called before each call and each attempt
        of a watch, for a key that rotates. None: calls are anonymous. Raises ValueError for a malformed key.
    tls: use TLS with the root certificates of gRPC. By default nothing is encrypted.
    ca: use TLS, and trust only the certificate authorities in this PEM file.
    cert: use TLS, and present this client certificate: its PEM file, and the PEM file of its key.
    timeout: seconds for a call with all its retries; each call can have its own.
    allow_plaintext_key: send the key without TLS beyond loopback, too. By default that is a ValueError, since
        the network could read the key.

    Every method raises a till.Error. A lost call is retried until the timeout. Retries are safe, since a
    create has a label by which Till recognizes it.

    invoices, invreqs, keys: the generated gRPC stubs, for `call`.
    """

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

    def create_invoice(
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
        """Create an invoice.

        amount_msat: amount in millisatoshi. None: the payer chooses.
        metadata: a JSON object of yours, with a "type" that names your application.
        description: text for the payer.
        label: your own unique name of the invoice. The same label and request return the same invoice, so a
            create with a label can be retried even after TookTooLong or a crash. None: a new UUID.
        expiry: how long the invoice can be paid; an int is seconds. None: one hour.
        with_watch_token: whether to return a watch token for the payer's browser.

        Raises Conflict if the label is in use for another request.
        """
        request = requests.create(amount_msat, metadata, description, label, expiry, with_watch_token)
        reply = self.call(self.invoices.CreateInvoice, request, timeout=timeout, again=True)
        return results.invoice(reply.invoice, reply.watch_token)

    def get_invoice(
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
        """Read an invoice by exactly one of its names; `id` is the internal ID.

        Raises NotFound.
        """
        method, request = requests.get(
            invoice_id, with_watch_token, id=id, label=label, payment_hash=payment_hash, bolt11=bolt11
        )
        reply = self.call(getattr(self.invoices, method), request, timeout=timeout, again=True)
        return results.invoice(reply.invoice, getattr(reply, "watch_token", ""))

    def watch(
        self,
        invoice: Invoice | str,
        *,
        timeout: float | None = None,
        wait_for_ready: bool = False,
        on_connection: Callable[[Connection], object] | None = None,
    ) -> Iterator[Invoice]:
        """Watch an invoice, given as an Invoice or an invoice_id: yield its state now, then each change.

        The watch ends after a final state. It reconnects when its connection is lost, yields no state twice
        in a row, and misses no payment. Before the first state it fails like any call.

        timeout: seconds for the whole watch; then it raises TookTooLong. None: no deadline.
        wait_for_ready: reconnect before the first state too, for a Till that is about to start.
        on_connection: called with a till.Connection when the connection is lost and when it is back.
        """
        watching = Watching(timeout, wait_for_ready, on_connection)
        request = requests.watch(invoice)
        while watching.is_open:
            metadata = self._metadata()
            if self._closed.is_set():
                raise self._closed_error()
            responses = self.invoices.WatchInvoice(request, timeout=watching.seconds_left, metadata=metadata)
            try:
                for response in responses:
                    if state := watching.news(response.invoice):
                        yield state
                pause = watching.pause_after_end()
            except grpc.RpcError as failed:
                pause = watching.pause_after(self._error(failed))
            finally:
                responses.cancel()
            self._closed.wait(pause)

    def info(self, *, timeout: float | None = None) -> Info:
        """Return the state of Till and its node, and the totals of the key's user."""
        return results.info(self.call(self.invoices.GetInfo, GetInfoRequest(), timeout=timeout, again=True))

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        timeout: float | None = None,
        again: bool = False,
    ) -> Response:
        """Call a method of `invoices`, `invreqs` or `keys` with its request message.

        again: retry if the connection is lost. Only for calls that may run twice.
        """
        attempts = Attempts(self._timeout if timeout is None else timeout)
        while True:
            metadata = self._metadata()
            if self._closed.is_set():
                raise self._closed_error()
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
        if os.getpid() != self._process:
            # A channel does not survive a fork: a call would hang.
            raise RuntimeError("the Client was created before a fork; create one in each process")
        return keys.header(self._key() if callable(self._key) else self._key)

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
