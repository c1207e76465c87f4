"""The client for ordinary, blocking code."""

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

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


class Client:
    """A connection to Till. Threads may share it; close it, or use it as a context manager.

    address: HOST:PORT of its gRPC, or of Envoy in front of it.
    key: an API key, or a watch token. None: to call as everybody may, where Till has no keys. A ValueError is
        raised for what can be neither.
    tls: whether to speak TLS, with the roots that gRPC knows. Without it nothing is encrypted.
    ca: TLS, with a certificate that one of these must have signed; a file in PEM.
    cert: TLS, and show a certificate of one's own: its file and that of its key, in PEM.
    timeout: seconds that a call may take, with all its attempts; each call can have its own.

    Every method raises an Error: see till.errors. What is lost on the way is asked for again until the
    timeout, since asking twice does no harm: a create has a label, by which Till knows it.

    invoices, invreqs, keys: the generated stubs, to be called by `call`.
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
        self._metadata = connection.header(key)
        credentials = connection.credentials(tls, ca, cert)
        options = connection.options(address)
        self._proxy = connection.proxy(address)
        self._channel = (
            grpc.secure_channel(address, credentials, options)
            if credentials
            else grpc.insecure_channel(address, options)
        )
        self._timeout = timeout
        self._is_closed = False
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

        amount_msat: in millisatoshi; None: the payer chooses.
        metadata: what you want back with it, with a "type" that names your application.
        description: what the payer sees.
        label: your own name for it. The same label and request again give the same invoice, so with one you
            may ask again after TookTooLong too, or a crash of your own. None: the client takes a new UUID.
        expiry: how long it can be paid, a number is in whole seconds. None: one hour.
        with_watch_token: whether to give a token with it, for the payer's browser.

        Raises Conflict where the label is in use for another request.
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
        """Read an invoice, by one of its names: `id` is the internal one.

        Raises NotFound.
        """
        method, request = requests.get(
            invoice_id, with_watch_token, id=id, label=label, payment_hash=payment_hash, bolt11=bolt11
        )
        reply = self.call(getattr(self.invoices, method), request, timeout=timeout, again=True)
        return results.invoice(reply.invoice, getattr(reply, "watch_token", ""))

    def watch(self, invoice: Invoice | str, *, timeout: float | None = None) -> Iterator[Invoice]:
        """Follow an invoice, or what has this invoice_id: its state now, then each change, to a final one.

        A lost connection is made anew, however long that takes; a payment meanwhile is not missed.
        timeout: seconds for all of it, after which it raises TookTooLong. None: until it is paid or expired.
        """
        watching = Watching(timeout)
        request = requests.watch(invoice)
        while watching.goes_on:
            seconds = watching.seconds_left
            responses = self.invoices.WatchInvoice(request, timeout=seconds, metadata=self._metadata)
            try:
                for response in responses:
                    if state := watching.news(response.invoice):
                        yield state
                pause = watching.pause_after_end()
            except grpc.RpcError as failed:
                pause = watching.pause_after(self._error(failed))
            finally:
                responses.cancel()
            time.sleep(pause)

    def info(self, *, timeout: float | None = None) -> Info:
        """Tell about this Till and its node, and the totals of the key's user."""
        return results.info(self.call(self.invoices.GetInfo, GetInfoRequest(), timeout=timeout, again=True))

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        timeout: float | None = None,
        again: bool = False,
    ) -> Response:
        """Call a method of `invoices`, `invreqs` or `keys` with its message.

        again: whether to call again what was lost on the way. Only for what does no harm if it is done twice.
        """
        seconds = self._timeout if timeout is None else timeout
        attempts = Attempts(seconds, ConnectionLost if again else ())
        while True:
            try:
                return method(request, timeout=attempts.seconds_left, metadata=self._metadata)
            except grpc.RpcError as failed:
                pause = attempts.pause_after(self._error(failed))
            time.sleep(pause)

    def close(self) -> None:
        """End all calls, and the connection."""
        self._is_closed = True
        self._channel.close()

    def _error(self, failed: grpc.RpcError) -> Error:
        if self._is_closed:
            return Error("the client was closed", status="CANCELLED")
        return error_of(failed, self._proxy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
