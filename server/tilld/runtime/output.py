"""Standard output and error, whose failures do not stop the program."""

import io
import os
import select
import sys
import time
from typing import Any, TextIO

from tilld.errors import OperatorError

# How long a write waits for a slow reader. After a loss no write waits until one succeeds again.
PATIENCE_SECONDS = 0.1


class Output(io.RawIOBase):
    """A file descriptor whose writes never raise, and block for at most 0.1 s.

    `lost` counts failed writes: to a full disk, a closed pipe, or a pipe without a reader.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self.lost = 0
        # The value of `lost` at the last successful write.
        self.told = 0

    @property
    def untold(self) -> int:
        """The number of writes lost since the last successful one."""
        return self.lost - self.told

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write all data, or count a loss. Return the size in both cases."""
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
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)


class _Result(io.FileIO):
    """Standard output of a command. The program fails if its result cannot be written."""

    def write(self, data: Any) -> int:
        """Write all data.

        Raises BrokenPipeError if the reader closed the pipe, else OperatorError.
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
    """Set up standard output for a command's result, and standard error for everything else."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Otherwise the next opened file, such as the store, would get this descriptor.
            os.open(os.devnull, os.O_RDONLY)
    sys.stdout = _text(_Result(1, "w", closefd=False))
    stderr()


def stderr() -> Output:
    """Replace standard error by an Output, for log, progress and errors. Return the same one each time."""
    raw = getattr(sys.stderr, "buffer", None)
    if not isinstance(raw, Output):
        raw = Output(2)
        sys.stderr = _text(raw)
    return raw


def protect_stdout() -> None:
    """Replace standard output by an Output, for a program that prints only its banner there."""
    sys.stdout = _text(Output(1))


def _text(raw: io.RawIOBase) -> TextIO:
    # With write_through, TextIOWrapper needs no buffered file.
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)  # type: ignore[type-var]
