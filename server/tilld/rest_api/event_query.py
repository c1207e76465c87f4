"""Reads the query parameters of events, and the header Last-Event-ID."""

import re

from till_rest.v1 import event_service_pb2 as pb
from tilld.errors import InvalidRequest
from tilld.events.terms import Cursor, EventTerms, Place, Start
from tilld.formats.strict_json import MAX_WHOLE
from tilld.rest_api.list_query import limit

MAX_WAIT_SECONDS = 60
LAST_EVENT_ID = "Last-Event-ID"

_PLACES = {each.value: each for each in Place}
_SWITCH = {"true": True, "false": False}
_is_number = re.compile(r"[0-9]+").fullmatch
_wait = re.compile(r"0*([0-9]{1,2})").fullmatch


def list_terms(query: pb.ListEventsRequest) -> EventTerms:
    """Return the terms of a page.

    Raises InvalidRequest or TooLarge, which name the parameter and the limit.
    """
    page_size = limit(query.limit) if query.HasField("limit") else None
    return _terms(query, Place.BEGINNING, page_size=page_size)


def wait_seconds(query: pb.ListEventsRequest) -> int:
    """Return how long to wait for the first event. Raises InvalidRequest, which names the parameter."""
    if not query.HasField("wait"):
        return 0
    found = _wait(query.wait)
    seconds = int(found[1]) if found else -1
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise InvalidRequest(f"wait must be a whole number of seconds, 0 to {MAX_WAIT_SECONDS}")
    return seconds


def watch_terms(query: pb.WatchEventsRequest, last_event_id: str | None) -> EventTerms:
    """Return the terms of a stream. The id of the last event has precedence over `after`.

    Raises InvalidRequest or TooLarge, which name the parameter and the limit.
    """
    # A browser sends no empty header, but a program may.
    if last_event_id:
        start = _start(last_event_id, LAST_EVENT_ID, all_users=_all_users(query))
        return _terms(query, start, start_name=LAST_EVENT_ID)
    return _terms(query, Place.NOW)


_Query = pb.ListEventsRequest | pb.WatchEventsRequest


def _terms(
    query: _Query, start: Start, *, page_size: int | None = None, start_name: str = "after"
) -> EventTerms:
    all_users = _all_users(query)
    if query.HasField("after"):
        # Also checked if it does not count.
        after = _start(query.after, "after", all_users=all_users)
        start = after if start_name == "after" else start
    return EventTerms.checked(
        start,
        query.types.split(",") if query.HasField("types") else (),
        query.metadata_type if query.HasField("metadata_type") else None,
        all_users=all_users,
        page_size=page_size,
        size_name="limit",
        start_name=start_name,
    )


def _all_users(query: _Query) -> bool:
    if not query.HasField("all_users"):
        return False
    switch = _SWITCH.get(query.all_users)
    if switch is None:
        raise InvalidRequest("all_users must be true or false")
    return switch


def _start(text: str, name: str, *, all_users: bool) -> Start:
    if name != LAST_EVENT_ID and text in _PLACES:
        return _PLACES[text]
    if _is_number(text):
        # Python rejects integers of thousands of digits.
        digits = text.lstrip("0") or "0"
        sequence = int(digits) if len(digits) <= len(str(MAX_WHOLE)) else MAX_WHOLE + 1
        if sequence > MAX_WHOLE:
            raise InvalidRequest(f"{name} must be at most {MAX_WHOLE}")
        return sequence
    if all_users and text:
        return Cursor(text)
    kind = "a cursor" if all_users else "the sequence of an event"
    places = "" if name == LAST_EVENT_ID else f", or {' or '.join(Place)}"
    raise InvalidRequest(f"{name} must be {kind}{places}")
