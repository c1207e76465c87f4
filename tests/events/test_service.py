"""Events: lists, streams and long polls of the log, for each caller."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.samples import ANOTHER, DAKK, NODE_ID, NOON, an_invoice, expired, paid
from tests.support.till import Parts
from tilld.auth.caller import Caller, Scope
from tilld.auth.limits import Allowance
from tilld.errors import EventsGone, InvalidRequest, PermissionDenied, TooMany, Unavailable
from tilld.event_log.entry import Change, Entry, EventType
from tilld.events.event import Event, EventPage
from tilld.events.feed import Feed
from tilld.events.terms import Cursor, EventTerms, Place
from tilld.formats.times import utc_now
from tilld.invoices.invoice import Invoice, InvoiceUpdate, Status

ADMIN = Caller("boss", frozenset(Scope))
TYPED = replace(DAKK, type="bar")
HOUR = 3600.0


@pytest.fixture
async def till(tmp_path: Path, database_url: str) -> AsyncIterator[Parts]:
    till = Parts(tmp_path, database_url)
    async with till.reading_events():
        yield till
    await till.close()


def terms(start: Any = Place.BEGINNING, *types: str, **more: Any) -> EventTerms:
    return EventTerms.checked(start, types, **more)


async def add(till: Parts, username: str = "dakk", **fields: Any) -> Invoice:
    return await till.store.add(an_invoice(username, **fields))


async def listed(
    till: Parts, start: Any = Place.BEGINNING, *types: str, **more: Any
) -> list[tuple[int, str]]:
    page = await till.events.page(more.pop("caller", DAKK), terms(start, *types, **more))
    return [(each.entry.sequence, each.entry.type) for each in page.events]


def watching(till: Parts, start: Any, caller: Caller = DAKK, heartbeat: float = HOUR, **more: Any) -> Any:
    return aclosing(till.events.watch(caller, terms(start, **more), heartbeat))


async def next_events(pages: Any) -> list[Event]:
    async with asyncio.timeout(10):
        page: EventPage = await anext(pages)
    return page.events


async def test_each_change_is_an_event_with_the_state_after_it(till: Parts) -> None:
    invoices = [await add(till) for _ in range(4)]
    bought, forgotten, taken_back, late = invoices
    await till.store.settle(NODE_ID, [expired(late)])
    seen = [paid(bought), expired(forgotten), InvoiceUpdate(taken_back.payment_hash, Status.CANCELED, None)]
    await till.store.settle(NODE_ID, [*seen, paid(late, pay_index=2)])

    page = await till.events.page(DAKK, terms())

    assert [(each.entry.sequence, each.entry.type) for each in page.events] == [
        *((number, "invoice.created") for number in (1, 2, 3, 4)),
        (5, "invoice.expired"),
        (6, "invoice.paid"),
        (7, "invoice.expired"),
        (8, "invoice.canceled"),
        (9, "invoice.paid"),
    ]
    assert (page.next, page.is_end) == (9, True)
    states = [each.data for each in page.events]
    assert states[:4] == invoices
    assert states[4] == late._replace(status=Status.EXPIRED)
    assert states[5:] == [
        bought.updated(paid(bought)),
        forgotten.updated(expired(forgotten)),
        taken_back._replace(status=Status.CANCELED),
        late.updated(paid(late, pay_index=2)),
    ]
    assert all(utc_now() - each.recorded_at < timedelta(minutes=1) for each in page.events)


async def test_what_changes_nothing_is_no_event(till: Parts) -> None:
    invoice = await add(till)
    await till.store.add(invoice)
    for _ in range(2):
        await till.store.settle(NODE_ID, [paid(invoice)])
        await till.store.settle(NODE_ID, [expired(invoice), paid(an_invoice())])

    assert await listed(till) == [(1, "invoice.created"), (2, "invoice.paid")]


async def test_sequences_are_dense_for_each_user(till: Parts) -> None:
    """No shop learns how busy another one is."""
    for username in ("dakk", "another", "another", "dakk"):
        await add(till, username)

    assert await listed(till) == [(1, "invoice.created"), (2, "invoice.created")]
    assert await listed(till, caller=ANOTHER) == [(1, "invoice.created"), (2, "invoice.created")]
    assert await listed(till, caller=replace(DAKK, username="nobody")) == []


async def test_a_list_continues_after_a_sequence(till: Parts) -> None:
    for _ in range(5):
        await add(till)
    first = await till.events.page(DAKK, terms(page_size=2))
    second = await till.events.page(DAKK, terms(first.next, page_size=2))
    last = await till.events.page(DAKK, terms(second.next, page_size=2))

    assert [[each.entry.sequence for each in page.events] for page in (first, second, last)] == [
        [1, 2], [3, 4], [5]
    ]  # fmt: skip
    assert [page.is_end for page in (first, second, last)] == [False, False, True]
    assert await listed(till, 5) == await listed(till, Place.NOW) == []
    assert [sequence for sequence, _ in await listed(till, 0)] == [1, 2, 3, 4, 5]


async def test_a_page_has_a_megabyte_at_most(till: Parts) -> None:
    """Envoy and gRPC clients limit responses."""
    large = '{"type":"shop","x":"' + "x" * 16_000 + '"}'
    invoices = [an_invoice(metadata=large) for _ in range(80)]
    await asyncio.gather(*map(till.store.add, invoices))

    first = await till.events.page(DAKK, terms(page_size=1000))
    second = await till.events.page(DAKK, terms(first.next, page_size=1000))

    assert 40 < len(first.events) < 80
    assert not first.is_end
    assert len(first.events) + len(second.events) == 80
    assert second.events[0].entry.sequence == first.next + 1


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (3, "after is beyond the newest event, whose sequence is 2. If the operator restored a"),
        (2**63 - 1, "after is beyond the newest event, whose sequence is 2. If the operator"),
        (2**64 - 1, "after is beyond the newest event, whose sequence is 2. If the operator"),
        (Cursor("abc"), "a cursor needs all_users"),
    ],
)  # fmt: skip
async def test_a_start_beyond_the_end_is_invalid(till: Parts, start: Any, message: str) -> None:
    """Otherwise an application would wait for events that it has missed, after a backup was restored."""
    await add(till)
    await add(till)
    with pytest.raises(InvalidRequest, match=message):
        await till.events.page(DAKK, terms(start))
    with pytest.raises(InvalidRequest, match=message):
        async with watching(till, start) as pages:
            await anext(pages)


async def test_a_type_that_does_not_exist_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"types has 'invoice\.sold'; the types are invoice\.created, "):
        terms(0, "invoice.sold")


async def test_types_are_filtered_and_the_cursor_moves_on(till: Parts) -> None:
    invoice = await add(till)
    await till.store.settle(NODE_ID, [paid(invoice)])
    await add(till)

    page = await till.events.page(DAKK, terms(0, "invoice.paid", "invoice.expired"))

    assert [each.entry.sequence for each in page.events] == [2]
    assert page.next == 3


async def test_a_key_with_a_type_sees_that_type(till: Parts) -> None:
    """Whatever type it asks for."""
    await add(till)
    other = await add(till, metadata='{"type":"bar"}', type="bar")
    await till.store.settle(NODE_ID, [paid(other)])
    await till.store.adopt([an_invoice()])
    await till.store.end_import("dakk")

    assert await listed(till, caller=TYPED) == [(2, "invoice.created"), (3, "invoice.paid")]
    assert await listed(till, caller=TYPED, metadata_type="shop") == []
    assert await listed(till, metadata_type="shop") == [(1, "invoice.created")]
    assert (await till.events.page(TYPED, terms(metadata_type="shop"))).next == 4


async def test_the_preimage_is_for_keys_that_may_read_invoices(till: Parts) -> None:
    invoice = await add(till)
    seen = paid(invoice)
    assert seen.payment
    payment = seen.payment._replace(payment_preimage="ab" * 32)
    await till.store.settle(NODE_ID, [replace(seen, payment=payment)])
    only_events = replace(DAKK, scopes=frozenset({Scope.EVENTS}))

    [shown], [hidden] = [(await till.events.page(caller, terms(1))).events for caller in (DAKK, only_events)]

    assert isinstance(shown.data, Invoice)
    assert isinstance(hidden.data, Invoice)
    assert shown.data.payment == payment
    assert hidden.data.payment == seen.payment


async def test_a_watch_token_reads_no_events(till: Parts) -> None:
    with pytest.raises(PermissionDenied, match="a watch token watches one invoice"):
        await till.events.page(replace(DAKK, invoice_id="a" * 21), terms())


async def test_an_admin_reads_the_logs_of_all_users(till: Parts) -> None:
    """In the order of commits; a cursor continues behind any event."""
    for username in ("dakk", "another", "dakk"):
        await add(till, username)
    wanted = terms(all_users=True)
    page = await till.events.page(ADMIN, wanted)
    second = till.events.cursor_of(wanted, page.events[1])
    rest = await till.events.page(ADMIN, terms(Cursor(second), all_users=True))

    assert [(each.entry.username, each.entry.sequence) for each in page.events] == [
        ("dakk", 1), ("another", 1), ("dakk", 2)
    ]  # fmt: skip
    assert rest.events == page.events[2:]
    end = terms(Cursor(till.events.cursor(wanted, page)), all_users=True)
    assert (await till.events.page(ADMIN, end)).events == []


async def test_all_users_need_the_scope_admin_and_a_cursor_of_this_till(till: Parts) -> None:
    with pytest.raises(PermissionDenied, match="the key lacks the scope admin"):
        await till.events.page(DAKK, terms(all_users=True))
    with pytest.raises(InvalidRequest, match="after must be a cursor with all_users"):
        terms(5, all_users=True)
    for token in ("", "5", "NQ.xxxx", "x" * 10_000):
        with pytest.raises(InvalidRequest, match="is not a cursor of this Till"):
            await till.events.page(ADMIN, terms(Cursor(token), all_users=True))


async def test_a_stream_has_the_log_and_then_new_events(till: Parts) -> None:
    invoice = await add(till)
    async with watching(till, Place.BEGINNING) as pages:
        assert [each.data for each in await next_events(pages)] == [invoice]
        await till.store.settle(NODE_ID, [paid(invoice)])

        [event] = await next_events(pages)

        assert (event.entry.sequence, event.entry.type) == (2, "invoice.paid")
        assert event.data == invoice.updated(paid(invoice))


async def test_a_stream_from_now_says_at_once_where_it_is(till: Parts) -> None:
    await add(till)
    async with watching(till, Place.NOW) as pages:
        assert await anext(pages) == EventPage([], 1, is_end=True)
        await add(till)

        assert [each.entry.sequence for each in await next_events(pages)] == [2]


async def test_a_heartbeat_carries_the_cursor_past_events_that_do_not_match(till: Parts) -> None:
    async with watching(till, 0, heartbeat=0.05, metadata_type="bar") as pages:
        assert (await anext(pages)).next == 0
        await add(till)
        async with asyncio.timeout(10):
            while (beat := await anext(pages)).next < 1:
                assert beat.events == []

        assert beat == EventPage([], 1, is_end=True)


async def test_a_long_poll_waits_for_the_first_event(till: Parts) -> None:
    await add(till)
    polling = asyncio.create_task(till.events.page(DAKK, terms(1, "invoice.paid"), wait_seconds=10))
    while not till.feed.streams:
        await asyncio.sleep(0)
    invoice = await add(till)
    await till.store.settle(NODE_ID, [paid(invoice)])

    page = await polling

    assert [each.entry.sequence for each in page.events] == [3]
    assert not till.feed.streams


async def test_a_long_poll_without_events_ends_with_the_cursor_to_continue_with(till: Parts) -> None:
    invoice = await add(till)
    await till.store.settle(NODE_ID, [expired(invoice)])

    assert await till.events.page(DAKK, terms(0, "invoice.paid"), wait_seconds=0.05) == EventPage(
        [], 2, is_end=True
    )


async def test_streams_and_long_polls_end_when_till_stops(till: Parts) -> None:
    async with watching(till, Place.NOW) as pages:
        await anext(pages)
        polling = asyncio.create_task(till.events.page(DAKK, terms(), wait_seconds=10))
        while till.feed.streams < 2:
            await asyncio.sleep(0)
        till.feed.close()

        with pytest.raises(Unavailable):
            await anext(pages)
        with pytest.raises(Unavailable):
            await polling


async def test_a_thousand_streams_of_a_shop_read_the_log_once(
    till: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    page_of = till.log.page

    async def recorded(username: str, after: int, limit: int) -> Any:
        reads.append((username, after))
        return await page_of(username, after, limit)

    streams = [till.events.watch(DAKK, terms(Place.NOW), HOUR) for _ in range(1000)]
    await asyncio.gather(*map(anext, streams))
    monkeypatch.setattr(till.log, "page", recorded)
    waiting = [asyncio.create_task(anext(each)) for each in streams]
    await asyncio.sleep(0)
    await add(till)

    async with asyncio.timeout(10):
        pages = await asyncio.gather(*waiting)

    assert {page.events[0].entry.sequence for page in pages} == {1}
    assert reads.count(("dakk", 0)) == 1
    for each in streams:
        await each.aclose()


async def test_a_read_that_failed_is_not_shared_with_later_streams(
    till: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(till, Place.NOW) as pages, watching(till, Place.NOW) as later:
        await anext(pages)
        await anext(later)
        get_many, failing = till.store.get_many, [Unavailable()]

        async def fails_once(invoice_ids: Any) -> Any:
            if failing:
                raise failing.pop()
            return await get_many(invoice_ids)

        monkeypatch.setattr(till.store, "get_many", fails_once)
        await add(till)
        with pytest.raises(Unavailable):
            await next_events(pages)

        assert len(await next_events(later)) == 1


async def test_a_reader_that_never_reads_holds_up_nobody(till: Parts) -> None:
    """It is not buffered: it continues in the log when it reads again."""
    async with watching(till, Place.NOW) as slow, watching(till, Place.NOW) as fast:
        await anext(slow)
        await anext(fast)
        for number in range(1, 301):
            await add(till)
            assert [each.entry.sequence for each in await next_events(fast)] == [number]

        first, second = await next_events(slow), await next_events(slow)

        assert [each.entry.sequence for each in (*first, *second)] == list(range(1, 301))


@pytest.mark.parametrize("kind", ["stream", "long poll"])
async def test_readers_count_as_watches(tmp_path: Path, database_url: str, kind: str) -> None:
    till = Parts(tmp_path, database_url, Allowance(watches=1))
    async with watching(till, Place.NOW) as pages:
        await anext(pages)
        another = till.events.watch(DAKK, terms(), HOUR)
        work = anext(another) if kind == "stream" else till.events.page(DAKK, terms(), wait_seconds=1)
        with pytest.raises(TooMany, match=r"too many watches \(1 per key\)"):
            await work
    await till.close()


async def test_removed_events_are_an_error_that_names_the_oldest(till: Parts) -> None:
    for username in ("dakk", "dakk", "another", "dakk"):
        await add(till, username)
    cursor = till.events.cursor(terms(all_users=True), EventPage([], 1, is_end=True))
    assert await till.log.remove(utc_now() - timedelta(hours=1)) == 0
    till.store.removal_batch = 2
    assert await till.log.remove(utc_now() + timedelta(hours=1)) == 2

    for start in (0, 1):
        with pytest.raises(EventsGone, match="the oldest one left is 3: continue after 2") as raised:
            await till.events.page(DAKK, terms(start))
        assert raised.value.facts == {"oldest_sequence": "3"}
    with pytest.raises(EventsGone):
        await till.events.page(ADMIN, terms(Cursor(cursor), all_users=True))
    assert await listed(till) == await listed(till, 2) == [(3, "invoice.created")]
    assert await listed(till, caller=ANOTHER, start=0) == [(1, "invoice.created")]
    assert len((await till.events.page(ADMIN, terms(all_users=True))).events) == 2


async def test_a_stream_whose_next_events_were_removed_ends_with_the_error(till: Parts) -> None:
    for _ in range(201):
        await add(till)
    async with watching(till, 0) as pages:
        assert len(await next_events(pages)) == 200
        await add(till)
        till.store.removal_batch = 201
        assert await till.log.remove(utc_now() + timedelta(hours=1)) == 201

        with pytest.raises(EventsGone, match="the oldest one left is 202"):
            await next_events(pages)


def test_an_event_that_is_recorded_again_has_its_id() -> None:
    """After a restored backup, maybe with another sequence: receivers deduplicate by id."""
    change = Change("dakk", EventType.INVOICE_PAID, "a" * 21)
    ids = {Entry.of(change, number, number, b"secret", NOON).id for number in (1, 2)}
    ids.add(change._replace(detail="another state").event_id(b"secret"))
    others = {
        each.event_id(secret)
        for each, secret in (
            (change, b"another"),
            (change._replace(subject="b" * 21), b"secret"),
            (change._replace(type=EventType.INVOICE_EXPIRED), b"secret"),
            (change._replace(occasion="c" * 64), b"secret"),
        )
    }

    assert len(ids) == 1
    assert len(others | ids) == 5
    assert all(re.fullmatch(r"evt_[A-Za-z0-9_~]{21}", each) for each in others | ids)


async def test_the_log_says_when_it_began(till: Parts) -> None:
    assert abs(await till.log.began_at() - utc_now()) < timedelta(minutes=1)


def test_only_callers_count_as_streams() -> None:
    feed = Feed()

    with feed.listen("dakk"), feed.listen("dakk", is_stream=False):
        assert feed.streams == 1
    assert feed.streams == 0
