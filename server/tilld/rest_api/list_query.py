"""Reads the query parameters of lists, CSV and reports."""

import re
from collections.abc import Iterable
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import TypeVar

from till_rest.v1 import invoice_service_pb2 as pb
from tilld.errors import InvalidRequest
from tilld.formats.members import Member
from tilld.formats.time_zones import time_in, time_zone
from tilld.invoices.invoice import Status
from tilld.lists.report import Grouping, ReportTerms
from tilld.lists.terms import InvoiceFilter, ListTerms, Order, Period

Choice = TypeVar("Choice", bound=StrEnum)

ORDERS = (Order.CREATED_DESC, Order.CREATED_ASC, Order.PAID_DESC, Order.PAID_ASC)
# As over gRPC, whose field is an int32.
MAX_LIMIT = 2**31 - 1
_whole_number = re.compile(r"0*([1-9][0-9]{0,9})").fullmatch


def list_terms(query: pb.ListInvoicesRequest) -> ListTerms:
    """Return the terms of a page.

    Raises InvalidRequest or TooLarge, which name the parameter and the limit.
    """
    return ListTerms.checked(
        _filter(query, _zone(query)),
        _order(query),
        limit(query.limit) if query.HasField("limit") else None,
        query.page,
        size_name="limit",
        page_name="page",
    )


def export_terms(query: pb.ExportInvoicesRequest) -> tuple[ListTerms, tzinfo]:
    """Return the terms of a CSV file, and the zone of its times.

    Raises InvalidRequest or TooLarge, which name the parameter and the limit.
    """
    zone = _zone(query)
    return ListTerms.checked(_filter(query, zone), _order(query)), zone


def report_terms(query: pb.GetReportRequest) -> ReportTerms:
    """Return the terms of a report. Raises InvalidRequest, which names the parameter and the limit."""
    zone = _zone(query)
    return ReportTerms.checked(
        _time(query, "from", zone),
        _time(query, "to", zone),
        _choice(query.by, Grouping, "by") if query.HasField("by") else Grouping.TYPE,
        zone,
        start_name="from",
        end_name="to",
    )


def limit(text: str) -> int:
    """Return the largest number of rows of a page. Raises InvalidRequest."""
    found = _whole_number(text)
    limit = int(found[1]) if found else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"limit must be a whole number, 1 to {MAX_LIMIT}")
    return limit


_Listed = pb.ListInvoicesRequest | pb.ExportInvoicesRequest
_Query = _Listed | pb.GetReportRequest


def _filter(query: _Listed, zone: tzinfo) -> InvoiceFilter:
    return InvoiceFilter.checked(
        statuses=[_choice(each, Status, "status") for each in query.status],
        type=query.type if query.HasField("type") else None,
        label=query.label if query.HasField("label") else None,
        label_prefix=query.label_prefix if query.HasField("label_prefix") else None,
        payment_hash=query.rhash if query.HasField("rhash") else None,
        bolt11=query.payreq if query.HasField("payreq") else None,
        created=Period(_time(query, "created_from", zone), _time(query, "created_to", zone)),
        paid=Period(_time(query, "paid_from", zone), _time(query, "paid_to", zone)),
        member=_member(query.metadata) if query.HasField("metadata") else None,
        payment_hash_field="rhash",
        bolt11_field="payreq",
    )


def _order(query: _Listed) -> Order | None:
    return _choice(query.order, ORDERS, "order") if query.HasField("order") else None


def _zone(query: _Query) -> tzinfo:
    return time_zone(query.tz, "tz")


def _time(query: _Query, name: str, zone: tzinfo) -> datetime | None:
    given: dict[str, str] = {field.name: value for field, value in query.ListFields()}
    return time_in(zone, given[name], name) if name in given else None


def _member(text: str) -> Member:
    name, colon, value = text.partition(":")
    if not colon:
        raise InvalidRequest("metadata must be NAME:VALUE, such as order_id:1234")
    return Member(name, value)


def _choice(text: str, choices: Iterable[Choice], name: str) -> Choice:
    for choice in choices:
        if text == choice.value:
            return choice
    raise InvalidRequest(f"{name} must be one of {', '.join(choices)}")
