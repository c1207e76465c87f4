"""Events: the log of all changes, as pages and as a stream that reconnects."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, Self

from till.errors import ConnectionLost
from till.results import Invoice, invoice
from till.retries import Connection, Reconnecting
from till.v1 import event_pb2
from till.v1 import event_service_pb2 as pb

# Three heartbeats of Till.
SILENCE_SECONDS = 45.0

# Behind the event with this sequence, before the oldest event that is left, or behind the newest one.
Start = int | Literal["beginning", "now"]
PLACES = {"beginning": pb.LOG_POSITION_BEGINNING, "now": pb.LOG_POSITION_NOW}


@dataclass(frozen=True, kw_only=True)
class DisabledWebhook:
    """A webhook that Till has given up. reason: why, and what to do."""

    id: str
    url: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """A change, with what changed in its state after the event.

    id: the same in every delivery of the event; deduplicate by it.
    sequence: the position in the user's log: 1, 2, 3 and so on, without gaps.
    type: such as "invoice.paid". Later versions of Till have more.
    timestamp: when the event was recorded.
    username: the user whose log has the event.
    cursor: the place behind this event, for events of all users. None: it is the sequence.
    invoice: of invoice.* events. None for others.
    disabled_webhook: of webhook.disabled events. None for others.
    message: the protobuf message; its `invreq` and `invoice_import` belong to events of other things.
    """

    id: str
    sequence: int
    type: str
    timestamp: datetime
    username: str
    cursor: str | None
    invoice: Invoice | None
    disabled_webhook: DisabledWebhook | None
    message: event_pb2.Event = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """A page of events, oldest first. It may have fewer events than asked for, or none, before the end.

    next_after: the sequence to continue after, also if no event matched. 0 with all_users.
    next_cursor: with all_users, the cursor to continue with. None without.
    has_more: whether there may be more events now.
    log_began_at: when the log began. Changes before are not in it: find those invoices with list_invoices.
    """

    events: tuple[Event, ...]
    next_after: int
    next_cursor: str | None
    has_more: bool
    log_began_at: datetime


def event(message: event_pb2.Event) -> Event:
    """Return the Event of a message."""
    disabled = message.disabled_webhook
    return Event(
        id=message.id,
        sequence=message.sequence,
        type=message.type,
        timestamp=message.timestamp.ToDatetime(UTC),
        username=message.username,
        cursor=message.cursor or None,
        invoice=invoice(message.invoice) if message.HasField("invoice") else None,
        disabled_webhook=DisabledWebhook(id=disabled.id, url=disabled.url, reason=disabled.reason)
        if message.HasField("disabled_webhook")
        else None,
        message=message,
    )


def event_id(event: Event | str) -> str:
    """Return the ID of an event, which may be given as such."""
    return event if isinstance(event, str) else event.id


def page(message: pb.ListEventsResponse) -> EventPage:
    """Return the EventPage of a message."""
    return EventPage(
        events=tuple(map(event, message.events)),
        next_after=message.next_after,
        next_cursor=message.next_cursor or None,
        has_more=message.has_more,
        log_began_at=message.log_began_at.ToDatetime(UTC),
    )


def list_request(
    start: Start | None,
    cursor: str | None,
    types: Iterable[str],
    metadata_type: str | None,
    all_users: bool,
    page_size: int | None,
) -> pb.ListEventsRequest:
    """Return the request of a page. Raise TypeError or ValueError for a wrong start or filter."""
    request = pb.ListEventsRequest(page_size=page_size or 0, all_users=all_users)
    _begin(request, start, cursor, "beginning")
    request.filter.CopyFrom(_filter(types, metadata_type))
    return request


def watch_request(
    start: Start | None,
    cursor: str | None,
    types: Iterable[str],
    metadata_type: str | None,
    all_users: bool,
) -> pb.WatchEventsRequest:
    """Return the request of a stream. Raise TypeError or ValueError for a wrong start or filter."""
    request = pb.WatchEventsRequest(all_users=all_users)
    _begin(request, start, cursor, "now")
    request.filter.CopyFrom(_filter(types, metadata_type))
    return request


def _begin(
    request: pb.ListEventsRequest | pb.WatchEventsRequest,
    start: Start | None,
    cursor: str | None,
    default: Start,
) -> None:
    if cursor is not None:
        if start is not None:
            raise TypeError("pass either after or cursor")
        request.cursor = cursor
        return
    start = default if start is None else start
    if isinstance(start, int) and not isinstance(start, bool):
        # Raises ValueError for a number that is negative or has more than 64 bits.
        request.after = start
    elif start in PLACES:
        setattr(request, "from", PLACES[start])
    else:
        raise ValueError('after must be a sequence, "beginning" or "now"')


def _filter(types: Iterable[str], metadata_type: str | None) -> pb.EventFilter:
    if isinstance(types, str):
        raise TypeError(f"types must be a list such as [{types!r}]")
    return pb.EventFilter(types=types, metadata_type=metadata_type)


class Streaming(Reconnecting):
    """The state of an event stream over all its attempts.

    request: the request of the next attempt.
    """

    what = "the event stream"

    def __init__(
        self,
        request: pb.WatchEventsRequest,
        timeout: float | None,
        wait_for_ready: bool,
        on_connection: Callable[[Connection], object] | None,
    ) -> None:
        super().__init__(timeout, wait_for_ready, on_connection)
        self.request = request
        self._last = request.after

    def news(self, response: pb.WatchEventsResponse) -> Iterator[Event]:
        """Yield the new events of a response, and let the next attempt begin behind it."""
        self.received()
        for message in response.events:
            if self.request.all_users or message.sequence > self._last:
                self._last = message.sequence
                yield event(message)
        if response.next_cursor:
            self.request.cursor = response.next_cursor
        else:
            self.request.after = response.next_after


def ended() -> ConnectionLost:
    """Return the error of a stream that ended without one."""
    return ConnectionLost("the event stream ended", status="UNAVAILABLE")


def silent() -> ConnectionLost:
    """Return the error of a stream without a response for too long."""
    return ConnectionLost(
        f"the event stream had no response for {SILENCE_SECONDS:.0f} s", status="UNAVAILABLE"
    )


class Silence:
    """Cancels a call of blocking code that waits for a response too long. A context manager.

    cancel: called from another thread.
    """

    def __init__(self, cancel: Callable[[], object], seconds: float = SILENCE_SECONDS) -> None:
        self._cancel = cancel
        self._seconds = seconds
        self._since: float | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="till-silence", daemon=True)
        self.was_too_long = False

    def during(self, responses: Iterator[pb.WatchEventsResponse]) -> Iterator[pb.WatchEventsResponse]:
        """Yield responses. Time between them counts only while the caller waits."""
        while True:
            self._since = time.monotonic()
            response = next(responses, None)
            self._since = None
            if response is None:
                return
            yield response

    def _run(self) -> None:
        left = self._seconds
        while not self._is_over.wait(left):
            since = self._since
            left = self._seconds - (time.monotonic() - since if since else 0)
            if left <= 0:
                self.was_too_long = True
                self._cancel()
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
