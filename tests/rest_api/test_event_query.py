"""The query parameters of events: any text is read, or refused with the name of its parameter."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from till_rest.v1 import event_service_pb2 as pb
from tilld.errors import InvalidRequest, TooLarge
from tilld.event_log.entry import EventType
from tilld.events.terms import MAX_PAGE_SIZE, PAGE_SIZE, Cursor, Place
from tilld.rest_api import event_query

LARGEST = 2**63 - 1
LISTED = [field.name for field in pb.ListEventsRequest.DESCRIPTOR.fields]
STREAMED = [field.name for field in pb.WatchEventsRequest.DESCRIPTOR.fields]
plausible = st.sampled_from(
    [
        "",
        "0",
        "7",
        "-1",
        "60",
        "61",
        "true",
        "now",
        "beginning",
        "invoice.paid",
        "9" * 19,
        "1" * 5000,
        "A.b_-",
    ]
)
texts = plausible | st.text(st.characters(codec="utf-8"), max_size=300)


@given(st.dictionaries(st.sampled_from(LISTED), texts, max_size=5))
def test_any_text_of_a_list_is_read_or_refused_by_its_name(query: dict[str, str]) -> None:
    """No text causes an internal error."""
    request = pb.ListEventsRequest(**query)
    try:
        terms, seconds = event_query.list_terms(request), event_query.wait_seconds(request)
    except (InvalidRequest, TooLarge) as refused:
        assert any(re.search(rf"\b{name}\b", refused.message) for name in query)
    else:
        assert 1 <= terms.page_size <= MAX_PAGE_SIZE
        assert 0 <= seconds <= 60
        assert not isinstance(terms.start, int) or 0 <= terms.start <= LARGEST


@given(st.dictionaries(st.sampled_from(STREAMED), texts, max_size=4), st.none() | texts)
def test_any_text_of_a_stream_is_read_or_refused_by_its_name(query: dict[str, str], last: str | None) -> None:
    request = pb.WatchEventsRequest(**query)
    try:
        terms = event_query.watch_terms(request, last)
    except (InvalidRequest, TooLarge) as refused:
        assert any(re.search(rf"\b{name}\b", refused.message) for name in [*query, "Last-Event-ID"])
    else:
        assert not isinstance(terms.start, int) or 0 <= terms.start <= LARGEST


@pytest.mark.parametrize(
    ("query", "start"),
    [
        ({}, Place.BEGINNING),
        ({"after": "0"}, 0),
        ({"after": "0004711"}, 4711),
        ({"after": str(LARGEST)}, LARGEST),
        ({"after": "beginning"}, Place.BEGINNING),
        ({"after": "now"}, Place.NOW),
        ({"after": "now", "all_users": "true"}, Place.NOW),
        ({"after": "MQ.x_-", "all_users": "true"}, Cursor("MQ.x_-")),
        ({"after": "1", "all_users": "false"}, 1),
    ],
)
def test_a_list_begins_where_asked(query: dict[str, str], start: Any) -> None:
    """The beginning, now, and a sequence are different requests."""
    terms = event_query.list_terms(pb.ListEventsRequest(**query))

    assert (terms.start, type(terms.start)) == (start, type(start))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"after": ""}, "after must be the sequence of an event, or beginning or now"),
        ({"after": "-1"}, "after must be the sequence"),
        ({"after": "+1"}, "after must be the sequence"),
        ({"after": "1.0"}, "after must be the sequence"),
        ({"after": " 1"}, "after must be the sequence"),
        ({"after": "\u0661"}, "after must be the sequence"),
        ({"after": str(LARGEST + 1)}, f"after must be at most {LARGEST}"),
        ({"after": "9" * 5000}, f"after must be at most {LARGEST}"),
        ({"after": "", "all_users": "true"}, "after must be a cursor, or beginning or now"),
        ({"after": "7", "all_users": "true"}, "after must be a cursor with all_users"),
        ({"types": ""}, "types has ''"),
        ({"types": "invoice.paid,"}, "types has ''"),
        ({"types": "invoice.paid, invoice.expired"}, "types has ' invoice.expired'"),
        ({"types": "INVOICE.PAID"}, "types has 'INVOICE.PAID'; the types are invoice.created, "),
        ({"metadata_type": "a\0"}, "metadata_type must not have control characters"),
        ({"limit": "0"}, "limit must be a whole number"),
        ({"limit": "-1"}, "limit must be a whole number"),
        ({"limit": ""}, "limit must be a whole number"),
        ({"wait": "61"}, "wait must be a whole number of seconds, 0 to 60"),
        ({"wait": "-1"}, "wait must be a whole number"),
        ({"wait": "1.5"}, "wait must be a whole number"),
        ({"wait": ""}, "wait must be a whole number"),
        ({"wait": "9" * 5000}, "wait must be a whole number"),
        ({"all_users": ""}, "all_users must be true or false"),
        ({"all_users": "1"}, "all_users must be true or false"),
        ({"all_users": "True"}, "all_users must be true or false"),
    ],
)
def test_a_bad_parameter_is_named(query: dict[str, str], message: str) -> None:
    request = pb.ListEventsRequest(**query)
    read: Callable[[pb.ListEventsRequest], object] = event_query.list_terms
    if "wait" in query:
        read = event_query.wait_seconds

    with pytest.raises(InvalidRequest, match=f"^{re.escape(message)}"):
        read(request)


def test_a_list_has_the_usual_size_and_all_types_and_does_not_wait() -> None:
    request = pb.ListEventsRequest()
    terms = event_query.list_terms(request)

    assert (terms.page_size, terms.types, event_query.wait_seconds(request)) == (PAGE_SIZE, frozenset(), 0)


def test_types_are_separated_by_commas() -> None:
    terms = event_query.list_terms(pb.ListEventsRequest(types="invoice.paid,invoices.imported,invoice.paid"))

    assert terms.types == {EventType.INVOICE_PAID, EventType.INVOICES_IMPORTED}


def test_the_last_event_id_has_precedence() -> None:
    """An empty header is no header. A bad `after` is an error even if it does not count."""
    query = pb.WatchEventsRequest(after="beginning")

    assert event_query.watch_terms(pb.WatchEventsRequest(), None).start is Place.NOW
    assert event_query.watch_terms(query, None).start is Place.BEGINNING
    assert event_query.watch_terms(query, "").start is Place.BEGINNING
    resumed = event_query.watch_terms(query, "12")
    assert (resumed.start, resumed.start_name) == (12, "Last-Event-ID")
    cursor = event_query.watch_terms(pb.WatchEventsRequest(all_users="true"), "MQ.x")
    assert cursor.start == Cursor("MQ.x")
    for last, after, name in (
        ("now", "1", "Last-Event-ID"),
        ("x", "1", "Last-Event-ID"),
        ("1", "x", "after"),
    ):
        with pytest.raises(InvalidRequest, match=f"^{name} must be the sequence of an event"):
            event_query.watch_terms(pb.WatchEventsRequest(after=after), last)
