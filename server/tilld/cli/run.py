"""tilld run, tilld envoy: serve until Ctrl-C."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilld.cli.options import (
    CorsOrigin,
    Database,
    DataDir,
    LightningRpc,
    Rest,
    TlsCert,
    TlsClientCa,
    TlsKey,
)
from tilld.config import Address, Config
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
    rest: Rest = None,
    wait_for_node: Annotated[
        bool,
        typer.Option(
            "--wait-for-node",
            help="At the start, wait until lightningd has made its socket. [TILLD_WAIT_FOR_NODE]",
        ),
    ] = False,
    no_rest: Annotated[bool, typer.Option("--no-rest", help="Do not start Envoy. [TILLD_NO_REST]")] = False,
    allow_anonymous: Annotated[
        bool,
        typer.Option(
            "--allow-anonymous",
            help="Without keys, let everybody call who can reach an address that is not on loopback. "
            "[TILLD_ALLOW_ANONYMOUS]",
        ),
    ] = False,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
    cors_origin: CorsOrigin = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address for metrics, which Prometheus asks for. [TILLD_METRICS; default: none]",
        ),
    ] = None,
) -> None:
    """Run Till: take payments until Ctrl-C.

    Further settings, by environment: TILLD_LOG_LEVEL (debug, info, warning, error),
    TILLD_LOG_FORMAT (text, json), TILLD_HEARTBEAT_SECONDS, TILLD_GRACE_SECONDS; what each key may have:
    TILLD_KEY_CREATES_PER_SECOND, TILLD_KEY_OPEN_INVOICES, TILLD_KEY_WATCHES; what each key with the
    scope payouts may spend: TILLD_KEY_PAYOUT_MSAT, TILLD_KEY_PAYOUTS_MSAT_PER_DAY (0: any sum), and
    TILLD_ALLOW_INVREQ_DISABLE (true: it may disable invoice requests, which can stop lightningd). Traces
    go to OTEL_EXPORTER_OTLP_ENDPOINT, if it is set.
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
        wait_for_node=wait_for_node or None,
        allow_anonymous=allow_anonymous or None,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        cors_origin=cors_origin or None,
        metrics=metrics,
    )
    _prepare(config)
    import uvloop

    from tilld import app as till

    uvloop.run(till.run(config, lambda running: typer.echo(_announcement(config, running))))


def envoy(
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where a tilld listens for gRPC; give it once for each. "
            "[TILLD_UPSTREAM, with commas between; default: 127.0.0.1:50051]",
        ),
    ] = None,
    upstream_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="Speak TLS to them: one of these must have signed their certificates, for the hosts above. "
            "--tls-cert is shown to them. [TILLD_UPSTREAM_CA]",
        ),
    ] = None,
    rest: Rest = None,
    data_dir: DataDir = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
    cors_origin: CorsOrigin = None,
) -> None:
    """Run Envoy alone, in front of several tilld that share a PostgreSQL and a node, until Ctrl-C.

    Each of them runs by 'tilld run --no-rest'.
    """
    config = Config.load(
        upstream=upstream or None,
        upstream_ca=upstream_ca,
        rest=rest,
        data_dir=data_dir,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        cors_origin=cors_origin or None,
    )
    _prepare(config)
    import uvloop

    from tilld import front

    uvloop.run(front.run(config, lambda rest: typer.echo(_announcement_of_envoy(config, rest))))


def _prepare(config: Config) -> None:
    """Do what must come before tilld.app is loaded, which loads grpc."""
    config.prepare_grpc()
    from tilld import commands, logs, output

    output.protect_stdout()
    logs.configure(config.log_level, config.log_format)
    commands.name_store(config)


def _announcement(config: Config, running: "Running") -> str:
    is_play_money = config.lightning_rpc is None
    where = (
        ""
        if running.rpc_file == Config.load().simulated_rpc_file
        else f" --rpc-file {shlex.quote(str(running.rpc_file))}"
    )
    lines = ["", "Till is running. Ctrl-C stops it.", ""]
    if running.rest:
        lines.append(_envoys_line(config, running.rest))
    lines.append(f"  gRPC                                            {running.grpc}")
    if running.metrics:
        lines.append(f"  metrics                                         http://{running.metrics}/metrics")
    lines.append(f"  lightningd                                      {running.rpc_file}")
    lines.append(f"  data                                            {config.data_dir}")
    if is_play_money:
        lines += ["", "The node is simulated: this is play money. --lightning-rpc PATH takes a real one."]
    if running.rest:
        body = '{"msat": 5000, "metadata": {"type": "shop"}}'
        # Some shells expand the brackets of an IPv6 address.
        url = shlex.quote(f"{_url(config, running.rest)}/lightning/invoice/create")
        lines += [
            "",
            "Create an invoice:",
            "",
            f"  curl {url} -d '{body}'",
        ]
        if is_play_money:
            lines += ["", "Pay it:", "", f"  {_this_program()} node pay PAYREQ{where}"]
    return "\n".join([*lines, ""])


def _announcement_of_envoy(config: Config, rest: Address) -> str:
    lines = ["", "Envoy is running. Ctrl-C stops it.", "", _envoys_line(config, rest)]
    lines += [f"  in front of tilld at                            {each}" for each in config.upstream]
    lines.append(f"  data                                            {config.data_dir}")
    return "\n".join([*lines, ""])


def _envoys_line(config: Config, rest: Address) -> str:
    return f"  JSON REST, server-sent events, gRPC, gRPC-Web   {_url(config, rest)}"


def _url(config: Config, rest: Address) -> str:
    return f"{'https' if config.tls_cert else 'http'}://{rest}"


def _this_program() -> str:
    return "tilld" if shutil.which("tilld") else shlex.quote(os.path.relpath(sys.argv[0]))
