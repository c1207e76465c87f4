"""The methods of the client for events."""

from collections.abc import Callable, Iterable, Iterator

import grpc

from till import events
from till.calls import Calls
from till.errors import Error
from till.events import Event, EventPage, Silence, Start, Streaming
from till.retries import Connection


class EventCalls(Calls):
    """The part of Client for events."""

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
    ) -> Iterator[Event]:
        """Iterate over events: first those in the log, then new ones as they happen.

            for event in client.events(after=last_sequence):
                ...

        The stream does not end by itself. It reconnects when its connection is lost, and yields each event
        once, in order. Before Till's first response it fails like any call.

        after: the sequence of the last event that you have handled; 0 is before the first event. "beginning":
            from the oldest event that is left. "now", the default: only new ones.
        cursor: with all_users, in place of `after`: the cursor of the last event that you have handled.
        types: only events of these types, such as ["invoice.paid"].
        metadata_type: only events of invoices with this type in their metadata.
        all_users: the events of all users, for a key with the scope admin.
        timeout: seconds for the whole stream; then it raises TookTooLong. None: no deadline.
        wait_for_ready: reconnect before the first response too, for a Till that is about to start.
        on_connection: called with a till.Connection when the connection is lost and when it is back.

        Raises EventsGone if events after the start were removed; InvalidRequest if there is no such event, as
        after the operator has restored a backup.
        """
        request = events.watch_request(after, cursor, types, metadata_type, all_users)
        return self._stream(Streaming(request, timeout, wait_for_ready, on_connection))

    def _stream(self, streaming: Streaming) -> Iterator[Event]:
        while True:
            metadata = self._metadata()
            responses = self.event_log.WatchEvents(
                streaming.request, timeout=streaming.seconds_left, metadata=metadata
            )
            silence = Silence(responses.cancel)
            lost: Error = events.ended()
            try:
                with silence:
                    for response in silence.during(responses):
                        yield from streaming.news(response)
            except grpc.RpcError as failed:
                lost = events.silent() if silence.was_too_long else self._error(failed)
            finally:
                responses.cancel()
            self._closed.wait(streaming.pause_after(lost))

    def list_events(
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
        """Return one page of events, oldest first. The default is from the beginning.

        page_size: the largest number of events; 100 by default, at most 1000. The other parameters and the
        errors are those of `events`.
        """
        request = events.list_request(after, cursor, types, metadata_type, all_users, page_size)
        return events.page(self.call(self.event_log.ListEvents, request, timeout=timeout, again=True))
