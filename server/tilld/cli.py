"""The command line: arguments to actions."""

import asyncio
import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilld.config import Address, Config
from tilld.errors import OperatorError

if TYPE_CHECKING:
    from tilld.app import Running

app = typer.Typer(
    name="tilld",
    help="Till: a cash register for Core Lightning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
node = typer.Typer(no_args_is_help=True, help="The simulated node: lightningd with play money.")
app.add_typer(node, name="node")

DataDirOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Directory for all that Till keeps. [TILLD_DATA_DIR; default: .till]"),
]
RestOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Address for JSON REST, gRPC and gRPC-Web by Envoy. [TILLD_REST; default: 127.0.0.1:8080]",
    ),
]


def main() -> None:
    """Run the command; an error of the operator's is one line."""
    try:
        app()
    except OperatorError as error:
        print(f"tilld: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tilld {version('lightning-till')}")
        raise typer.Exit


@app.callback()
def _tilld(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    lightning_rpc: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            # Whether it can be reached is told by us, in one line.
            readable=False,
            help="Socket of your lightningd, such as ~/.lightning/bitcoin/lightning-rpc. "
            "Without it a simulated node with play money is started. [TILLD_LIGHTNING_RPC]",
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where invoices are kept: sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME. "
            "[TILLD_DATABASE; default: till.db in the data directory]",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    grpc: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Address for gRPC. [TILLD_GRPC; default: 127.0.0.1:50051]"),
    ] = None,
    rest: RestOption = None,
    no_rest: Annotated[bool, typer.Option("--no-rest", help="Do not start Envoy. [TILLD_NO_REST]")] = False,
) -> None:
    """Run Till: take payments until Ctrl-C.

    Further settings, by environment: TILLD_LOG_LEVEL (debug, info, warning, error),
    TILLD_LOG_FORMAT (text, json), TILLD_HEARTBEAT_SECONDS, TILLD_GRACE_SECONDS.
    """
    if rest and no_rest:
        raise OperatorError("--rest and --no-rest exclude each other: give one")
    config = Config.load(
        lightning_rpc=lightning_rpc,
        database=database,
        data_dir=data_dir,
        grpc=grpc,
        rest=rest,
        no_rest=no_rest or None,
    )
    _prepare(config)
    import uvloop

    from tilld import app as till

    uvloop.run(till.run(config, lambda running: typer.echo(_announcement(config, running))))


@app.command()
def envoy(
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where a tilld listens for gRPC; give it once for each. "
            "[TILLD_UPSTREAM, with commas between; default: 127.0.0.1:50051]",
        ),
    ] = None,
    rest: RestOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Run Envoy alone, in front of several tilld that share a PostgreSQL and a node, until Ctrl-C.

    Each of them runs by 'tilld run --no-rest'.
    """
    config = Config.load(upstream=upstream or None, rest=rest, data_dir=data_dir)
    _prepare(config)
    import uvloop

    from tilld import app as till

    uvloop.run(till.run_envoy(config, lambda rest: typer.echo(_announcement_of_envoy(config, rest))))


@node.command()
def simulate(
    rpc_file: Annotated[Path, typer.Option(metavar="PATH", help="Socket to listen on.")],
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="File that keeps its state. Without it all is forgotten at the end."
        ),
    ] = None,
) -> None:
    """Run the simulated lightningd alone, until Ctrl-C."""
    import uvloop

    from tilld.simulator import serve

    try:
        uvloop.run(serve(rpc_file, state, lambda: typer.echo(f"listening on {rpc_file}")))
    except OSError as reason:
        raise OperatorError(f"{rpc_file} cannot be listened on: {reason.strerror or reason}") from None
    except ValueError as reason:
        raise OperatorError(str(reason)) from None


@node.command()
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
    from tilld import logs
    from tilld.play_money import pay as pay_on

    logs.configure("error", "text")
    paid_msat = asyncio.run(pay_on(rpc_file or Config.load().simulated_rpc_file, bolt11, amount_msat))
    typer.echo(f"paid {paid_msat} msat")


def _prepare(config: Config) -> None:
    """Do what must come before tilld.app is loaded, which loads grpc."""
    config.prepare_grpc()
    from tilld import logs

    logs.configure(config.log_level, config.log_format)


def _announcement(config: Config, running: "Running") -> str:
    is_play_money = config.lightning_rpc is None
    where = "" if running.rpc_file == Config.load().simulated_rpc_file else f" --rpc-file {running.rpc_file}"
    lines = ["", "Till is running. Ctrl-C stops it.", ""]
    if running.rest:
        lines.append(_envoys_line(running.rest))
    lines.append(f"  gRPC                                            {running.grpc}")
    lines.append(f"  lightningd                                      {running.rpc_file}")
    lines.append(f"  data                                            {config.data_dir}")
    if is_play_money:
        lines += ["", "The node is simulated: this is play money. --lightning-rpc PATH takes a real one."]
    if running.rest:
        body = '{"msat": 5000, "metadata": {"type": "shop"}}'
        lines += [
            "",
            "Create an invoice:",
            "",
            f"  curl http://{running.rest}/lightning/invoice/create -d '{body}'",
        ]
        if is_play_money:
            lines += ["", "Pay it:", "", f"  {_this_program()} node pay PAYREQ{where}"]
    return "\n".join([*lines, ""])


def _announcement_of_envoy(config: Config, rest: Address) -> str:
    lines = ["", "Envoy is running. Ctrl-C stops it.", "", _envoys_line(rest)]
    lines += [f"  in front of tilld at                            {each}" for each in config.upstream]
    lines.append(f"  data                                            {config.data_dir}")
    return "\n".join([*lines, ""])


def _envoys_line(rest: Address) -> str:
    return f"  JSON REST, server-sent events, gRPC, gRPC-Web   http://{rest}"


def _this_program() -> str:
    return "tilld" if shutil.which("tilld") else os.path.relpath(sys.argv[0])


if __name__ == "__main__":
    main()
