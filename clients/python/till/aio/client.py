"""The client for asyncio."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Unpack
from zoneinfo import ZoneInfo

import grpc.aio

from till import info, requests, results
from till.aio.event_calls import AsyncEventCalls
from till.aio.webhook_calls import AsyncWebhookCalls
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


class AsyncClient(AsyncEventCalls, AsyncWebhookCalls):
    """A connection to Till for asyncio, with the parameters and methods of Client.

    It belongs to the event loop in which it was created. Without that loop it raises RuntimeError.
    key: as Client's; the function may be a coroutine function.
    """

    async def create_invoice(
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
        """Create an invoice: see Client.create_invoice."""
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
        reply = await self.call(self.invoices.CreateInvoice, request, timeout=timeout, again=True)
        return results.created(reply)

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
        request = WatchInvoiceRequest(invoice_id=requests.invoice_id(invoice))
        while watching.is_open:
            metadata = await self._metadata()
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

    async def cancel_invoice(self, invoice: Invoice | str, *, timeout: float | None = None) -> Invoice:
        """Cancel an unpaid invoice: see Client.cancel_invoice."""
        request = CancelInvoiceRequest(invoice_id=requests.invoice_id(invoice))
        reply = await self.call(self.invoices.CancelInvoice, request, timeout=timeout, again=True)
        return results.invoice(reply.invoice)

    def list_invoices(
        self,
        *,
        order: Order | str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        timeout: float | None = None,
        **wanted: Unpack[InvoiceFilter],
    ) -> AsyncGenerator[Invoice, None]:
        """Iterate over the invoices that match all filters: see Client.list_invoices."""
        return self._invoices(requests.page(page_token, page_size, order, wanted), timeout)

    async def _invoices(
        self, request: ListInvoicesRequest, timeout: float | None
    ) -> AsyncGenerator[Invoice, None]:
        while True:
            reply = await self.call(self.invoices.ListInvoices, request, timeout=timeout, again=True)
            for each in reply.invoices:
                yield results.invoice(each)
            if not reply.next_page_token:
                return
            request.page_token = reply.next_page_token

    async def invoice_page(
        self,
        page_token: str | None = None,
        *,
        order: Order | str | None = None,
        page_size: int | None = None,
        timeout: float | None = None,
        **wanted: Unpack[InvoiceFilter],
    ) -> Page:
        """Return one page of list_invoices: see Client.invoice_page."""
        request = requests.page(page_token, page_size, order, wanted)
        reply = await self.call(self.invoices.ListInvoices, request, timeout=timeout, again=True)
        return results.page(reply)

    def export_invoices(
        self,
        *,
        order: Order | str | None = None,
        time_zone: ZoneInfo | str = "UTC",
        timeout: float | None = None,
        on_progress: Progress | None = None,
        **wanted: Unpack[InvoiceFilter],
    ) -> AsyncGenerator[str, None]:
        """Iterate over the parts of a CSV file: see Client.export_invoices.

        To leave the loop early and cancel the call immediately, use contextlib.aclosing.
        """
        return self._csv(requests.export(order, time_zone, wanted), timeout, on_progress)

    async def _csv(
        self,
        request: ExportInvoicesRequest,
        timeout: float | None,
        on_progress: Progress | None,
    ) -> AsyncGenerator[str, None]:
        metadata = await self._metadata()
        responses = self.invoices.ExportInvoices(request, timeout=timeout, metadata=metadata)
        invoices = 0
        try:
            async for response in responses:
                yield response.csv
                invoices += response.invoices
                if on_progress:
                    on_progress(invoices)
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as failed:
            raise self._error(failed) from None
        finally:
            responses.cancel()

    async def report(
        self,
        paid_from: datetime,
        paid_to: datetime,
        *,
        by: Grouping | str = Grouping.TYPE,
        time_zone: ZoneInfo | str = "UTC",
        timeout: float | None = None,
    ) -> Report:
        """Return the number and the sum of the payments in a period: see Client.report."""
        request = requests.report(paid_from, paid_to, by, time_zone)
        reply = await self.call(self.invoices.GetReport, request, timeout=timeout, again=True)
        return results.report(reply)

    async def info(self, *, timeout: float | None = None) -> Info:
        """Return the state of Till and its node, and the totals of the key's user."""
        reply = await self.call(self.invoices.GetInfo, GetInfoRequest(), timeout=timeout, again=True)
        return info.info(reply)
