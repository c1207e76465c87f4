"""The commands of `till`."""

import json
import sys
from typing import Annotated, Any

import typer

from till import requests, results
from till.client import Client
from till.results import Invoice, Status
from till_cli import amount, display

# The key in the context for --json, which errors read too.
JSON = "till.json"
# The exit code if the invoice can no longer be paid.
NOT_PAID = 3


def _remember(ctx: typer.Context, wanted: bool) -> bool:
    # The option may also precede the command.
    wanted = wanted or ctx.meta.get(JSON, False)
    ctx.meta[JSON] = wanted
    return wanted


def _metadata(text: str) -> str:
    """Return the text as typed: parsing changes numbers that a float cannot hold."""
    try:
        text.encode()
        parsed = json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise typer.BadParameter("expected a JSON object, such as '{\"order\": 17}'")
    return text.strip()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _with_type(metadata: str, type_: str | None) -> str:
    """Return metadata with its type. Raise typer.BadParameter if --type and --metadata both have one."""
    names = json.loads(metadata, parse_int=str, parse_float=str)
    if "type" not in names:
        comma = ", " if names else ""
        return f'{{"type": {json.dumps("till" if type_ is None else type_)}{comma}{metadata[1:].lstrip()}'
    if type_ is not None:
        raise typer.BadParameter("the type is in --type and in --metadata; pass it once")
    return metadata


def _amount(text: str) -> int:
    try:
        return amount.parse(text)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None


def _channels(text: str) -> bool | list[str]:
    whole = {"all": True, "none": False}
    return whole[text] if text in whole else text.split(",")


Json = Annotated[
    bool, typer.Option("--json", callback=_remember, help="Print JSON, one object per line; errors too.")
]
InvoiceId = Annotated[str, typer.Argument(metavar="ID", help="The invoice_id.")]


def create(
    ctx: typer.Context,
    amount_msat: Annotated[
        Any | None,
        typer.Argument(metavar="AMOUNT", parser=_amount, help=f"Amount, exact: {amount.FORMS}."),
    ] = None,
    any_amount: Annotated[bool, typer.Option("--any", help="The payer chooses the amount.")] = False,
    type_: Annotated[
        str | None,
        typer.Option(
            "--type", metavar="TEXT", help="Name of your application, in the metadata. [default: till]"
        ),
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="Text for the payer.")] = None,
    metadata: Annotated[
        Any | None,
        typer.Option(metavar="JSON", parser=_metadata, help="JSON object, returned with the invoice."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Your unique name of the invoice; a repeated create returns the same invoice.",
        ),
    ] = None,
    expiry: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=1, help="Seconds until the invoice expires. [default: 3600]"),
    ] = None,
    private_channels: Annotated[
        Any | None,
        typer.Option(
            metavar="WHICH",
            parser=_channels,
            help="Private channels to name as route hints: all, none, or short channel IDs such as "
            "103x1x0,104x2x1. [default: lightningd chooses]",
        ),
    ] = None,
    description_hash_only: Annotated[
        bool,
        typer.Option(
            "--description-hash-only",
            help="Put only the SHA-256 of the description into the payment request, as LNURL-pay requires.",
        ),
    ] = False,
    webhook_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where to post the event of the final state, as a webhook."),
    ] = None,
    watch_it: Annotated[
        bool, typer.Option("--watch", help="Watch until the invoice is paid, expired or canceled.")
    ] = False,
    qr: Annotated[
        bool | None, typer.Option(help="Draw a QR code. [default: on a terminal]", show_default=False)
    ] = None,
    json_: Json = False,
) -> None:
    """Create an invoice; print its payment request, and its QR code on a terminal."""
    if any_amount == (amount_msat is not None):
        raise typer.BadParameter(f"pass either --any or an amount: {amount.FORMS}")
    client: Client = ctx.obj
    request = requests.create(
        amount_msat,
        {},
        description,
        label,
        expiry,
        False,
        private_channels,
        description_hash_only,
        webhook_url,
    )
    request.metadata = _with_type(metadata or "{}", type_)
    invoice = results.created(client.call(client.invoices.CreateInvoice, request, again=True))
    if json_:
        display.print_json(invoice)
    elif invoice.status.is_final:
        # An earlier create had this label. The payment request can no longer be paid.
        typer.echo(f"the invoice with this label is {invoice.status}: {invoice.invoice_id}", err=True)
    else:
        display.print_payment_request(invoice, sys.stdout.isatty() if qr is None else qr)
    if watch_it:
        _watch(client, invoice, json_, printed=invoice)
    else:
        _exit_by(invoice)


def get(
    ctx: typer.Context,
    invoice_id: Annotated[str | None, typer.Argument(metavar="ID", help="The invoice_id.")] = None,
    id_: Annotated[str | None, typer.Option("--id", metavar="ID", help="The internal ID.")] = None,
    label: Annotated[str | None, typer.Option(metavar="TEXT", help="The label.")] = None,
    payment_hash: Annotated[str | None, typer.Option(metavar="HEX", help="The payment hash.")] = None,
    bolt11: Annotated[str | None, typer.Option(metavar="TEXT", help="The payment request (BOLT 11).")] = None,
    json_: Json = False,
) -> None:
    """Read an invoice by exactly one of its names."""
    if sum(name is not None for name in (invoice_id, id_, label, payment_hash, bolt11)) != 1:
        raise typer.BadParameter("pass exactly one of ID, --id, --label, --payment-hash and --bolt11")
    client: Client = ctx.obj
    invoice = client.get_invoice(invoice_id, id=id_, label=label, payment_hash=payment_hash, bolt11=bolt11)
    display.show(invoice, json_)


def cancel(ctx: typer.Context, invoice_id: InvoiceId, json_: Json = False) -> None:
    """Cancel an unpaid invoice: it can no longer be paid. A canceled invoice stays canceled."""
    client: Client = ctx.obj
    display.print_state(client.cancel_invoice(invoice_id), json_)


def watch(ctx: typer.Context, invoice_id: InvoiceId, json_: Json = False) -> None:
    """Watch an invoice until it is paid, expired or canceled. Reconnects when the connection is lost."""
    client: Client = ctx.obj
    _watch(client, client.get_invoice(invoice_id), json_)


def info(ctx: typer.Context, json_: Json = False) -> None:
    """Show the state of Till and its node, and the totals of the user."""
    client: Client = ctx.obj
    display.show(client.info(), json_)


def _watch(client: Client, invoice: Invoice, json_: bool, printed: Invoice | None = None) -> None:
    with display.live(invoice, json_) as show:
        for state in client.watch(invoice):
            if state != printed:
                show(state)
    _exit_by(state)


def _exit_by(invoice: Invoice) -> None:
    if invoice.status in {Status.EXPIRED, Status.CANCELED}:
        raise typer.Exit(NOT_PAID)
