"""The event streams of the impostor, which end as their callers ask them to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc.aio

from till.v1.event_pb2 import DisabledWebhook, Event
from till.v1.event_service_pb2 import LOG_POSITION_NOW, WatchEventsRequest, WatchEventsResponse

Context = grpc.aio.ServicerContext[Any, Any]
# The types that each attempt must ask for.
TYPES = ["invoice.paid"]
DISABLED = DisabledWebhook(id="1", url="https://shop.example/till", reason="the receiver answered 410")


class ImpostorEvents:
    """Ends event streams as the metadata type in their filter says.

    The first attempt gets two events and a heartbeat, which moves the cursor on, and the ending. From now, it
    gets an empty log and the ending. The next attempt must begin there, and gets an event that it already has
    and a new one. It fails with INVALID_ARGUMENT if it begins elsewhere, or asks for other events.

    Endings: those of the other calls. FUTURE: an event of an unknown type, and an early end. DISABLED: the
    event webhook.disabled, and an early end.
    """

    def __init__(self, end: Callable[[Context, str], Awaitable[None]]) -> None:
        self._end = end
        # The cursors of the first attempts, by caller, ending and log.
        self._cursors: dict[tuple[str, str, bool], str | int] = {}

    async def watch(
        self, request: WatchEventsRequest, context: Context
    ) -> AsyncIterator[WatchEventsResponse]:
        ending = request.filter.metadata_type
        if request.filter.types != TYPES:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"types must be {TYPES}")
        caller = (context.peer(), ending, request.all_users)
        if caller not in self._cursors:
            begin = _begin_all if request.all_users else _begin
            for response in begin(request):
                self._cursors[caller] = response.next_cursor or response.next_after
                yield response
            await self._end(context, ending)
        elif (cursor := request.cursor or request.after) != self._cursors[caller]:
            wrong = f"the stream must begin behind {self._cursors[caller]}, not {cursor}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, wrong)
        elif request.WhichOneof("start") not in {"after", "cursor"}:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the stream must begin behind a cursor")
        else:
            yield _continue_all() if request.all_users else _continue(request.after)
            await asyncio.Event().wait()


def _begin(request: WatchEventsRequest) -> Iterator[WatchEventsResponse]:
    if getattr(request, "from") == LOG_POSITION_NOW:
        # The log is empty.
        yield _response()
        return
    after = request.after
    yield _response(_event(after + 1), _event(after + 2))
    if request.filter.metadata_type == "FUTURE":
        yield _response(_event(after + 3, type="coffee.spilled"))
    elif request.filter.metadata_type == "DISABLED":
        yield _response(_event(after + 3, type="webhook.disabled", disabled_webhook=DISABLED))
    else:
        yield _response(next_after=after + 3)


def _continue(after: int) -> WatchEventsResponse:
    return _response(*([_event(after - 1)] if after else []), _event(after + 1))


def _begin_all(request: WatchEventsRequest) -> Iterator[WatchEventsResponse]:
    events = [_event(5, username="a", cursor="c1"), _event(1, username="b", cursor="c2")]
    yield WatchEventsResponse(events=events, next_cursor="c2")
    yield WatchEventsResponse(next_cursor="c3")


def _continue_all() -> WatchEventsResponse:
    return WatchEventsResponse(events=[_event(2, username="b", cursor="c4")], next_cursor="c4")


def _event(sequence: int, **fields: Any) -> Event:
    return Event(id=f"evt_{sequence}", sequence=sequence, **{"type": TYPES[0]} | fields)


def _response(*events: Event, next_after: int | None = None) -> WatchEventsResponse:
    last = events[-1].sequence if events else 0
    return WatchEventsResponse(events=events, next_after=last if next_after is None else next_after)
