"""Converts between lists, exports and reports of invoices and the messages of till.v1."""

from datetime import tzinfo

from till.v1 import invoice_service_pb2 as pb
from tilld.errors import InvalidRequest
from tilld.formats.members import Member
from tilld.formats.time_zones import time_zone
from tilld.grpc_api import messages
from tilld.lists.report import Grouping, Report, ReportTerms
from tilld.lists.service import Page
from tilld.lists.terms import InvoiceFilter, ListTerms, Order, Period

_ORDERS = {
    pb.INVOICE_ORDER_UNSPECIFIED: None,
    pb.INVOICE_ORDER_CREATED_DESC: Order.CREATED_DESC,
    pb.INVOICE_ORDER_CREATED_ASC: Order.CREATED_ASC,
    pb.INVOICE_ORDER_PAID_DESC: Order.PAID_DESC,
    pb.INVOICE_ORDER_PAID_ASC: Order.PAID_ASC,
}

_GROUPINGS = {
    pb.REPORT_GROUPING_UNSPECIFIED: Grouping.TYPE,
    pb.REPORT_GROUPING_TYPE: Grouping.TYPE,
    pb.REPORT_GROUPING_DAY: Grouping.DAY,
    pb.REPORT_GROUPING_KEY: Grouping.KEY,
}


def list_terms(request: pb.ListInvoicesRequest) -> ListTerms:
    """Return the terms of a page.

    Raises InvalidRequest or TooLarge, which name the field and the limit.
    """
    return ListTerms.checked(
        _filter(request.filter), _order(request.order), request.page_size, request.page_token
    )


def export_terms(request: pb.ExportInvoicesRequest) -> tuple[ListTerms, tzinfo]:
    """Return the terms of an export, and the zone of its times.

    Raises InvalidRequest or TooLarge, which name the field and the limit.
    """
    terms = ListTerms.checked(_filter(request.filter), _order(request.order))
    return terms, time_zone(request.time_zone, "time_zone")


def report_terms(request: pb.GetReportRequest) -> ReportTerms:
    """Return the terms of a report. Raises InvalidRequest, which names the field and the limit."""
    if request.by not in _GROUPINGS:
        raise InvalidRequest(f"by must be among {', '.join(map(pb.ReportGrouping.Name, _GROUPINGS))}")
    return ReportTerms.checked(
        *_period(request, "paid_from", "paid_to"),
        _GROUPINGS[request.by],
        time_zone(request.time_zone, "time_zone"),
    )


def report(report: Report) -> pb.GetReportResponse:
    """Return a report as a message."""
    return pb.GetReportResponse(
        count=report.count,
        amount_received_msat=report.amount_received_msat,
        groups=(
            pb.ReportGroup(
                name=group.name, count=group.count, amount_received_msat=group.amount_received_msat
            )
            for group in report.groups
        ),
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


def _period(given: pb.InvoiceFilter | pb.GetReportRequest, start: str, end: str) -> Period:
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
