"""Output of `till`: text for people, JSON for programs."""

import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

import segno
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from till.events import Event
from till.info import Info
from till.results import Invoice, PayabilityStatus, Report
from till_cli.periods import Period

# The margin of a QR code, in modules; scanners need it.
QUIET_ZONE = 2


def show(result: Invoice | Info, as_json: bool) -> None:
    """Print a result."""
    if as_json:
        print_json(result)
        return
    print_lines(plain(result), [("metadata", _metadata(result))] if isinstance(result, Invoice) else [])


def print_lines(plain: dict[str, Any], more: Iterable[tuple[str, str]] = ()) -> None:
    """Print names and values in two columns."""
    lines = [*_lines(plain), *more]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        typer.echo(f"{name:{width}}  {value}")


def print_json(result: Invoice | Info) -> None:
    """Print a result as a JSON object on one line."""
    text = json.dumps(plain(result))
    if isinstance(result, Invoice):
        text = f'{text[:-1]}, "metadata": {_metadata(result)}}}'
    typer.echo(text)


def print_table(invoices: Iterable[Invoice], zone: tzinfo, by_payment: bool) -> int:
    """Print invoices as a table, with times in a zone. Return their number."""
    count = 0
    for count, invoice in enumerate(invoices, 1):
        if count == 1:
            _row("PAID" if by_payment else "CREATED", "STATUS", "MSAT", "INVOICE ID", "LABEL", "DESCRIPTION")
        payment = invoice.payment
        time = payment.paid_at if by_payment and payment else invoice.created_at
        amount = payment.amount_received_msat if payment else invoice.amount_msat
        _row(
            f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            invoice.status,
            "any" if amount is None else f"{amount:,}",
            invoice.invoice_id,
            printable(invoice.label or "-"),
            printable(invoice.description or ""),
        )
    return count


def _row(time: str, status: str, amount: str, invoice_id: str, label: str, description: str) -> None:
    print_line(f"{time:19}  {status:8}  {amount:>15}  {invoice_id:21}  {label:16}  {description}".rstrip())


def print_events(events: Iterable[Event], zone: tzinfo, with_users: bool) -> int:
    """Print events as a table, with times in a zone. Return their number."""
    count = 0
    for count, event in enumerate(events, 1):
        if count == 1:
            _event_row("TIME", "SEQUENCE", "TYPE", "MSAT", "LABEL", "ID", "USERNAME" if with_users else None)
        subject = _subject(event)
        _event_row(
            f"{event.timestamp.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            str(event.sequence),
            printable(event.type),
            subject.amount,
            printable(subject.label or "-"),
            subject.id,
            printable(event.username) if with_users else None,
        )
    return count


def _event_row(
    time: str, sequence: str, type_: str, amount: str, label: str, id_: str, username: str | None
) -> None:
    user = "" if username is None else f"{username:12}  "
    print_line(f"{time:19}  {user}{sequence:>8}  {type_:25}  {amount:>15}  {label:16}  {id_}".rstrip())


class _Subject(NamedTuple):
    """The subject of an event, as columns of a table."""

    amount: str
    label: str
    id: str


def _subject(event: Event) -> _Subject:
    message = event.message
    if event.invoice:
        invoice = event.invoice
        msat = invoice.payment.amount_received_msat if invoice.payment else invoice.amount_msat
        return _Subject("any" if msat is None else f"{msat:,}", invoice.label or "", invoice.invoice_id)
    if message.HasField("invreq"):
        return _Subject(f"{message.invreq.amount_msat:,}", message.invreq.label, message.invreq.invreq_id)
    if message.HasField("invoice_import"):
        return _Subject("", f"{message.invoice_import.invoices:,} invoices", "")
    if event.disabled_webhook:
        return _Subject("", event.disabled_webhook.url, event.disabled_webhook.id)
    return _Subject("", "", "")


def print_line(line: str) -> None:
    """Print a line, on a terminal no longer than a line of the terminal."""
    if sys.stdout.isatty():
        text = Text(line)
        text.truncate(Console().width, overflow="ellipsis")
        line = text.plain
    typer.echo(line)


def print_report(report: Report, period: Period, by: str, as_json: bool) -> None:
    """Print a report, with the total last."""
    if as_json:
        limits = {"paid_from": period.start, "paid_to": period.end, "time_zone": period.zone_name, "by": by}
        typer.echo(json.dumps({name: plain(value) for name, value in limits.items()} | plain(report)))
        return
    typer.echo(f"Payments from {period.start} to before {period.end} ({period.zone_name})", err=True)
    rows = [(printable(each.name or "-"), each.count, each.amount_received_msat) for each in report.groups]
    width = max(len(name) for name, _, _ in [*rows, ("total", 0, 0)])
    typer.echo(f"{by.upper():{width}}  {'PAYMENTS':>10}  {'MSAT':>20}")
    for name, count, msat in [*rows, ("total", report.count, report.amount_received_msat)]:
        typer.echo(f"{name:{width}}  {count:>10,}  {msat:>20,}")


def print_payment_request(invoice: Invoice, with_qr: bool) -> None:
    """Print a payment request, optionally with its QR code; and hints on standard error."""
    if with_qr:
        typer.echo(_qr_code(invoice.bolt11))
    typer.echo(invoice.bolt11)
    payability = invoice.payability
    if payability and payability.status is not PayabilityStatus.OK and payability.detail:
        typer.echo(f"warning: payability {payability.status}: {payability.detail}", err=True)
    if invoice.webhook:
        typer.echo(f"webhook {invoice.webhook.id}; its secret: {invoice.webhook.secret}", err=True)
    typer.echo(f"{_state(invoice)}; to watch it: till watch {invoice.invoice_id}", err=True)


def print_state(invoice: Invoice, as_json: bool) -> None:
    """Print the state of an invoice on a line."""
    if as_json:
        print_json(invoice)
    else:
        typer.echo(_state(invoice))


@contextmanager
def live(invoice: Invoice, as_json: bool) -> Iterator[Callable[[Invoice], None]]:
    """Yield a function that prints a state of the invoice on a line.

    On a terminal the last line also counts down to the expiry.
    """
    if as_json or not sys.stdout.isatty():
        yield lambda state: print_state(state, as_json)
        return
    newest = invoice

    def update(state: Invoice) -> None:
        nonlocal newest
        newest = state

    console = Console()
    with Live(console=console, get_renderable=lambda: Text(_state(newest)), transient=True):
        yield update
    console.print(Text(_state(newest), style="green" if newest.payment else "yellow"))


def _qr_code(bolt11: str) -> str:
    drawing = io.StringIO()
    # Upper case needs fewer modules: QR codes have an alphanumeric mode.
    segno.make(bolt11.upper(), micro=False).terminal(drawing, border=QUIET_ZONE, compact=True)
    # The blocks are the light modules, also on a light terminal.
    lines = drawing.getvalue().splitlines()
    return "\n".join(typer.style(line, fg="bright_white", bg="black") for line in lines)


def _state(invoice: Invoice) -> str:
    if invoice.payment:
        return f"paid: {invoice.payment.amount_received_msat:,} msat"
    amount = "any amount" if invoice.amount_msat is None else f"{invoice.amount_msat:,} msat"
    if invoice.status.is_final:
        return f"{invoice.status}: {amount}"
    left = max(invoice.expires_at - datetime.now(UTC), timedelta())
    return f"{invoice.status}: {amount}, expires in {timedelta(seconds=int(left.total_seconds()))}"


def plain(value: Any) -> Any:
    """Return a result as JSON values, with times in RFC 3339."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if not is_dataclass(value):
        return value
    return {each.name: plain(getattr(value, each.name)) for each in fields(value) if each.name != "message"}


def _metadata(invoice: Invoice) -> str:
    """Return the JSON on one line of ASCII. It is not parsed: a float cannot hold all its numbers."""
    one_line = re.sub(r"[\t\n\r]", " ", invoice.message.metadata)
    return re.sub("[^ -~]", lambda found: json.dumps(found[0])[1:-1], one_line)


def _lines(plain: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and values, with dotted names for nested fields. Absent fields are omitted."""
    for name, value in plain.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{prefix}{name}.")
        elif value is not None:
            yield prefix + name, printable(value) if isinstance(value, str) else json.dumps(value)


def printable(text: str) -> str:
    """Return a text on one line, as JSON if it has characters that are not printable."""
    # A line break in a description could imitate other fields.
    return text if text.isprintable() else json.dumps(text)
