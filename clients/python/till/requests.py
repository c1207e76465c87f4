"""Builds the request messages of the clients."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp

from till.results import STATUS, Invoice, Status
from till.v1 import invoice_service_pb2 as pb

# Called with the number of invoices so far.
Progress = Callable[[int], object]


class Order(StrEnum):
    """The order of a list: by creation or by payment, which lists paid invoices only. "-": newest first."""

    CREATED_DESC = "-created"
    CREATED_ASC = "created"
    PAID_DESC = "-paid"
    PAID_ASC = "paid"


class Grouping(StrEnum):
    """The groups of a report: by type, by day, or by the key that created the invoice."""

    TYPE = "type"
    DAY = "day"
    KEY = "key"


class InvoiceFilter(TypedDict, total=False):
    """Which invoices to list or to export: those that match all given fields. None: any.

    statuses: any of these, such as [Status.PAID, "expired"].
    type: the type in the metadata.
    label, label_prefix: the label, or its beginning. With label_prefix the invoices are ordered by label.
    payment_hash: 64 hexadecimal digits.
    bolt11: the payment request, in any form that get_invoice accepts.
    created_from, created_to: the creation time, from the first to before the second. Aware datetimes.
    paid_from, paid_to: the same of the payment; only paid invoices match.
    metadata: name and value of a member of the metadata, such as ("order", 17). Searchable are the first 16
        members besides "type" whose value is a string of at most 128 bytes, a number, True or False.
    """

    statuses: Iterable[Status | str] | None
    type: str | None
    label: str | None
    label_prefix: str | None
    payment_hash: str | None
    bolt11: str | None
    created_from: datetime | None
    created_to: datetime | None
    paid_from: datetime | None
    paid_to: datetime | None
    metadata: tuple[str, str | int | bool] | None


STATUS_NUMBERS = {status: number for number, status in STATUS.items()}
ORDERS = {
    None: pb.INVOICE_ORDER_UNSPECIFIED,
    Order.CREATED_DESC: pb.INVOICE_ORDER_CREATED_DESC,
    Order.CREATED_ASC: pb.INVOICE_ORDER_CREATED_ASC,
    Order.PAID_DESC: pb.INVOICE_ORDER_PAID_DESC,
    Order.PAID_ASC: pb.INVOICE_ORDER_PAID_ASC,
}
GROUPINGS = {
    Grouping.TYPE: pb.REPORT_GROUPING_TYPE,
    Grouping.DAY: pb.REPORT_GROUPING_DAY,
    Grouping.KEY: pb.REPORT_GROUPING_KEY,
}
TIMES = ("created_from", "created_to", "paid_from", "paid_to")


def create(
    amount_msat: int | None,
    metadata: Mapping[str, Any],
    description: str | None,
    label: str | None,
    expiry: timedelta | int | None,
    with_watch_token: bool,
    expose_private_channels: bool | Iterable[str] | None,
    description_hash_only: bool,
    webhook_url: str | None,
) -> pb.CreateInvoiceRequest:
    """Return a request that is safe to retry: it always has a label."""
    request = pb.CreateInvoiceRequest(
        amount_msat=amount_msat,
        metadata=json.dumps(metadata, ensure_ascii=False, allow_nan=False),
        description=description,
        label=uuid.uuid4().hex if label is None else label,
        with_watch_token=with_watch_token,
        expose_private_channels=_private_channels(expose_private_channels),
        description_hash_only=description_hash_only,
        webhook_url=webhook_url,
    )
    if expiry is not None:
        request.expiry.FromTimedelta(expiry if isinstance(expiry, timedelta) else timedelta(seconds=expiry))
    return request


def _private_channels(wanted: bool | Iterable[str] | None) -> pb.ExposePrivateChannels | None:
    if wanted is None:
        return None
    if isinstance(wanted, bool):
        return pb.ExposePrivateChannels(all=wanted)
    return pb.ExposePrivateChannels(short_channel_ids=[wanted] if isinstance(wanted, str) else wanted)


def get(invoice_id: str | None, with_watch_token: bool, **others: str | None) -> tuple[str, Any]:
    """Return the method that reads an invoice by the given name, and its request.

    Raise TypeError unless exactly one name is given.
    """
    given = {name: value for name, value in {"invoice_id": invoice_id, **others}.items() if value is not None}
    if len(given) != 1:
        raise TypeError("pass exactly one of invoice_id, id, label, payment_hash and bolt11")
    if with_watch_token and invoice_id is None:
        raise TypeError("with_watch_token needs invoice_id")
    if invoice_id is not None:
        return "GetInvoice", pb.GetInvoiceRequest(invoice_id=invoice_id, with_watch_token=with_watch_token)
    if "id" in given:
        return "GetInvoiceById", pb.GetInvoiceByIdRequest(id=given["id"])
    return "LookupInvoice", pb.LookupInvoiceRequest(**given)


def invoice_id(invoice: Invoice | str) -> str:
    """Return the invoice_id of an invoice, which may be given as such."""
    return invoice if isinstance(invoice, str) else invoice.invoice_id


def page(
    page_token: str | None, page_size: int | None, order: Order | str | None, wanted: InvoiceFilter
) -> pb.ListInvoicesRequest:
    """Return the request of a page. Raise TypeError or ValueError for a wrong filter."""
    return pb.ListInvoicesRequest(
        page_size=page_size or 0, page_token=page_token or "", order=_order(order), filter=_filter(wanted)
    )


def export(
    order: Order | str | None, time_zone: ZoneInfo | str, wanted: InvoiceFilter
) -> pb.ExportInvoicesRequest:
    """Return the request of an export. Raise TypeError or ValueError for a wrong filter."""
    return pb.ExportInvoicesRequest(order=_order(order), time_zone=str(time_zone), filter=_filter(wanted))


def report(
    paid_from: datetime, paid_to: datetime, by: Grouping | str, time_zone: ZoneInfo | str
) -> pb.GetReportRequest:
    """Return the request of a report. Raise ValueError for a datetime without a zone."""
    return pb.GetReportRequest(
        paid_from=_time("paid_from", paid_from),
        paid_to=_time("paid_to", paid_to),
        by=GROUPINGS[Grouping(by)],
        time_zone=str(time_zone),
    )


def _order(order: Order | str | None) -> pb.InvoiceOrder:
    return ORDERS[None if order is None else Order(order)]


def _filter(wanted: InvoiceFilter) -> pb.InvoiceFilter:
    if unknown := wanted.keys() - InvoiceFilter.__annotations__.keys():
        raise TypeError(f"no such filter: {', '.join(sorted(unknown))}; see till.InvoiceFilter")
    fields: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    for name in TIMES:
        if name in fields:
            fields[name] = _time(name, fields[name])
    if "statuses" in fields:
        fields["statuses"] = [_status(each) for each in fields["statuses"]]
    if "metadata" in fields:
        name, value = fields["metadata"]
        text = value if isinstance(value, str) else json.dumps(value)
        fields["metadata"] = pb.MetadataMember(name=name, value=text)
    return pb.InvoiceFilter(**fields)


def _status(status: Status | str) -> Any:
    if (number := STATUS_NUMBERS.get(Status(status))) is None:
        raise ValueError("statuses cannot contain Status.UNKNOWN")
    return number


def _time(name: str, time: datetime) -> Timestamp:
    if time.tzinfo is None:
        raise ValueError(f"{name} needs a time zone, such as datetime(2026, 11, 1, tzinfo=UTC)")
    stamp = Timestamp()
    try:
        stamp.FromDatetime(time)
    except OverflowError:
        raise ValueError(f"{name} must be between the years 1 and 9999, in UTC") from None
    return stamp
