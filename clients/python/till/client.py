"""The client for blocking code."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Unpack
from zoneinfo import ZoneInfo

import grpc

from till import info, requests, results
from till.event_calls import EventCalls
from till.info import Info
from till.requests import Grouping, InvoiceFilter, Order, Progress
from till.results import Invoice, Page, Report
from till.retries import Connection, Watching
from till.v1.invoice_service_pb2 import (
    CancelInvoiceRequest,
    ExportInvoicesRequest,
    GetInfoRequest,
    ListInvoicesRequest,
    WatchInvoiceRequest,
)
from till.webhook_calls import WebhookCalls


class Client(EventCalls, WebhookCalls):
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

    Every method raises a till.Error. A lost call is retried until the timeout, unless the method says
    otherwise. Retries are safe, since a create has a label by which Till recognizes it, and all other calls
    are reads or may run twice.

    invoices, invreqs, keys, event_log, webhooks: the generated gRPC stubs, for `call`.
    """

    def create_invoice(
        self,
        amount_msat: int | None,
        metadata: Mapping[str, Any],
        *,
        description: str | None = None,
        label: str | None = None,
        expiry: timedelta | int | None = None,
        with_watch_token: bool = False,
        expose_private_channels: bool | Iterable[str] | None = None,
        description_hash_only: bool = False,
        webhook_url: str | None = None,
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
        expose_private_channels: whether the payment request may name private channels as route hints, or the
            short channel IDs of those that it may name. None: lightningd chooses.
        description_hash_only: whether the payment request has only the SHA-256 of the description. LNURL-pay
            requires it.
        webhook_url: where to send the event of the final state, as a webhook does. The result's `webhook` has
            the secret. The key needs the scope webhooks.

        The result's `payability` says whether payers can reach the node, as the node estimates.
        Raises Conflict if the label is in use for another request.
        """
        request = requests.create(
            amount_msat,
            metadata,
            description,
            label,
            expiry,
            with_watch_token,
            expose_private_channels,
            description_hash_only,
            webhook_url,
        )
        return results.created(self.call(self.invoices.CreateInvoice, request, timeout=timeout, again=True))

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
        request = WatchInvoiceRequest(invoice_id=requests.invoice_id(invoice))
        while watching.is_open:
            metadata = self._metadata()
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

    def cancel_invoice(self, invoice: Invoice | str, *, timeout: float | None = None) -> Invoice:
        """Cancel an unpaid invoice, given as an Invoice or an invoice_id: it can no longer be paid.

        A canceled invoice stays canceled. Raises Conflict if the invoice is paid or expired.
        """
        request = CancelInvoiceRequest(invoice_id=requests.invoice_id(invoice))
        reply = self.call(self.invoices.CancelInvoice, request, timeout=timeout, again=True)
        return results.invoice(reply.invoice)

    def list_invoices(
        self,
        *,
        order: Order | str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        timeout: float | None = None,
        **wanted: Unpack[InvoiceFilter],
    ) -> Iterator[Invoice]:
        """Iterate over the invoices that match all filters, which are those of till.InvoiceFilter.

            for invoice in client.list_invoices(statuses=["paid"], type="shop"):

        It fetches a page when the loop needs it, and continues at a page that was lost. It repeats no
        invoice, and misses none that existed at the start.

        order: None: newest first, by payment if a filter has a payment time, else by creation.
        page_size: invoices in a page, at most 1000. None: 100.
        page_token: begin at this page of invoice_page, with the same filters and order.
        timeout: seconds for each page with its retries.
        """
        return self._invoices(requests.page(page_token, page_size, order, wanted), timeout)

    def _invoices(self, request: ListInvoicesRequest, timeout: float | None) -> Iterator[Invoice]:
        while True:
            reply = self.call(self.invoices.ListInvoices, request, timeout=timeout, again=True)
            yield from map(results.invoice, reply.invoices)
            if not reply.next_page_token:
                return
            request.page_token = reply.next_page_token

    def invoice_page(
        self,
        page_token: str | None = None,
        *,
        order: Order | str | None = None,
        page_size: int | None = None,
        timeout: float | None = None,
        **wanted: Unpack[InvoiceFilter],
    ) -> Page:
        """Return a page of list_invoices, with the token of the next page.

        page_token: None: the first page.
        """
        request = requests.page(page_token, page_size, order, wanted)
        return results.page(self.call(self.invoices.ListInvoices, request, timeout=timeout, again=True))

    def export_invoices(
        self,
        *,
        order: Order | str | None = None,
        time_zone: ZoneInfo | str = "UTC",
        timeout: float | None = None,
        on_progress: Progress | None = None,
        **wanted: Unpack[InvoiceFilter],
    ) -> Iterator[str]:
        """Iterate over the parts of a CSV file (RFC 4180) of the invoices that match all filters.

        Each part has whole lines with CRLF; the first part begins with the header row. Write them to a file
        that was opened with newline="" and encoding="utf-8". The file is complete if the loop ends without
        an error. An export is not retried, since lines would repeat.

        order, and the filters: as list_invoices.
        time_zone: name of the zone of all times, such as "Europe/Rome".
        timeout: seconds for the whole export. None: no deadline.
        on_progress: called with the number of invoices so far, after each part.
        """
        return self._csv(requests.export(order, time_zone, wanted), timeout, on_progress)

    def _csv(
        self,
        request: ExportInvoicesRequest,
        timeout: float | None,
        on_progress: Progress | None,
    ) -> Iterator[str]:
        responses = self.invoices.ExportInvoices(request, timeout=timeout, metadata=self._metadata())
        invoices = 0
        try:
            for response in responses:
                yield response.csv
                invoices += response.invoices
                if on_progress:
                    on_progress(invoices)
        except grpc.RpcError as failed:
            raise self._error(failed) from None
        finally:
            responses.cancel()

    def report(
        self,
        paid_from: datetime,
        paid_to: datetime,
        *,
        by: Grouping | str = Grouping.TYPE,
        time_zone: ZoneInfo | str = "UTC",
        timeout: float | None = None,
    ) -> Report:
        """Return the number and the sum of the payments from paid_from to before paid_to, also by group.

        paid_from, paid_to: aware datetimes, at most 10 years apart.
        by: "type", "day" or "key".
        time_zone: name of the zone of the days, such as "Europe/Rome".
        """
        request = requests.report(paid_from, paid_to, by, time_zone)
        return results.report(self.call(self.invoices.GetReport, request, timeout=timeout, again=True))

    def info(self, *, timeout: float | None = None) -> Info:
        """Return the state of Till and its node, and the totals of the key's user."""
        return info.info(self.call(self.invoices.GetInfo, GetInfoRequest(), timeout=timeout, again=True))
