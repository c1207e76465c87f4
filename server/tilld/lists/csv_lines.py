"""Invoices as lines of CSV (RFC 4180), safe to open in a spreadsheet. Pure."""

import csv
import io
import re
from datetime import datetime, tzinfo
from typing import NamedTuple

from tilld.invoices.invoice import Invoice

# Each part costs as much as 10 lines. A gRPC client accepts 4 MiB, and one line may have 100 KiB.
PART_CHARACTERS = 32 * 1024

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


class CsvLines:
    """Lines of invoices, with times in a zone. The first is the header row."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._lines = io.StringIO(newline="")
        self._invoices = 0
        # RFC 4180: CRLF, and quotes only around cells that need them.
        self._write = csv.writer(self._lines, lineterminator="\r\n").writerow
        self._write(COLUMNS)

    def add(self, invoice: Invoice) -> None:
        """Add an invoice's line."""
        self._write(_cells(invoice, self._zone))
        self._invoices += 1

    @property
    def are_many(self) -> bool:
        """True if the lines suffice for a part."""
        return self._lines.tell() >= PART_CHARACTERS

    def taken(self) -> CsvPart:
        """Remove the lines; return them as a part, which may be empty."""
        part = CsvPart(self._lines.getvalue(), self._invoices)
        self._lines.seek(0)
        self._lines.truncate()
        self._invoices = 0
        return part


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
