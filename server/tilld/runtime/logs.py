"""Structured logs on standard error: a line is an event with fields."""

import logging
import sys
from typing import TextIO, cast

import structlog

from tilld.runtime import output


class _StandardError:
    """Standard error as it is at the moment: while a progress bar is shown, lines go above it."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(level: str, form: str, to: TextIO | None = None) -> None:
    """Log from a level on, as "text" for people or as "json" for machines; by default to standard error."""
    standard_error = output.stderr()

    def count_lost(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if to is None and standard_error.untold:
            event["lines_lost"] = standard_error.untold
        return event

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
            count_lost,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(to or cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )
