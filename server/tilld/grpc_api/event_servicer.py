"""Serves till.v1.EventService."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from till.v1 import event_pb2, event_service_pb2_grpc
from till.v1 import event_service_pb2 as pb
from tilld.auth.access import caller
from tilld.events.event import EventPage
from tilld.events.service import Events
from tilld.events.terms import EventTerms
from tilld.grpc_api import Context, event_messages


class EventServicer(event_service_pb2_grpc.EventServiceServicer):
    """The typed API of events."""

    def __init__(self, events: Events, heartbeat_seconds: float) -> None:
        self._events = events
        self._heartbeat_seconds = heartbeat_seconds
        self._last: EventPage | None = None
        self._last_message = pb.WatchEventsResponse()

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        """Return a page of events."""
        terms = event_messages.list_terms(request)
        page = await self._events.page(caller.get(), terms)
        return pb.ListEventsResponse(
            events=self._messages(terms, page),
            next_after=0 if terms.all_users else page.next,
            next_cursor=self._events.cursor(terms, page),
            has_more=not page.is_end,
            log_began_at=event_messages.timestamp(await self._events.log.began_at()),
        )

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        """Yield events until the caller leaves."""
        terms = event_messages.watch_terms(request)
        # Free the message: a watch waits for hours, and there are thousands.
        del request
        async with aclosing(self._events.watch(caller.get(), terms, self._heartbeat_seconds)) as pages:
            async for page in pages:
                yield self._message(terms, page)
                del page

    def _message(self, terms: EventTerms, page: EventPage) -> pb.WatchEventsResponse:
        """Return the message of a batch, built once for all streams that share it (served in turn)."""
        if self._last is not page:
            self._last = page
            self._last_message = pb.WatchEventsResponse(
                events=self._messages(terms, page),
                next_after=0 if terms.all_users else page.next,
                next_cursor=self._events.cursor(terms, page),
            )
        return self._last_message

    def _messages(self, terms: EventTerms, page: EventPage) -> list[event_pb2.Event]:
        return [event_messages.event(each, self._events.cursor_of(terms, each)) for each in page.events]
