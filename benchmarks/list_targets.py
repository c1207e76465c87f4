"""Targets of lists, lookups, reports, exports and cancellations."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain

from benchmarks import names, stores, targets
from benchmarks.load import BUSY, Call, Calls
from benchmarks.till import Till
from till.v1 import invoice_pb2
from till.v1 import invoice_service_pb2 as pb
from tilld.errors import OperatorError

PAGE_SIZE = 100
# Pages of each kind, where a store has so many.
SPREAD = 20

PAGE_PATH = "/lightning/invoices"


async def pages(till: Till, rows: int) -> dict[str, list[Call]]:
    """Return calls of full pages by the names of their rows, from a store of this size."""
    numbers = stores.many(rows)[:SPREAD]
    prefixes = {stores.label(each)[:-3] for each in numbers}
    customers = {stores.customer(each, rows) for each in numbers}
    paid, expired = invoice_pb2.INVOICE_STATUS_PAID, invoice_pb2.INVOICE_STATUS_EXPIRED
    filters = {
        names.PAGE: [pb.InvoiceFilter()],
        names.PAGE_OF_STATUS: [pb.InvoiceFilter(statuses=[expired])],
        names.PAGE_OF_TYPE: [pb.InvoiceFilter(statuses=[paid], type="shop")],
        names.PAGE_OF_PREFIX: [pb.InvoiceFilter(label_prefix=each) for each in prefixes],
        names.PAGE_OF_MEMBER: [
            pb.InvoiceFilter(metadata=pb.MetadataMember(name="customer", value=each)) for each in customers
        ],
    }
    requests = {
        name: [pb.ListInvoicesRequest(filter=each) for each in kind] for name, kind in filters.items()
    }
    requests[names.PAGE_BY_PAYMENT] = [pb.ListInvoicesRequest(order=pb.INVOICE_ORDER_PAID_DESC)]
    middle = range(rows * 2 // 5, rows * 3 // 5)
    requests[names.PAGE_IN_THE_MIDDLE] = await _by_token(till, middle[:: len(middle) // SPREAD])
    await _pages(till, list(chain.from_iterable(requests.values())))
    return {name: [_list(each) for each in requests[name]] for name in names.PAGES}


def by_label(rows: int) -> list[Call]:
    """Return lookups by label, from all over a store of this size."""
    return [
        targets.call("LookupInvoice", pb.LookupInvoiceRequest(label=stores.label(each)))
        for each in stores.many(rows)
    ]


def paths_by_label(rows: int) -> list[str]:
    """Return the paths of the same lookups over REST."""
    return [f"{PAGE_PATH}?label={stores.label(each)}" for each in stores.many(rows)]


def paths_by_payment_hash(rows: int) -> list[str]:
    """Return the paths of lookups by payment hash over REST."""
    return [f"{PAGE_PATH}?rhash={stores.payment_hash(each)}" for each in stores.many(rows)]


def report() -> Call:
    """Return the report of the last 30 days by type."""
    request = pb.GetReportRequest()
    now = datetime.now(UTC)
    request.paid_from.FromDatetime(now - timedelta(days=30))
    request.paid_to.FromDatetime(now)
    return targets.call("GetReport", request)


async def cancellations(till: Till, count: int) -> Calls:
    """Create invoices; return a load that cancels each."""
    replies = await targets.answers(till, *[targets.CREATE] * count)
    created = [pb.CreateInvoiceResponse.FromString(each).invoice.invoice_id for each in replies]
    calls = [targets.call("CancelInvoice", pb.CancelInvoiceRequest(invoice_id=each)) for each in created]
    return Calls(till.grpc, till.shop.key, calls, BUSY, are_once=True)


def _list(request: pb.ListInvoicesRequest) -> Call:
    return targets.call("ListInvoices", request)


async def _by_token(till: Till, numbers: Sequence[int]) -> list[pb.ListInvoicesRequest]:
    """Return requests of second pages, by token, of the lists that begin before these invoices."""
    calls = [
        targets.call("GetInvoice", pb.GetInvoiceRequest(invoice_id=stores.invoice_id(each)))
        for each in numbers
    ]
    found = [pb.GetInvoiceResponse.FromString(each).invoice for each in await targets.answers(till, *calls)]
    requests = [pb.ListInvoicesRequest(filter=pb.InvoiceFilter(created_to=each.created_at)) for each in found]
    for request, page in zip(requests, await _pages(till, requests), strict=True):
        request.page_token = page.next_page_token
    return requests


async def _pages(till: Till, requests: Sequence[pb.ListInvoicesRequest]) -> list[pb.ListInvoicesResponse]:
    """Return the pages of requests. Raises OperatorError if one is not full."""
    replies = await targets.answers(till, *map(_list, requests))
    pages = [pb.ListInvoicesResponse.FromString(each) for each in replies]
    for request, page in zip(requests, pages, strict=True):
        if len(page.invoices) != PAGE_SIZE:
            raise OperatorError(f"a page has {len(page.invoices)} invoices instead of {PAGE_SIZE}: {request}")
    return pages
