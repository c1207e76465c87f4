"""The backlog of a webhook, for the operator. Pure."""

from datetime import datetime, timedelta
from typing import NamedTuple

from tilld.webhooks.webhook import Webhook

# A receiver that is out for longer needs a person.
LATE = timedelta(hours=1)


class Failed(NamedTuple):
    """Failed deliveries: `pending` ones are repeated, the oldest since `since`; `dead` ones are given up."""

    pending: int
    dead: int
    since: datetime | None


class Backlog(NamedTuple):
    """The events that a webhook has yet to deliver.

    `in_line` counts new events, `pending` failed deliveries that are repeated, and `dead` those given up.
    `since` is when the first of them was recorded or attempted that is not given up. `removed` counts events
    that were removed before they were sent, at most.
    """

    webhook: Webhook
    in_line: int
    pending: int
    dead: int
    since: datetime | None
    removed: int

    @property
    def waiting(self) -> int:
        """The number of events that are sent if the receiver accepts them."""
        return self.in_line + self.pending

    def is_late(self, now: datetime) -> bool:
        """True if an event waits for more than LATE."""
        return self.since is not None and now - self.since > LATE
