"""tilld run: take payments."""

import os
import shutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tilld.cli.options import Database, DataDir, LightningRpc
from tilld.config import Config
from tilld.errors import OperatorError

if TYPE_CHECKING:
    from tilld.app import Running


def run(
    lightning_rpc: LightningRpc = None,
    database: Database = None,
    data_dir: DataDir = None,
    grpc: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Address for gRPC. [TILLD_GRPC; default: 127.0.0.1:50051]"),
    ] = None,
    rest: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address for JSON REST, gRPC and gRPC-Web by Envoy. [TILLD_REST; default: 127.0.0.1:8080]",
        ),
    ] = None,
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
    config.prepare_grpc()
    # Loads grpc, which reads its experiments from the environment at that moment.
    import uvloop

    from tilld import app as till
    from tilld import logs

    logs.configure(config.log_level, config.log_format)
    uvloop.run(till.run(config, lambda running: typer.echo(_announcement(config, running))))


def _announcement(config: Config, running: "Running") -> str:
    is_play_money = config.lightning_rpc is None
    where = "" if running.rpc_file == Config.load().simulated_rpc_file else f" --rpc-file {running.rpc_file}"
    lines = ["", "Till is running. Ctrl-C stops it.", ""]
    if running.rest:
        lines.append(f"  JSON REST, server-sent events, gRPC, gRPC-Web   http://{running.rest}")
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


def _this_program() -> str:
    return "tilld" if shutil.which("tilld") else os.path.relpath(sys.argv[0])
