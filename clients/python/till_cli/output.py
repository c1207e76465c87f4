"""Output of exports: progress on standard error, and files that are complete or unchanged."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from till.errors import Error

# Seconds between two updates of a progress line.
PACE_SECONDS = 0.1


@contextmanager
def progress(file: Path | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows a number of invoices on a line of standard error, if that is a terminal.

    file: the output; None: standard output. Without an error the last number is always shown.
    """
    # On the same terminal the line would be in the middle of the output.
    is_live = sys.stderr.isatty() and bool(file or not sys.stdout.isatty())
    shown, number = 0.0, 0

    def show(now: int) -> None:
        nonlocal shown, number
        number = now
        if is_live and time.monotonic() - shown >= PACE_SECONDS:
            shown = time.monotonic()
            typer.echo(f"\rinvoices: {number:,}", nl=False, err=True)

    try:
        yield show
    except BaseException:
        if shown:
            typer.echo(err=True)
        raise
    typer.echo(("\r" if shown else "") + f"invoices: {number:,}", err=True)


def write(parts: Iterable[str], file: Path | None) -> None:
    """Write parts of a text to a file, or to standard output. A file has all parts, or stays as it was."""
    lines = (part.encode() for part in parts)
    if file is None:
        _print(lines)
        return
    try:
        _replace(file.resolve(), lines)
    except OSError as failed:
        # A lost connection is one, too.
        if isinstance(failed, Error):
            raise
        typer.echo(f"till: cannot write {file}: {failed.strerror}", err=True)
        raise typer.Exit(1) from None


def _print(lines: Iterable[bytes]) -> None:
    begun = False
    try:
        for line in lines:
            begun = True
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
    except Error:
        if begun:
            typer.echo("till: the output is incomplete", err=True)
        raise


def _replace(file: Path, lines: Iterable[bytes]) -> None:
    if file.exists() and not file.is_file():
        # A pipe or a device cannot be replaced.
        with file.open("wb") as there:
            there.writelines(lines)
        return
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    with unfinished.open("xb") as there:
        try:
            there.writelines(lines)
            there.flush()
            os.fsync(there.fileno())
            unfinished.replace(file)
        except BaseException:
            unfinished.unlink()
            raise
