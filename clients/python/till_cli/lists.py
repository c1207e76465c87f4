"""The commands of `till` for many invoices: list, export and report."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer

from till.client import Client
from till.requests import Grouping, InvoiceFilter, Order
from till_cli import display, output, periods
from till_cli.commands import Json
from till_cli.periods import Period

# Rows of a table, unless --limit says more: a screenful.
ROWS = 20

Value = TypeVar("Value")


class ListedStatus(StrEnum):
    """The states to choose from."""

    UNPAID = "unpaid"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELED = "canceled"


def _parser(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """Return a parser for typer, whose ValueError is wrong usage."""

    def parsed(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as wrong:
            raise typer.BadParameter(str(wrong)) from None

    return parsed


@contextmanager
def usage() -> Iterator[None]:
    """Report a ValueError as wrong usage."""
    try:
        yield
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None


def _member(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not (name and found):
        raise ValueError(f"{text!r} is not NAME=VALUE, such as order=17")
    return name, value


Statuses = Annotated[
    list[ListedStatus] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only this status: unpaid, paid, expired or canceled. Repeat it for several.",
    ),
]
Paid = Annotated[
    bool,
    typer.Option("--paid", help="Only paid invoices; --from, --to, --month and the order are by payment."),
]
Type = Annotated[str | None, typer.Option("--type", metavar="TEXT", help="Only this type in the metadata.")]
Label = Annotated[str | None, typer.Option(metavar="TEXT", help="Only the invoice with this label.")]
LabelPrefix = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Only labels with this beginning, ordered by label.")
]
PaymentHash = Annotated[str | None, typer.Option(metavar="HEX", help="Only this payment hash.")]
Bolt11 = Annotated[str | None, typer.Option(metavar="TEXT", help="Only this payment request.")]
Member = Annotated[
    Any | None,
    typer.Option(
        "--metadata",
        metavar="NAME=VALUE",
        parser=_parser(_member),
        help="Only with this member of the metadata.",
    ),
]
From = Annotated[
    Any | None,
    typer.Option(
        "--from",
        metavar="DATE",
        parser=_parser(periods.moment),
        help="Begin of the period: 2026-11-01, midnight in --tz, or 2026-11-01T18:30.",
    ),
]
To = Annotated[
    Any | None,
    typer.Option(
        "--to",
        metavar="DATE",
        parser=_parser(periods.moment),
        help="End of the period, exclusive: --to 2026-12-01 ends with November.",
    ),
]
Month = Annotated[
    Any | None,
    typer.Option(
        metavar="MONTH",
        parser=_parser(periods.month),
        help="A whole month instead of --from and --to: 2026-11.",
    ),
]
Tz = Annotated[
    str | None,
    typer.Option(
        metavar="ZONE",
        envvar="TILL_TZ",
        help="Time zone, such as Europe/Rome. [default: TZ, or that of this machine]",
        show_default=False,
    ),
]


def list_(
    ctx: typer.Context,
    status: Statuses = None,
    paid: Paid = False,
    type_: Type = None,
    label: Label = None,
    label_prefix: LabelPrefix = None,
    payment_hash: PaymentHash = None,
    bolt11: Bolt11 = None,
    metadata: Member = None,
    start: From = None,
    end: To = None,
    month: Month = None,
    tz: Tz = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="List the oldest first.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            help=f"The largest number of invoices; 0: all. [default: {ROWS}; with --json: all]",
            show_default=False,
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """List invoices that match all options, the newest first.

    Example: `till invoice list --paid --month 2026-11 --limit 0`
    """
    with usage():
        period = periods.period(start, end, month, tz)
    wanted = _filter(period, paid, status, type=type_, label_prefix=label_prefix, metadata=metadata)
    wanted |= {"label": label, "payment_hash": payment_hash, "bolt11": bolt11}
    if limit is None:
        limit = 0 if json_ else ROWS
    client: Client = ctx.obj
    invoices = client.list_invoices(
        order=_order(paid, label_prefix, oldest_first, by_default=False),
        # One more shows whether there are more.
        page_size=min(limit + 1, 1000) if limit else 1000,
        **wanted,
    )
    shown = islice(invoices, limit or None)
    if json_:
        for invoice in shown:
            display.print_json(invoice)
        return
    count = display.print_table(shown, period.zone, by_payment=paid)
    if not count:
        typer.echo("no invoice matches", err=True)
    elif next(invoices, None):
        typer.echo("and more; --limit 0 lists all", err=True)


def export(
    ctx: typer.Context,
    output_file: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            dir_okay=False,
            help="Write to this file, which is replaced only when the export is complete. [default: stdout]",
            show_default=False,
        ),
    ] = None,
    status: Statuses = None,
    paid: Paid = False,
    type_: Type = None,
    label_prefix: LabelPrefix = None,
    metadata: Member = None,
    start: From = None,
    end: To = None,
    month: Month = None,
    tz: Tz = None,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Export the newest first.")] = False,
) -> None:
    """Export invoices that match all options as CSV, the oldest first, with all times in --tz.

    It takes as long as it needs: --timeout does not apply. On an error it exits with 1, and the file stays as
    it was.

    Example: `till invoice export --paid --month 2026-11 --tz Europe/Rome -o november.csv`
    """
    with usage():
        period = periods.period(start, end, month, tz)
    wanted = _filter(period, paid, status, type=type_, label_prefix=label_prefix, metadata=metadata)
    client: Client = ctx.obj
    with output.progress(output_file) as show:
        parts = client.export_invoices(
            order=_order(paid, label_prefix, not newest_first, by_default=True),
            time_zone=period.zone_name,
            on_progress=show,
            **wanted,
        )
        output.write(parts, output_file)


def report(
    ctx: typer.Context,
    start: From = None,
    end: To = None,
    month: Month = None,
    by: Annotated[
        Grouping, typer.Option(metavar="GROUP", help="Group payments by type, day or key.")
    ] = Grouping.TYPE,
    tz: Tz = None,
    json_: Json = False,
) -> None:
    """Report the payments of a period: their number and sum, by type, day or key.

    Without --from, --to and --month: the current month. With --from only: until now.

    Example: `till report --month 2026-11 --by day --tz Europe/Rome`
    """
    with usage():
        period = periods.period(start, end, month, tz) if start or end or month else periods.this_month(tz)
    if not period.start:
        raise typer.BadParameter("--to needs --from")
    until = period.end or datetime.now(UTC).astimezone(period.zone)
    client: Client = ctx.obj
    found = client.report(period.start, until, by=by, time_zone=period.zone_name)
    display.print_report(found, Period(period.start, until, period.zone), by, json_)


def _filter(period: Period, paid: bool, status: list[ListedStatus] | None, **others: Any) -> InvoiceFilter:
    if paid and status:
        raise typer.BadParameter("pass either --paid or --status")
    times: InvoiceFilter = (
        {"paid_from": period.start, "paid_to": period.end, "statuses": ["paid"]}
        if paid
        else {"created_from": period.start, "created_to": period.end, "statuses": status}
    )
    return cast("InvoiceFilter", times | others)


def _order(paid: bool, label_prefix: str | None, oldest_first: bool, by_default: bool) -> Order | None:
    if label_prefix:
        if oldest_first is not by_default:
            raise typer.BadParameter("--label-prefix orders by label; omit the other order")
        return None
    if oldest_first:
        return Order.PAID_ASC if paid else Order.CREATED_ASC
    return Order.PAID_DESC if paid else Order.CREATED_DESC
