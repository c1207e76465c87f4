"""Use cases of events: lists, long polls and streams of a log."""

import time
from collections.abc import AsyncGenerator

from tilld.auth.caller import Caller
from tilld.auth.limits import Limits
from tilld.errors import InvalidRequest
from tilld.event_log.repository import EventLog
from tilld.events.cursor import cursor_at, position_of
from tilld.events.event import Event, EventPage
from tilld.events.feed import Feed
from tilld.events.repository import EventStore, gone
from tilld.events.shared_pages import SharedPages
from tilld.events.terms import Cursor, EventTerms, Place, View
from tilld.invoices.repository import Store

# Events of a batch of a stream: a message of gRPC costs as much as several events.
BATCH = 200


class Events:
    """Reads of the event log by callers."""

    def __init__(self, store: Store, feed: Feed, limits: Limits) -> None:
        self.log = EventLog(store)
        self.store = EventStore(store, self.log)
        self._shared = SharedPages(self.store.page, BATCH)
        self._feed = feed
        self._limits = limits
        self._secret = store.secret

    async def page(self, caller: Caller, terms: EventTerms, wait_seconds: float = 0) -> EventPage:
        """Return the next events that the caller may see; if there are none, wait for the first one.

        Raises InvalidRequest if the start is beyond the newest event; EventsGone; PermissionDenied; TooMany;
        Unavailable when Till stops while the caller waits.
        """
        view = terms.view(caller)
        if not wait_seconds:
            return await self.store.page(view, await self._begin(view, terms), terms.page_size)
        await self._limits.may_watch(caller)
        # Listen before reading, so that no event between the two is missed.
        with self._limits.watching(caller), self._feed.listen(view.username) as listener:
            end = time.monotonic() + wait_seconds
            page = await self.store.page(view, await self._begin(view, terms), terms.page_size)
            while not page.events and (
                not page.is_end or await listener.beyond(page.next, end - time.monotonic())
            ):
                page = await self.store.page(view, page.next, terms.page_size)
            return page

    async def watch(
        self, caller: Caller, terms: EventTerms, heartbeat_seconds: float
    ) -> AsyncGenerator[EventPage]:
        """Yield events in batches, first those in the log, then new ones; an empty batch is a heartbeat.

        The first batch comes immediately. Raises as `page` does, and Unavailable when Till stops.
        """
        view = terms.view(caller)
        await self._limits.may_watch(caller)
        with self._limits.watching(caller), self._feed.listen(view.username) as listener:
            after, is_begun = await self._begin(view, terms), False
            while True:
                newest = self._feed.newest.get(view.username, 0)
                page = await self._shared.page(view, after, newest)
                after, is_end = page.next, page.is_end
                if page.events or not is_begun:
                    is_begun = True
                    yield page
                # Free the events: the next one may be hours away.
                del page
                while is_end and not await listener.beyond(after, heartbeat_seconds):
                    yield EventPage([], after, is_end)

    def cursor(self, terms: EventTerms, page: EventPage) -> str:
        """Return the cursor of the log of all users behind a page, or "" for the log of a user."""
        return cursor_at(self._secret, page.next) if terms.all_users else ""

    def cursor_of(self, terms: EventTerms, event: Event) -> str:
        """Return the cursor of the log of all users behind an event, or "" for the log of a user."""
        return cursor_at(self._secret, event.entry.position) if terms.all_users else ""

    def place(self, terms: EventTerms, sequence: int) -> int | str:
        """Return a sequence of the log as callers know it: a cursor for the log of all users."""
        return cursor_at(self._secret, sequence) if terms.all_users else sequence

    def sequence(self, terms: EventTerms, event: Event) -> int:
        """Return the sequence of an event in the log that is read."""
        return event.entry.position if terms.all_users else event.entry.sequence

    async def oldest(self, caller: Caller, terms: EventTerms) -> int:
        """Return the sequence in the log of the oldest event left, or of the next one."""
        return (await self.log.bounds(terms.view(caller).username)).removed + 1

    async def _begin(self, view: View, terms: EventTerms) -> int:
        """Return the sequence of the log to begin after."""
        newest, removed = await self.log.bounds(view.username)
        match terms.start:
            case Place.BEGINNING:
                return removed
            case Place.NOW:
                return newest
            case Cursor(token):
                after = position_of(self._secret, token, terms.start_name)
            case sequence:
                after = sequence
        if after > newest:
            raise InvalidRequest(
                f"{terms.start_name} is beyond the newest event"
                + ("" if terms.all_users else f", whose sequence is {newest}")
                + ". If the operator restored a backup, begin again, and list what may have changed"
            )
        if after < removed:
            raise gone(view.username, removed + 1)
        return after
