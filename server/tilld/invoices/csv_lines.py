"""Invoices as lines of CSV (RFC 4180), safe to open in a spreadsheet. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from typing import NamedTuple

from tilld.invoices.invoice import Invoice

# A gRPC client accepts messages of 4 MiB, and Envoy buffers 1 MiB. One line may have 100 KiB.
PART_CHARACTERS = 64 * 1024

# New columns are added at the end. A preimage proves a payment, and files are passed on, so none is in here.
COLUMNS = (
    "paid_at",
    "created_at",
    "expires_at",
    "status",
    "type",
    "label",
    "description",
    "amount_msat",
    "amount_sat",
    "received_msat",
    "received_sat",
    "payment_hash",
    "invoice_id",
    "key_id",
    "metadata",
)

# Spreadsheets run a cell that begins with one of = + - @ as a formula. Some first remove spaces and invisible
# characters, or convert variants: full-width, small, raised and lowered ones, signs of mathematics.
_SIGNS = (
    r"=+\-@"
    "\uff1d\uff0b\uff0d\uff20"
    "\ufe66\ufe62\ufe63\ufe6b"
    "\u207c\u207a\u207b"
    "\u208c\u208a\u208b"
    "\u2212\u2a75\u2a76\ufb29"
)
_INVISIBLE = r"\s\x00-\x1f\x7f\xad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
_is_formula = re.compile(f"[\t\r\n]|[{_INVISIBLE}]*[{_SIGNS}]").match


class CsvPart(NamedTuple):
    """Whole lines with CRLF, and the number of invoices in them."""

    text: str
    invoices: int


def parts(invoices: Iterable[Invoice], zone: tzinfo, *, header: bool = False) -> Iterator[CsvPart]:
    """Yield the lines of invoices in parts of limited size, with times in a zone.

    With `header`, the first part begins with the header row; there is one even without invoices.
    """
    lines = io.StringIO(newline="")
    # RFC 4180: CRLF, and quotes only around cells that need them.
    write = csv.writer(lines, lineterminator="\r\n").writerow
    if header:
        write(COLUMNS)
    count = 0
    for invoice in invoices:
        write(_cells(invoice, zone))
        count += 1
        if lines.tell() >= PART_CHARACTERS:
            yield CsvPart(lines.getvalue(), count)
            count = 0
            lines.seek(0)
            lines.truncate()
    if text := lines.getvalue():
        yield CsvPart(text, count)


def _cells(invoice: Invoice, zone: tzinfo) -> tuple[str | int | None, ...]:
    payment = invoice.payment
    received = payment and payment.amount_received_msat
    return (
        payment and _time(payment.paid_at, zone),
        _time(invoice.created_at, zone),
        _time(invoice.expires_at, zone),
        invoice.status.value,
        _text(invoice.type),
        _text(invoice.label),
        _text(invoice.description),
        invoice.amount_msat,
        _sat(invoice.amount_msat),
        received,
        _sat(received),
        invoice.payment_hash,
        _text(invoice.invoice_id),
        invoice.key_id,
        _text(invoice.metadata),
    )


def _text(text: str | None) -> str | None:
    return f"'{text}" if text and _is_formula(text) else text


def _sat(msat: int | None) -> str | None:
    return None if msat is None else f"{msat // 1000}.{msat % 1000:03}"


def _time(time: datetime, zone: tzinfo) -> str:
    try:
        return time.astimezone(zone).isoformat()
    except OverflowError:
        # The end of the year 9999.
        return time.isoformat()
