"""The commands `tilld run` and `tilld envoy`, which serve until Ctrl-C."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from tilld.config import Address, Config

if TYPE_CHECKING:
    from tilld.app import Running


def run(config: Config) -> None:
    """Run Till until Ctrl-C: gRPC, and JSON REST by Envoy."""
    _prepare(config)
    import uvloop

    from tilld import app as till

    with _announcing() as announce:
        uvloop.run(till.run(config, lambda running: announce(_announcement(config, running))))


def envoy(config: Config) -> None:
    """Run only Envoy, until Ctrl-C, in front of several tilld that share a PostgreSQL database and a node.

    Start each tilld with 'tilld run --no-rest'.
    """
    _prepare(config)
    import uvloop

    from tilld.envoy import standalone

    with _announcing() as announce:
        uvloop.run(standalone.run(config, lambda rest: announce(_announcement_of_envoy(config, rest))))


def _prepare(config: Config) -> None:
    """Set up grpc, output and log. tilld.app imports grpc, so this must come first."""
    config.prepare_grpc()
    from tilld.runtime import logs, output

    output.protect_stdout()
    logs.configure(config.log_level, config.log_format, colors=config.colors)


@contextmanager
def _announcing() -> Iterator[Callable[[str], None]]:
    """Yield a function that prints the banner before the log lines of the start."""
    from tilld.runtime import logs

    with logs.held_back() as release:

        def announce(text: str) -> None:
            typer.echo(text)
            release()

        yield announce


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
        lines += [
            "",
            "The node is simulated: this is play money. Connect a real node with --lightning-rpc PATH.",
        ]
    if running.rest:
        body = '{"msat": 5000, "metadata": {"type": "shop"}}'
        # Some shells expand the brackets of an IPv6 address, so the URL is quoted.
        url = shlex.quote(f"{_url(config, running.rest.dialled)}/lightning/invoice/create")
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
