"""tilld node: the simulated lightningd."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from till_cli.app import App
from tilld.config import Config
from tilld.errors import OperatorError

app = App(help="The simulated node: lightningd with play money.")


@app.command()
def simulate(
    rpc_file: Annotated[Path, typer.Option(metavar="PATH", help="Socket to listen on.")],
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="File that keeps its state. Without it all is forgotten at the end."
        ),
    ] = None,
    peer: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Socket of another simulated node, for invoice requests from one to the other. "
            "Each of the two names the other. May be given more than once.",
        ),
    ] = None,
    limit_messages: Annotated[
        bool,
        typer.Option(
            "--limit-messages",
            help="Drop messages as lightningd does: of each peer, more than 4 at once and then 4 a second.",
        ),
    ] = False,
    payment_seconds: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0,
            help="How long a payment takes until it arrives. [TILLD_SIMULATED_PAYMENT_SECONDS, default: 0.5]",
        ),
    ] = None,
) -> None:
    """Run the simulated lightningd alone, until Ctrl-C."""
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
    bolt11: Annotated[str, typer.Argument(metavar="BOLT11", help="The payment request: payreq or bolt11.")],
    amount_msat: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Amount in millisatoshi, for an invoice of any amount."),
    ] = None,
    rpc_file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Socket of the simulated node. [default: that of 'tilld run']"),
    ] = None,
) -> None:
    """Pay an invoice on the simulated node, with play money."""
    from tilld.lightningd.play_money import pay as pay_on
    from tilld.runtime import logs

    logs.configure("error", "text")
    paid_msat = asyncio.run(pay_on(rpc_file or Config.load().simulated_rpc_file, bolt11, amount_msat))
    typer.echo(f"paid {paid_msat} msat")
