"""Retries: the pauses between attempts, the deadline of them all, and the life of a watch."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from till.errors import ConnectionLost, Error, TookTooLong, Unavailable
from till.results import Invoice, invoice
from till.v1 import invoice_pb2

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.5


def _jitter(low: float, high: float) -> float:
    return random.uniform(low, high)  # noqa: S311


class Attempts:
    """The attempts at one call.

    timeout: seconds for all attempts together. None: no deadline.
    """

    def __init__(self, timeout: float | None) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._pause = FIRST_PAUSE_SECONDS

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline, or None."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    def pause(self) -> float:
        """Return the seconds to wait before the next attempt: at most 1.5, with jitter against herds."""
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return pause * _jitter(0.5, 1)

    def pause_after(self, error: Error) -> float:
        """Return the seconds to wait after a lost connection. Raise any other error, and at the deadline."""
        pause, left = self.pause(), self.seconds_left
        if not isinstance(error, ConnectionLost) or (left is not None and left <= pause):
            raise error from None
        return pause

    def reset(self) -> None:
        """Make the next pause the shortest one."""
        self._pause = FIRST_PAUSE_SECONDS


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A change of the connection of a watch or an event stream.

    lost: the connection was lost, or an attempt to reconnect failed. False: the watch receives again.
    attempt: the number of losses in a row, from 1.
    error: the reason of the loss; None if the connection is back.
    """

    lost: bool
    attempt: int
    error: Error | None


class Reconnecting:
    """The connection of a watch or an event stream over all its attempts.

    what: its name in errors.
    wait_for_ready: whether to reconnect before the first message too.
    on_connection: called with each change of the connection.
    """

    what = "the watch"

    def __init__(
        self,
        timeout: float | None,
        wait_for_ready: bool,
        on_connection: Callable[[Connection], object] | None,
    ) -> None:
        self._attempts = Attempts(timeout)
        self._reconnects = wait_for_ready
        self._on_connection = on_connection or (lambda _: None)
        self._losses = 0
        self._last_loss: Error | None = None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline, or None."""
        return self._attempts.seconds_left

    def received(self) -> None:
        """Note that the server has sent a message."""
        self._attempts.reset()
        self._reconnects = True
        if self._losses:
            self._on_connection(Connection(lost=False, attempt=self._losses, error=None))
            self._losses = 0

    def pause_after(self, error: Error) -> float:
        """Return the seconds to wait before the next attempt. Raise the error if it is final."""
        if isinstance(error, TookTooLong) and self._last_loss:
            late = f"{self.what} has reached its deadline; its connection was lost before: {self._last_loss}"
            raise TookTooLong(late, status=error.status) from self._last_loss
        if not self._reconnects or not (isinstance(error, Unavailable) or error.retry_after is not None):
            raise error from None
        self._losses += 1
        self._last_loss = error
        self._on_connection(Connection(lost=True, attempt=self._losses, error=error))
        pause = self._attempts.pause()
        if error.retry_after is not None:
            # Not earlier than Till asked for, and not together with the other watches of the key.
            pause = error.retry_after * _jitter(1, 1.5)
        left = self.seconds_left
        return pause if left is None else min(pause, max(left, 0.0))


class Watching(Reconnecting):
    """The state of a watch over all its attempts."""

    _seen: Invoice | None = None

    @property
    def is_open(self) -> bool:
        """Whether more states may follow."""
        return self._seen is None or not self._seen.status.is_final

    def news(self, message: invoice_pb2.Invoice) -> Invoice | None:
        """Return the state of a message; None if the last message had the same state."""
        self.received()
        state = invoice(message)
        if state == self._seen:
            return None
        self._seen = state
        return state

    def pause_after_end(self) -> float:
        """Return the seconds to wait after the stream ended: 0 if the invoice is final."""
        if not self.is_open:
            return 0.0
        return self.pause_after(
            ConnectionLost("the watch ended before the invoice was final", status="UNAVAILABLE")
        )
