"""Pages of invoices, and reports, in the documented JSON."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from tilld.formats.strict_json import write
from tilld.lists.report import Report, ReportTerms
from tilld.lists.service import Page
from tilld.lists.terms import MAX_PAGE_SIZE
from tilld.rest_api.schemas.fields import Time, described
from tilld.rest_api.schemas.invoice_json import InvoiceJson, answer, time


class InvoicePageJson(Struct):
    """A page of a list of invoices."""

    invoices: Annotated[
        list[InvoiceJson],
        described(
            "The invoices: at most `limit`. A page before the last one may have fewer, or none.",
            maxItems=MAX_PAGE_SIZE,
        ),
    ]
    next: Annotated[
        str | None,
        described("`page` of the next request, with the same filter and order; null: this is the last page."),
    ]


def page(page: Page) -> bytes:
    """Return a page as JSON."""
    return write(
        InvoicePageJson(invoices=[answer(each) for each in page.invoices], next=page.next_page_token or None)
    )


class ReportGroupJson(Struct, kw_only=True):
    """Payments of a group, with the one of `type`, `day` and `key` that the report is grouped by."""

    type: Annotated[str, described("Type in the metadata.")] | UnsetType = UNSET
    day: Annotated[str, Meta(extra_json_schema={"format": "date"})] | UnsetType = UNSET
    key: Annotated[str, described("Id of the key that created the invoices; empty: no key.")] | UnsetType = (
        UNSET
    )
    count: Annotated[int, described("Number of payments.", minimum=1)]
    msatoshi_received: Annotated[int, described("Sum received, in msat.", minimum=0)]


class ReportJson(Struct):
    """Payments received in a period."""

    start: Annotated[Time, described("The beginning of the period.")] = field(name="from")
    end: Annotated[Time, described("The end of the period, exclusive.")] = field(name="to")
    tz: Annotated[str, described("The time zone of the days.")]
    count: Annotated[int, described("Number of payments.", minimum=0)]
    msatoshi_received: Annotated[int, described("Sum received, in msat.", minimum=0)]
    groups: Annotated[list[ReportGroupJson], described("The groups that have payments, by name.")]


def report(terms: ReportTerms, report: Report) -> bytes:
    """Return a report as JSON."""
    start, end = (time(each) for each in terms.paid if each)
    return write(
        ReportJson(
            start=start,
            end=end,
            tz=str(terms.zone),
            count=report.count,
            msatoshi_received=report.amount_received_msat,
            groups=[
                ReportGroupJson(
                    **{terms.by.value: each.name},
                    count=each.count,
                    msatoshi_received=each.amount_received_msat,
                )
                for each in report.groups
            ],
        )
    )
