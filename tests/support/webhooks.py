"""The webhooks of a Till without its servers, with a clock in the test's hand, and a scripted receiver."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import standardwebhooks

from tests.support.clock_in_hand import ClockInHand
from tests.support.samples import DAKK, NODE_ID, PLENTY, an_invoice, paid
from tests.support.till import CALM, running
from tilld.auth.caller import Caller
from tilld.auth.limits import Limits
from tilld.config import Intervals
from tilld.events.feed import Feed
from tilld.events.follower import LogFollower
from tilld.events.service import Events
from tilld.invoices.hub import Hub
from tilld.invoices.invoice import Invoice
from tilld.invoices.repository import Store
from tilld.rest_api.schemas import webhook_json
from tilld.storage.database import open_database
from tilld.webhooks.attempts import Attempts
from tilld.webhooks.delivery import Delivery, DeliveryState
from tilld.webhooks.http.client import Outcome
from tilld.webhooks.http.targets import Targets
from tilld.webhooks.repository import WebhookStore
from tilld.webhooks.sender import Sender
from tilld.webhooks.service import Webhooks
from tilld.webhooks.webhook import Webhook

URL = "https://shop.example/hook"
# Progress is stored almost immediately. Leases outlast every jump of the clock.
PATIENT = CALM._replace(webhook_progress_seconds=0.001, webhook_lease_seconds=10**8)

ACCEPTED = Outcome(204, "", None, 0.001)
REJECTED = Outcome(500, "status 500", None, 0.001)


class Post(NamedTuple):
    """A post to a webhook."""

    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The event in the body."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def sequence(self) -> int:
        """The sequence of the event."""
        return int(self.event["sequence"])

    def is_signed_by(self, secret: str) -> bool:
        """Return whether the public library accepts the signature, at the time of the post."""
        # The library compares with the system's clock, so the test's clock is checked elsewhere.
        signature = standardwebhooks.Webhook(secret)
        try:
            signature.verify(self.body, self.headers)
        except standardwebhooks.WebhookVerificationError:
            return False
        return True


class Receiver:
    """Stands for the HTTP client: records posts, and answers as `answer` says, by default 204."""

    def __init__(self) -> None:
        self.answer: Callable[[Post], Outcome] = lambda post: ACCEPTED
        self.posts: list[Post] = []
        self._new: asyncio.Queue[Post] = asyncio.Queue()

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """Take a post."""
        post = Post(url, dict(headers), body)
        outcome = self.answer(post)
        self.posts.append(post)
        self._new.put_nowait(post)
        # As a network does.
        await asyncio.sleep(0)
        return outcome

    async def close(self) -> None:
        """Do nothing."""

    async def next(self) -> Post:
        """Return the next post."""
        async with asyncio.timeout(10):
            return await self._new.get()

    async def next_sequences(self, count: int) -> list[int]:
        """Return the sequences of the next posts."""
        return [(await self.next()).sequence for _ in range(count)]

    @property
    def is_idle(self) -> bool:
        """True if each post was returned by `next`."""
        return self._new.empty()


class Process:
    """The parts of a Till that send webhooks, on a database that several of them may share."""

    def __init__(
        self,
        database: str,
        clock: ClockInHand,
        receiver: Receiver,
        intervals: Intervals = PATIENT,
        limits: Limits | None = None,
        owner: str = "",
    ) -> None:
        self.store = Store(open_database(database), intervals=intervals)
        self.webhooks = WebhookStore(self.store)
        self.feed = Feed()
        events = Events(self.store, self.feed, Limits(PLENTY))
        self.log = events.log
        self.log_follower = LogFollower(self.store, self.feed, Hub(), intervals)
        self.attempts = Attempts(receiver, clock)  # type: ignore[arg-type]
        self.sender = Sender(
            self.webhooks,
            events.store,
            self.feed,
            self.attempts,
            webhook_json.event,
            clock,
            intervals,
            clock.wait,
            owner,
        )
        self.service = Webhooks(
            self.webhooks,
            events.log,
            self.attempts,
            Targets(),
            limits or Limits(PLENTY),
            webhook_json.ping,
            self.sender.changed,
            clock,
        )

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send until the context ends."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(running(self.log_follower.run()))
            stack.push_async_callback(self.sender.stop)
            await stack.enter_async_context(running(self.sender.run()))
            yield

    async def create(self, *types: str, url: str = URL, caller: Caller = DAKK) -> Webhook:
        """Create a webhook."""
        return await self.service.create(caller, url, types)

    async def happen(self, events: int, username: str = "dakk") -> list[Invoice]:
        """Let events happen: created invoices."""
        return [await self.store.add(an_invoice(username)) for _ in range(events)]

    async def pay(self, *invoices: Invoice) -> None:
        """Settle invoices as paid."""
        await self.store.settle(NODE_ID, [paid(each) for each in invoices])

    async def stored(self, webhook: Webhook) -> Webhook:
        """Return a webhook as it is stored."""
        found = await self.webhooks.get(webhook.id)
        assert found
        return found

    async def deliveries(self, webhook: Webhook, state: DeliveryState | None = None) -> list[Delivery]:
        """Return the deliveries of a webhook, the oldest event first."""
        found = await self.service.deliveries(DAKK, webhook.id, state, limit=1000)
        return found[::-1]


def sequences(deliveries: Iterable[Delivery]) -> list[int]:
    """Return the sequences of deliveries."""
    return [each.sequence for each in deliveries]


@asynccontextmanager
async def open_process(*arguments: Any, **options: Any) -> AsyncIterator[Process]:
    """Open the parts of a Till that send webhooks; close its store at the end."""
    process = Process(*arguments, **options)
    try:
        yield process
    finally:
        await process.store.close()


def sqlite_in(directory: Path) -> str:
    """Return the URL of a database in a directory."""
    return f"sqlite:///{directory / 'till.db'}"
