"""Structured logs on standard error: a line is an event with fields."""

import logging
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog


class _StandardError:
    """Standard error as it is at the moment: while a progress bar is shown, lines go above it."""

    def write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            # A closed pipe or a full disk must not fail the work that is logged.
            self.lost += 1

    def flush(self) -> None:
        """Each write flushes."""

    lost = 0


_standard_error = _StandardError()


def lost_lines() -> int:
    """Return how many log lines could not be written since the process started."""
    return _standard_error.lost


def drop_unwritten() -> None:
    """Drop output that cannot be written; the interpreter would fail on it when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def configure(level: str, form: str, to: TextIO | None = None) -> None:
    """Log from a level on, as "text" for people or as "json" for machines; by default to standard error."""
    renderer: structlog.typing.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    elif sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    else:
        # Nobody sees the columns of the other, which take four times as long.
        renderer = structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(to or cast(TextIO, _standard_error)),
        cache_logger_on_first_use=True,
    )
