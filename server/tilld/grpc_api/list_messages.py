"""Converts between lists of invoices and the messages of till.v1."""

from till.v1 import invoice_service_pb2 as pb
from tilld.errors import InvalidRequest
from tilld.formats.members import Member
from tilld.grpc_api import messages
from tilld.invoices.listing import InvoiceFilter, ListTerms, Order, Period
from tilld.invoices.lists import Page

_ORDERS = {
    pb.INVOICE_ORDER_UNSPECIFIED: None,
    pb.INVOICE_ORDER_CREATED_DESC: Order.CREATED_DESC,
    pb.INVOICE_ORDER_CREATED_ASC: Order.CREATED_ASC,
    pb.INVOICE_ORDER_PAID_DESC: Order.PAID_DESC,
    pb.INVOICE_ORDER_PAID_ASC: Order.PAID_ASC,
}


def list_terms(request: pb.ListInvoicesRequest) -> ListTerms:
    """Return the terms of a page.

    Raises InvalidRequest or TooLarge, which name the field and the limit.
    """
    return ListTerms.checked(
        _filter(request.filter), _order(request.order), request.page_size, request.page_token
    )


def page(page: Page) -> pb.ListInvoicesResponse:
    """Return a page as a message."""
    return pb.ListInvoicesResponse(
        invoices=map(messages.invoice, page.invoices), next_page_token=page.next_page_token
    )


def _filter(given: pb.InvoiceFilter) -> InvoiceFilter:
    return InvoiceFilter.checked(
        statuses=map(messages.invoice_status, given.statuses),
        type=given.type if given.HasField("type") else None,
        label=given.label if given.HasField("label") else None,
        label_prefix=given.label_prefix if given.HasField("label_prefix") else None,
        payment_hash=given.payment_hash if given.HasField("payment_hash") else None,
        bolt11=given.bolt11 if given.HasField("bolt11") else None,
        created=_period(given, "created_from", "created_to"),
        paid=_period(given, "paid_from", "paid_to"),
        member=Member(given.metadata.name, given.metadata.value) if given.HasField("metadata") else None,
    )


def _period(given: pb.InvoiceFilter, start: str, end: str) -> Period:
    return Period(
        *(
            messages.time(getattr(given, field), field) if given.HasField(field) else None
            for field in (start, end)
        )
    )


def _order(order: pb.InvoiceOrder) -> Order | None:
    if order not in _ORDERS:
        raise InvalidRequest(f"order must be among {', '.join(map(pb.InvoiceOrder.Name, _ORDERS))}")
    return _ORDERS[order]
