"""Serves till.rest.v1.EventService."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from google.api.httpbody_pb2 import HttpBody

from till_rest.v1 import event_service_pb2 as pb
from till_rest.v1 import event_service_pb2_grpc
from tilld.auth.access import caller
from tilld.errors import EventsGone, Unavailable
from tilld.events.event import EventPage
from tilld.events.service import Events
from tilld.events.terms import Cursor, EventTerms, Place, Start
from tilld.formats.strict_json import write
from tilld.rest_api import event_query, sse
from tilld.rest_api.http import Context, header, json_body
from tilld.rest_api.schemas import event_json


class RestEventServicer(event_service_pb2_grpc.EventServiceServicer):
    """The documented REST API of events."""

    def __init__(self, events: Events, heartbeat_seconds: float) -> None:
        self._events = events
        self._heartbeat_seconds = heartbeat_seconds
        self._last: EventPage | None = None
        self._last_text = ""

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> HttpBody:
        """Return a page of events; if there are none, wait for the first one as long as asked."""
        terms, seconds = event_query.list_terms(request), event_query.wait_seconds(request)
        page = await self._events.page(caller.get(), terms, seconds)
        events = [event_json.event(each, self._events.cursor_of(terms, each)) for each in page.events]
        after = self._events.place(terms, page.next)
        began_at = await self._events.log.began_at()
        return json_body(event_json.page(events, after, began_at, has_more=not page.is_end))

    async def WatchEvents(self, request: pb.WatchEventsRequest, context: Context) -> AsyncGenerator[HttpBody]:
        """Yield batches of server-sent events until the caller leaves."""
        terms = event_query.watch_terms(request, header(context, "last-event-id"))
        # Free the message: a watch waits for hours, and there are thousands.
        del request, context
        asking, after, begin = caller.get(), terms.start, sse.RETRY
        is_begun = False
        while True:
            try:
                async with aclosing(self._events.watch(asking, terms, self._heartbeat_seconds)) as pages:
                    async for page in pages:
                        data = (begin + self._text(terms, page)).encode()
                        after, begin, is_begun = page.next, "", True
                        # Free the events: the next ones may be hours away.
                        del page
                        yield HttpBody(content_type=sse.CONTENT_TYPE, data=data)
                        del data
            except EventsGone:
                # An EventSource gives up after an error, so a gap is a message of the stream.
                oldest = await self._events.oldest(asking, terms)
                begin += self._gap(terms, after, oldest)
                terms = replace(terms, start=oldest - 1)
            except Unavailable:
                if not is_begun:
                    raise
                # The stream ends, and an EventSource reconnects.
                return

    def _text(self, terms: EventTerms, page: EventPage) -> str:
        """Return the messages of a batch, built once for all streams that share it (served in turn)."""
        if self._last is page:
            return self._last_text
        messages = []
        for each in page.events:
            cursor = self._events.cursor_of(terms, each)
            data = write(event_json.event(each, cursor))
            messages.append(sse.message(cursor or str(each.entry.sequence), data))
        if not page.events or self._events.sequence(terms, page.events[-1]) < page.next:
            # Skipped events need not be read again.
            messages.append(sse.heartbeat(str(self._events.place(terms, page.next))))
        self._last, self._last_text = page, "".join(messages)
        return self._last_text

    def _gap(self, terms: EventTerms, after: Start, oldest: int) -> str:
        """Return a message about removed events, or "" if it begins with the oldest one left."""
        if isinstance(after, Place):
            return ""
        place = after.token if isinstance(after, Cursor) else self._events.place(terms, after)
        data = event_json.gap(place, None if terms.all_users else oldest)
        return sse.message(str(self._events.place(terms, oldest - 1)), data, "gap")
