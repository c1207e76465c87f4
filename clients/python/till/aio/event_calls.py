"""The methods of the client for asyncio for events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable

import grpc.aio

from till import events
from till.aio.calls import AsyncCalls
from till.errors import Error
from till.events import SILENCE_SECONDS, Event, EventPage, Start, Streaming
from till.retries import Connection
from till.v1.event_service_pb2 import WatchEventsResponse


class AsyncEventCalls(AsyncCalls):
    """The part of AsyncClient for events."""

    def events(
        self,
        after: Start | None = None,
        *,
        cursor: str | None = None,
        types: Iterable[str] = (),
        metadata_type: str | None = None,
        all_users: bool = False,
        timeout: float | None = None,
        wait_for_ready: bool = False,
        on_connection: Callable[[Connection], object] | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Iterate over events: see Client.events.

        To leave the loop early and cancel the call immediately, use contextlib.aclosing.
        """
        request = events.watch_request(after, cursor, types, metadata_type, all_users)
        return self._stream(Streaming(request, timeout, wait_for_ready, on_connection))

    async def _stream(self, streaming: Streaming) -> AsyncGenerator[Event, None]:
        while True:
            metadata = await self._metadata()
            responses = self.event_log.WatchEvents(
                streaming.request, timeout=streaming.seconds_left, metadata=metadata
            )
            waiting = aiter(responses)
            lost: Error = events.ended()
            try:
                while response := await _response(waiting):
                    for event in streaming.news(response):
                        yield event
            except _Silent:
                lost = events.silent()
            except (grpc.aio.AioRpcError, asyncio.CancelledError) as failed:
                lost = self._error(failed)
            finally:
                responses.cancel()
            await self._wait(streaming.pause_after(lost))

    async def list_events(
        self,
        after: Start | None = None,
        *,
        cursor: str | None = None,
        types: Iterable[str] = (),
        metadata_type: str | None = None,
        all_users: bool = False,
        page_size: int | None = None,
        timeout: float | None = None,
    ) -> EventPage:
        """Return one page of events: see Client.list_events."""
        request = events.list_request(after, cursor, types, metadata_type, all_users, page_size)
        reply = await self.call(self.event_log.ListEvents, request, timeout=timeout, again=True)
        return events.page(reply)


class _Silent(Exception):
    """No response came in time."""


async def _response(waiting: AsyncIterator[WatchEventsResponse]) -> WatchEventsResponse | None:
    """Return the next response; None at the end. Raise _Silent."""
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            return await anext(waiting, None)
    except TimeoutError:
        raise _Silent from None
