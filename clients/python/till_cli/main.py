"""The command line of `till`: its options, and its error messages."""

import json
import os
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperOption

from till import errors
from till.client import Client
from till.connection import ADDRESS, TIMEOUT_SECONDS
from till_cli import commands, lists, webhooks
from till_cli import events as event_commands
from till_cli.app import App, Group

HINTS = {
    errors.ConnectionLost: "Is Till running at {address}? If not, set --address or TILL_ADDRESS. "
    "If Till serves TLS, pass --tls or --ca.",
    errors.Unauthenticated: "Set TILL_KEY, or pass --key-file. "
    "To create a key: tilld key create --username NAME",
    errors.TookTooLong: "Increase --timeout, or try again later.",
    errors.NoSuchMethod: "This Till is older than the command; upgrade it.",
}


class Till(Group):
    """The commands. An error is one line, and a hint what to do next."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept the options of till itself before and after the command."""
        return super().parse_args(ctx, self._ours_first(args))

    def _ours_first(self, args: list[str]) -> list[str]:
        # Eager options, such as --help, belong to the command before them.
        options = [each for each in self.params if isinstance(each, TyperOption) and not each.is_eager]
        is_flag = {name: option.is_flag for option in options for name in option.opts}
        ours: list[str] = []
        others: list[str] = []
        left = iter(args)
        for arg in left:
            if arg == "--":
                others += [arg, *left]
            elif (name := arg.partition("=")[0]) in is_flag:
                ours += [arg] if is_flag[name] or "=" in arg else [arg, *islice(left, 1)]
            else:
                others.append(arg)
        return ours + others

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except errors.Error as error:
            if ctx.meta.get(commands.JSON):
                typer.echo(json.dumps({"error": error.code, "message": error.message}), err=True)
            else:
                hint = HINTS.get(type(error), "").format(address=ctx.params["address"])
                typer.echo(f"till: {error}\n{hint}".rstrip(), err=True)
            raise typer.Exit(1) from None


app = App(
    cls=Till,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
invoice = App(help="Create, find, cancel and export invoices.")
invoice.command()(commands.create)
invoice.command()(commands.get)
invoice.command("list")(lists.list_)
invoice.command()(commands.cancel)
invoice.command()(lists.export)
app.add_typer(invoice, name="invoice")
events = App(no_args_is_help=False)
events.callback(invoke_without_command=True)(event_commands.events)
events.command("forward")(event_commands.forward_)
app.add_typer(events, name="events")
webhook = App(help="Create, test, repair and delete webhooks, which post events to a URL.")
webhook.command()(webhooks.create)
webhook.command("list")(webhooks.list_)
webhook.command()(webhooks.show)
webhook.command()(webhooks.update)
webhook.command()(webhooks.delete)
webhook.command()(webhooks.rotate)
webhook.command("test")(webhooks.ping)
webhook.command()(webhooks.deliveries)
webhook.command()(webhooks.redeliver)
webhook.command()(webhooks.replay)
app.add_typer(webhook, name="webhook")
app.command()(commands.watch)
app.command()(lists.report)
app.command()(commands.info)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"till {version('lightning-till-client')}")
        raise typer.Exit


def _file(help_: str, variable: str) -> Any:
    return typer.Option(
        metavar="FILE", exists=True, dir_okay=False, readable=True, envvar=variable, help=help_
    )


@app.callback()
def _till(
    ctx: typer.Context,
    address: Annotated[
        str, typer.Option(metavar="HOST:PORT", envvar="TILL_ADDRESS", help="Address of Till's gRPC.")
    ] = ADDRESS,
    key_file: Annotated[
        Path | None, _file("File with the key, if TILL_KEY is not set.", "TILL_KEY_FILE")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", envvar="TILL_TLS", help="Use TLS.")] = False,
    ca: Annotated[
        Path | None,
        _file("Use TLS, and trust only the certificate authorities in this file (PEM).", "TILL_CA"),
    ] = None,
    cert: Annotated[
        Path | None, _file("Use TLS, and present this client certificate (PEM).", "TILL_CERT")
    ] = None,
    cert_key: Annotated[Path | None, _file("Private key of --cert (PEM).", "TILL_CERT_KEY")] = None,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, envvar="TILL_TIMEOUT", help="Time limit of a call, with its retries."
        ),
    ] = TIMEOUT_SECONDS,
    allow_plaintext_key: Annotated[
        bool,
        typer.Option(
            "--allow-plaintext-key",
            envvar="TILL_ALLOW_PLAINTEXT_KEY",
            help="Send the key without TLS beyond this machine, too.",
        ),
    ] = False,
    json_: commands.Json = False,
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """Till takes payments over Lightning: create an invoice, show it, watch it until it is paid.

    The key comes from the environment variable **TILL_KEY** or from --key-file. It is no option, since other
    users of this machine can read command lines. Options may also follow the command:
    `till info --address HOST:PORT`.

    Exit codes: 0 success; 1 an error; 2 wrong usage; 3 the invoice expired or was canceled; 130 Ctrl-C.
    """
    if (cert is None) != (cert_key is None):
        raise typer.BadParameter("--cert and --cert-key belong together; pass both")
    key = os.environ.get("TILL_KEY") or (key_file.read_text() if key_file else "")
    pair = (cert, cert_key) if cert and cert_key else None
    try:
        client = Client(
            address,
            key,
            tls=tls,
            ca=ca,
            cert=pair,
            timeout=timeout,
            allow_plaintext_key=allow_plaintext_key,
        )
    except ValueError as wrong:
        raise typer.BadParameter(f"TILL_KEY or --key-file: {wrong}") from None
    ctx.obj = ctx.with_resource(client)
