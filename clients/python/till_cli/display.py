"""Output of `till`: text for people, JSON for programs."""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import segno
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from till.info import Info
from till.results import Invoice

# The margin of a QR code, in modules; scanners need it.
QUIET_ZONE = 2


def show(result: Invoice | Info, as_json: bool) -> None:
    """Print a result."""
    if as_json:
        print_json(result)
        return
    lines = list(_lines(_plain(result)))
    if isinstance(result, Invoice):
        lines.append(("metadata", _metadata(result)))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        typer.echo(f"{name:{width}}  {value}")


def print_json(result: Invoice | Info) -> None:
    """Print a result as a JSON object on one line."""
    text = json.dumps(_plain(result))
    if isinstance(result, Invoice):
        text = f'{text[:-1]}, "metadata": {_metadata(result)}}}'
    typer.echo(text)


def print_payment_request(invoice: Invoice, with_qr: bool) -> None:
    """Print a payment request, optionally with its QR code, and the next step on standard error."""
    if with_qr:
        typer.echo(_qr_code(invoice.bolt11))
    typer.echo(invoice.bolt11)
    typer.echo(f"{_state(invoice)}; to watch it: till watch {invoice.invoice_id}", err=True)


@contextmanager
def live(invoice: Invoice, as_json: bool) -> Iterator[Callable[[Invoice], None]]:
    """Yield a function that prints a state of the invoice on a line.

    On a terminal the last line also counts down to the expiry.
    """
    if as_json or not sys.stdout.isatty():
        yield print_json if as_json else (lambda state: typer.echo(_state(state)))
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


def _plain(value: Any) -> Any:
    """Return a result as JSON values, with times in RFC 3339."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if not is_dataclass(value):
        return value
    return {each.name: _plain(getattr(value, each.name)) for each in fields(value) if each.name != "message"}


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
            # A line break in a description could imitate other fields.
            is_plain = isinstance(value, str) and value.isprintable()
            yield prefix + name, value if is_plain else json.dumps(value)
