"""The benchmark program: `python -m benchmarks --help`."""

import gc
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
import uvloop

from benchmarks import table
from benchmarks.bench import Bench, Workload
from benchmarks.load import has_h2load
from benchmarks.processes import Cores, pin
from benchmarks.workloads import ALL
from tilld.errors import OperatorError
from tilld.runtime import logs

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    epilog="Workloads: " + "; ".join(f"{each.name} ({each.about})" for each in ALL)
    + ". CPU time is user and system time per request; memory is resident memory after the round."
)  # fmt: skip
def main(
    workloads: Annotated[
        list[str] | None, typer.Argument(metavar="[WORKLOAD]...", help="Workloads to run. [default: all]")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each row, in turn.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.2, help="Duration of each load.")] = 5.0,
    rows: Annotated[int, typer.Option(min=2000, help="Invoices in the large store.")] = 1_000_000,
    watchers: Annotated[int, typer.Option(min=1000, max=10_000, help="Idle watchers.")] = 10_000,
    output: Annotated[Path, typer.Option(metavar="FILE", help="File for the figures, as JSON.")] = Path(
        ".bench/latest.json"
    ),
    directory: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Directory on the disk to measure; its temporary files are removed."
        ),
    ] = Path(".bench"),
    lightning_rpc: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Socket of a lightningd for tests: thousands of invoices stay on the node."
        ),
    ] = None,
    postgresql: Annotated[
        str | None,
        typer.Option(metavar="URL", help="An empty PostgreSQL database, which the benchmark fills."),
    ] = None,
    pinned: Annotated[
        bool, typer.Option(help="Servers on one core, the rest on the others, if there are several.")
    ] = True,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Only check that everything runs: small stores, short loads, one round."
        ),
    ] = False,
) -> None:
    """Measure the cost of Till, beside the lowest possible cost."""
    unknown = set(workloads or ()) - {each.name for each in ALL}
    if unknown:
        sys.exit(f"no such workload: {', '.join(sorted(unknown))}; --help lists them")
    if sys.platform != "linux":
        sys.exit("the benchmark reads /proc, so it runs on Linux only")
    if not has_h2load():
        sys.exit("h2load is missing; install it, for example with apt install nghttp2-client")
    if quick:
        rounds, seconds, rows, watchers = 1, 0.5, 20_000, 2000
    logs.configure("info", "text")
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.resolve(), ignore_cleanup_errors=True) as scratch:
        cores = Cores.apart() if pinned else Cores()
        bench = Bench(Path(scratch), rounds, seconds, rows, watchers, cores, lightning_rpc, postgresql)
        bench.run.about = _about(bench)
        chosen = [each for each in ALL if not workloads or each.name in workloads]
        try:
            uvloop.run(_run(bench, chosen, are_named=bool(workloads)))
        except OperatorError as reason:
            sys.exit(str(reason))
        finally:
            if bench.run.rows:
                bench.run.save(output)
    typer.echo(f"{table.of_run(bench.run)}\n\nThe figures are in {output}.")


async def _run(bench: Bench, workloads: list[Workload], *, are_named: bool) -> None:
    pin(os.getpid(), bench.cores.clients)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.freeze()
    for workload in workloads:
        try:
            await workload.run(bench)
        except OperatorError as reason:
            why = f"{workload.name}: {reason}"
            if are_named:
                raise OperatorError(why) from None
            bench.run.left_out.append(why)


def _about(bench: Bench) -> dict[str, Any]:
    command = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "rounds": bench.rounds,
        "seconds": bench.seconds,
        "rows": bench.rows,
        "watchers": bench.watchers,
        "pinned": bench.cores.servers is not None,
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.machine()}",
    }


if __name__ == "__main__":
    app()
