"""Attempts to deliver events: signed, limited in number, and counted."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from weakref import WeakValueDictionary

import structlog

from tilld.errors import Unavailable
from tilld.formats.times import Clock, utc_now
from tilld.webhooks.delivery import Attempt, DeliveryState
from tilld.webhooks.http.client import HttpClient
from tilld.webhooks.webhook import Webhook

log = structlog.get_logger()

# Concurrent attempts, 100 in total. Receivers that hang cannot use up those of healthy ones.
HEALTHY_SLOTS = 75
FAILING_SLOTS = 25
# Of each user, whose invoices may have thousands of webhooks.
SLOTS_OF_A_USER = 16


class Attempts:
    """Makes the attempts of a process; `outcomes` counts them: succeeded, failed, or dead after the last."""

    def __init__(self, client: HttpClient, clock: Clock = utc_now) -> None:
        self.outcomes: Counter[str] = Counter()
        # The duration of all attempts, including tests and those whose outcome could not be stored.
        self.timed, self.seconds = 0, 0.0
        self._client = client
        self._clock = clock
        self._healthy = asyncio.Semaphore(HEALTHY_SLOTS)
        self._failing = asyncio.Semaphore(FAILING_SLOTS)
        # Of those who send now.
        self._of_users = WeakValueDictionary[str, asyncio.Semaphore]()

    async def send(
        self, held: Callable[[], Webhook], event_id: str, body: bytes
    ) -> tuple[Attempt, timedelta | None]:
        """Send an event while the lease of its webhook lasts; `held` returns the webhook as it is now.

        Returns how the attempt ended, and the pause that the receiver asked for. Raises Unavailable.
        """
        username = held().username
        of_user = self._of_users.get(username)
        if of_user is None:
            of_user = self._of_users[username] = asyncio.Semaphore(SLOTS_OF_A_USER)
        async with of_user, self._failing if held().failing_since else self._healthy:
            webhook = held()
            if self._clock() >= webhook.lease_until:
                # Another process may send now.
                raise Unavailable("the lease of a webhook has ended")
            return await self.post(webhook, event_id, body)

    async def post(self, webhook: Webhook, event_id: str, body: bytes) -> tuple[Attempt, timedelta | None]:
        """Send an event now, as `send` does."""
        now = self._clock()
        outcome = await self._client.post(webhook.url, webhook.headers(event_id, body, now), body)
        self.timed, self.seconds = self.timed + 1, self.seconds + outcome.seconds
        attempt = Attempt(now, round(outcome.seconds * 1000), outcome.status, outcome.error)
        log.debug(
            "webhook attempted",
            webhook_id=webhook.id,
            event_id=event_id,
            status=attempt.last_status,
            error=attempt.last_error,
            milliseconds=attempt.last_milliseconds,
        )
        return attempt, None if outcome.retry_after is None else timedelta(seconds=outcome.retry_after)

    def count(self, state: DeliveryState) -> None:
        """Count an attempt by the state of its delivery."""
        self.outcomes["failed" if state is DeliveryState.PENDING else state] += 1

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
