"""The delivery of an event to a webhook, and when it is repeated. Pure."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple, Self

# The pauses between attempts, 75 hours in total.
PAUSES = tuple(
    timedelta(seconds=each) for each in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
_SLOTS = tuple(accumulate(PAUSES))

# Pauses vary by this part, so that the retries of many deliveries spread.
JITTER = 0.1

# The longest pause that a receiver may ask for (header Retry-After).
LONGEST_RETRY_AFTER = timedelta(hours=24)

# Returns a number between two bounds.
Spread = Callable[[float, float], float]


class DeliveryState(StrEnum):
    """Whether an event has arrived."""

    PENDING = "pending"
    DEAD = "dead"
    SUCCEEDED = "succeeded"


class Attempt(NamedTuple):
    """An attempt to deliver an event. `last_error` is empty if it succeeded. No response has no status."""

    last_attempt_at: datetime
    last_milliseconds: int
    last_status: int | None
    last_error: str

    @property
    def succeeded(self) -> bool:
        """True if the receiver accepted the event."""
        return not self.last_error


class Delivery(NamedTuple):
    """The delivery of an event, pending while another attempt is due at `next_attempt_at`."""

    webhook_id: str
    sequence: int
    event_id: str
    type: str
    state: DeliveryState
    attempts: int
    first_attempt_at: datetime | None
    next_attempt_at: datetime | None
    last_attempt: Attempt | None

    @classmethod
    def new(cls, webhook_id: str, sequence: int, event_id: str, kind: str) -> Self:
        """Return a delivery before its first attempt."""
        return cls(webhook_id, sequence, event_id, kind, DeliveryState.PENDING, 0, None, None, None)

    def attempted(
        self, attempt: Attempt, retry_after: timedelta | None = None, spread: Spread = random.uniform
    ) -> Self:
        """Return the delivery after another attempt; `retry_after` is what the receiver asked for."""
        first = self.first_attempt_at or attempt.last_attempt_at
        following = None if attempt.succeeded else next_attempt_at(first, attempt, retry_after, spread)
        state = (
            DeliveryState.SUCCEEDED
            if attempt.succeeded
            else DeliveryState.PENDING
            if following
            else DeliveryState.DEAD
        )
        return self._replace(
            state=state,
            attempts=self.attempts + 1,
            first_attempt_at=first,
            next_attempt_at=following,
            last_attempt=attempt,
        )

    def again(self, now: datetime) -> Self:
        """Return the delivery with an attempt due now, and all retries after it."""
        return self._replace(state=DeliveryState.PENDING, first_attempt_at=None, next_attempt_at=now)


def next_attempt_at(
    first: datetime, last: Attempt, retry_after: timedelta | None = None, spread: Spread = random.uniform
) -> datetime | None:
    """Return when to attempt a failed delivery again, or None after 75 hours.

    The schedule counts from the first attempt, so that attempts in between do not shorten it.
    """
    # The last attempt of the schedule may have been early by JITTER.
    elapsed = (last.last_attempt_at - first) / (1 - JITTER)
    pause = next((pause for slot, pause in zip(_SLOTS, PAUSES, strict=True) if slot > elapsed), None)
    if pause is None:
        return None
    asked = min(retry_after or timedelta(0), LONGEST_RETRY_AFTER)
    ended_at = last.last_attempt_at + timedelta(milliseconds=last.last_milliseconds)
    return ended_at + max(pause * spread(1 - JITTER, 1 + JITTER), asked)
