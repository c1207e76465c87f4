"""Progress of long work: a bar on a terminal, otherwise log events."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog

from tilld.config import USUAL, Intervals

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

log = structlog.get_logger()


class Progress:
    """Shows the progress of the work in its context, out of `total`, once it takes longer than 2 s."""

    def __init__(self, doing: str, total: int, intervals: Intervals = USUAL) -> None:
        self._quiet_seconds = intervals.quiet_seconds
        self._doing = doing
        self._total = total
        self._started = self._told = time.monotonic()
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, reason: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def at(self, done: int) -> None:
        """Report that `done` of the total are finished."""
        now = time.monotonic()
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=done)
        elif now - self._told >= self._quiet_seconds and done < self._total:
            if sys.stderr.isatty():
                self._bar = _bar(self._doing, done, self._total)
            else:
                self._told = now
                rate = round(done / (now - self._started))
                log.info(self._doing, done=done, of=self._total, per_second=rate)


def _bar(doing: str, done: int, total: int) -> "Bar":
    # Imported only here, since it is slow and rarely needed.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(doing, completed=done, total=total)
    bar.start()
    return bar
