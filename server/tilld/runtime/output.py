"""Standard output and error: what is written beside the work never ends or stops it."""

import io
import os
import select
import sys
import time
from typing import Any, TextIO

from tilld.errors import OperatorError

# A reader that is merely slow gets this long, once; after a loss no line waits until one is taken again.
PATIENCE_SECONDS = 0.1


class Output(io.RawIOBase):
    """A file descriptor whose writes never raise and never block for long.

    `lost` counts the writes that failed: on a full disk, or to a pipe that is closed or that nobody reads.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self.lost = 0
        # How many of these the last line that got through could tell of.
        self.told = 0

    @property
    def untold(self) -> int:
        """How many were lost since the last one that was written."""
        return self.lost - self.told

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write all of it, or lose it. Returns its size either way."""
        try:
            self._write(memoryview(data))
        except OSError:
            self.lost += 1
        else:
            self.told = self.lost
        return len(data)

    def _write(self, left: memoryview) -> None:
        until = time.monotonic() + (0 if self.untold else PATIENCE_SECONDS)
        while left:
            if not self._poll.poll(max(until - time.monotonic(), 0) * 1000):
                raise BlockingIOError
            left = left[os.write(self._descriptor, left[: select.PIPE_BUF]) :]

    def writable(self) -> bool:
        """Whether it is for writing."""
        return True

    def fileno(self) -> int:
        """The file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)


class _Result(io.FileIO):
    """A file descriptor for what the user asked for: where it cannot be written, the program fails."""

    def write(self, data: Any) -> int:
        """Write all of it.

        Raises OperatorError, but BrokenPipeError where the reader has seen enough.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[super().write(left) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OperatorError(
                f"standard output cannot be written ({error.strerror}); the result is lost"
            ) from None
        return len(data)


def prepare() -> None:
    """Set up both for a command: its result on standard output, all else on standard error."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Or the next file that is opened, such as the store, would take its place.
            os.open(os.devnull, os.O_RDONLY)
    sys.stdout = _text(_Result(1, "w", closefd=False))
    stderr()


def stderr() -> Output:
    """Make standard error an Output, for log, progress and errors; returns it, the same one each time."""
    raw = getattr(sys.stderr, "buffer", None)
    if not isinstance(raw, Output):
        raw = Output(2)
        sys.stderr = _text(raw)
    return raw


def protect_stdout() -> None:
    """Make standard output an Output: for a program that says on it that it runs, and no more."""
    sys.stdout = _text(Output(1))


def _text(raw: io.RawIOBase) -> TextIO:
    # For TextIOWrapper a raw file is as good as a buffered one, where each write is passed through.
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)  # type: ignore[type-var]
