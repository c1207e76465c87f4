"""The commands `tilld node`, which run and use the simulated lightningd."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from till_cli.app import App
from tilld.config import Config
from tilld.errors import OperatorError

app = App(help="Run the simulated lightningd, and pay invoices with its play money.")


@app.command()
def simulate(
    rpc_file: Annotated[Path, typer.Option(metavar="PATH", help="Unix socket to listen on.")],
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="File for the node's invoices and payments. Without it, they are lost when the node stops.",
        ),
    ] = None,
    peer: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Socket of another simulated node, to exchange invoice requests with. "
            "Each node must name the other. Repeat the flag for each peer.",
        ),
    ] = None,
    limit_messages: Annotated[
        bool,
        typer.Option(
            "--limit-messages",
            help="Limit messages as lightningd does: from each peer a burst of 4, then 4 per second. "
            "The others are dropped.",
        ),
    ] = False,
    payment_seconds: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Duration of a payment, in seconds. [TILLD_SIMULATED_PAYMENT_SECONDS; default: 0.5]",
        ),
    ] = None,
) -> None:
    """Run the simulated lightningd, without Till, until Ctrl-C."""
    import uvloop

    from lightningd_simulator import NodeAborted, serve

    seconds = Config.load(simulated_payment_seconds=payment_seconds).simulated_payment_seconds

    def ready() -> None:
        typer.echo(f"listening on {rpc_file}")

    try:
        uvloop.run(serve(rpc_file, state, ready, peer or [], limit_messages, seconds))
    except OSError as reason:
        raise OperatorError(
            f"cannot listen on {rpc_file} ({reason.strerror or reason}); give another path"
        ) from None
    except (ValueError, NodeAborted) as reason:
        raise OperatorError(str(reason)) from None


@app.command()
def pay(
    bolt11: Annotated[
        str, typer.Argument(metavar="BOLT11", help="Payment request of the invoice: its bolt11, or payreq.")
    ],
    amount_msat: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Amount in millisatoshi, if the invoice has none."),
    ] = None,
    rpc_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Socket of the simulated node. [default: lightning-rpc in the data directory, .till]",
        ),
    ] = None,
) -> None:
    """Pay an invoice on the simulated node, with play money."""
    from tilld.lightningd.play_money import pay as pay_on
    from tilld.runtime import logs

    logs.configure("error", "text")
    paid_msat = asyncio.run(pay_on(rpc_file or Config.load().simulated_rpc_file, bolt11, amount_msat))
    typer.echo(f"paid {paid_msat} msat")
