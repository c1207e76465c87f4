"""Structured logs on standard error: each line is an event with fields."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict

from tilld.config.service_manager import is_journal
from tilld.runtime import output

# Wide enough for most events, so that their fields are aligned.
EVENT_COLUMNS = 28
QUIET = ("debug", "info")
# Priorities of the journal (sd-daemon(3)), for `journalctl -p`.
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}
COLORS = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m"}
DIM, RESET = "\x1b[2m", "\x1b[0m"


class _StandardError:
    """The current sys.stderr. A progress bar replaces it, to print lines above the bar."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _Lines:
    """A processor that can hold back lines below the level warning."""

    def __init__(self) -> None:
        self._held: list[str] | None = None

    def __call__(self, _: object, name: str, line: Any) -> Any:
        if self._held is None:
            return line
        self._held.append(line)
        if name in QUIET:
            raise structlog.DropEvent
        lines, self._held = self._held, []
        return "\n".join(lines)

    def hold(self) -> None:
        self._held = []

    def release(self) -> None:
        held, self._held = self._held, None
        for line in held or ():
            _StandardError().write(f"{line}\n")


_lines = _Lines()


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Hold back lines below warning, on a terminal, until the yielded function is called or the context ends.

    So the banner is printed before the log lines of the start.
    """
    _lines.hold()
    try:
        yield _lines.release
    finally:
        _lines.release()


def configure(level: str, form: str, to: TextIO | None = None, *, colors: bool = False) -> None:
    """Log events of `level` and above, as "text" or "json", to standard error or `to`.

    On a terminal, text is aligned, and has colors if `colors` is true.
    """
    standard_error = output.stderr()

    def count_lost(_: object, __: str, event: EventDict) -> EventDict:
        if to is None and standard_error.untold:
            event["lines_lost"] = standard_error.untold
        return event

    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    renderers: list[structlog.typing.Processor]
    if form == "json":
        renderers = [structlog.processors.JSONRenderer()]
    elif to is None and sys.stderr.isatty():
        # On a terminal the local time is enough; the date is today's.
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        renderers = [_in_colors if colors else _aligned, _lines]
    else:
        # Without a terminal, alignment would only take time.
        renderers = [structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])]
    if to is None and is_journal(standard_error.fileno()):
        renderers.append(lambda _, name, line: f"<{PRIORITIES[name]}>{line}")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            count_lost,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(to or cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )


def _aligned(_: object, __: str, event: EventDict) -> str:
    return _line(event, "", "", "")


def _in_colors(_: object, __: str, event: EventDict) -> str:
    return _line(event, COLORS.get(event["level"], ""), DIM, RESET)


def _line(event: EventDict, color: str, dim: str, reset: str) -> str:
    time, level, name = (event.pop(key) for key in ("timestamp", "level", "event"))
    trace = event.pop("exception", "")
    fields = " ".join(f"{dim}{key}={reset}{_shown(value)}" for key, value in event.items())
    begin = f"{dim}{time}{reset} {color}{level:<7}{reset if color else ''}"
    return f"{begin} {name:<{EVENT_COLUMNS}} {fields}".rstrip() + (f"\n{trace}" if trace else "")


def _shown(value: object) -> str:
    text = str(value)
    # Quoted, a caller's text can neither move the cursor nor look like another field.
    return text if text.isprintable() and text and not set(text) & set(" \"'=") else repr(value)
