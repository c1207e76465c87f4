"""Which events are sent, and when: order, repeats, outages, given up webhooks, and several processes."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.support.clock_in_hand import ClockInHand
from tests.support.samples import ANOTHER, DAKK, an_invoice
from tests.support.till import running
from tests.support.waiting import eventually
from tests.support.webhooks import (
    ACCEPTED,
    PATIENT,
    REJECTED,
    URL,
    Post,
    Process,
    Receiver,
    open_process,
    sequences,
)
from tilld.errors import Unavailable
from tilld.event_log.entry import EventType
from tilld.invoices.webhook import InvoiceWebhook
from tilld.webhooks.delivery import DeliveryState
from tilld.webhooks.http.client import Outcome
from tilld.webhooks.service import WebhookChange

# Tasks that wait for the clock while one receiver is out: the sender and the repeats.
OUT = 2
GONE = Outcome(410, "status 410", None, 0.001)


async def until(condition: Any) -> None:
    """Wait until a coroutine function returns a true value."""
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.002)


async def until_posted(receiver: Receiver, clock: ClockInHand) -> None:
    """Move the clock until something is posted."""
    async with asyncio.timeout(10):
        while receiver.is_idle:
            await clock.move(seconds=1)
            await asyncio.sleep(0.002)


async def test_events_arrive_in_order(till: Process, receiver: Receiver) -> None:
    """New events, of one user only. The body is the event of a list."""
    await till.happen(2)
    webhook = await till.create()
    await till.happen(1, "another")
    invoices = await till.happen(3)
    await till.pay(invoices[1])

    assert await receiver.next_sequences(4) == [3, 4, 5, 6]
    last = receiver.posts[-1]
    assert last.event["type"] == "invoice.paid"
    assert last.event["data"]["invoiceid"] == invoices[1].invoice_id
    assert last.headers["webhook-id"] == last.event["id"]
    assert last.headers["content-type"] == "application/json"

    async def is_stored() -> bool:
        return (await till.stored(webhook)).sequence == 6

    await until(is_stored)
    assert sequences(await till.deliveries(webhook)) == [3, 4, 5, 6]


async def test_types_that_were_not_asked_for_are_skipped(till: Process, receiver: Receiver) -> None:
    await till.create("invoice.paid")
    invoices = await till.happen(3)
    await till.pay(*invoices[:2])

    assert await receiver.next_sequences(2) == [4, 5]


async def test_a_rejected_event_does_not_block_later_ones(
    till: Process, receiver: Receiver, clock: ClockInHand
) -> None:
    """It follows its own schedule, also while others are accepted."""
    receiver.answer = lambda post: REJECTED if post.sequence == 1 else ACCEPTED
    webhook = await till.create()
    await till.happen(3)

    assert await receiver.next_sequences(3) == [1, 2, 3]
    [pending] = await till.deliveries(webhook, DeliveryState.PENDING)
    assert pending.next_attempt_at
    pause = pending.next_attempt_at - clock()
    assert timedelta(seconds=4.5) <= pause <= timedelta(seconds=5.6)

    await clock.move(seconds=6)
    assert await receiver.next_sequences(1) == [1]
    await till.happen(1)
    assert await receiver.next_sequences(1) == [4]
    [pending] = await till.deliveries(webhook, DeliveryState.PENDING)
    assert pending.attempts == 2
    assert receiver.is_idle

    receiver.answer = lambda post: ACCEPTED
    await clock.move(minutes=6)
    assert await receiver.next_sequences(1) == [1]

    async def is_settled() -> bool:
        return not await till.deliveries(webhook, DeliveryState.PENDING)

    await until(is_settled)
    assert {(post.headers["webhook-id"], post.body) for post in receiver.posts if post.sequence == 1} == {
        (receiver.posts[0].headers["webhook-id"], receiver.posts[0].body)
    }


async def test_an_outage_of_a_day(till: Process, receiver: Receiver, clock: ClockInHand) -> None:
    """Few attempts meanwhile, and all events in order afterwards, each once under one id."""
    receiver.answer = lambda post: REJECTED
    webhook = await till.create()
    await till.happen(30)
    for _ in range(24 * 6):
        await clock.is_awaited_by(OUT)
        await clock.move(minutes=10)
    assert len(receiver.posts) < 400

    accepted: list[Post] = []

    def accept(post: Post) -> Outcome:
        accepted.append(post)
        return ACCEPTED

    receiver.answer = accept
    await clock.is_awaited_by(OUT)
    await clock.move(minutes=5)
    await eventually(lambda: len({post.sequence for post in accepted}) == 30)

    assert [post.sequence for post in accepted] == [*range(1, 31)]
    assert len({post.headers["webhook-id"] for post in receiver.posts}) <= 30
    await till.happen(1)
    await eventually(lambda: accepted[-1].sequence == 31)

    async def is_healthy() -> bool:
        return (await till.stored(webhook)).failing_since is None

    await until(is_healthy)


async def test_what_was_rejected_before_an_outage_keeps_its_order(
    till: Process, receiver: Receiver, clock: ClockInHand
) -> None:
    """The pauses of the first three vary. An event that a caller wants now does not wait."""
    receiver.answer = lambda post: REJECTED
    webhook = await till.create()
    await till.happen(6)
    assert await receiver.next_sequences(3) == [1, 2, 3]
    await clock.is_awaited_by(OUT)
    wanted = receiver.posts[1].headers["webhook-id"]
    await till.service.redeliver(DAKK, webhook.id, wanted)
    assert await receiver.next_sequences(1) == [2]
    third = (await till.deliveries(webhook, DeliveryState.PENDING))[2]
    await till.webhooks.put(third._replace(next_attempt_at=clock() + timedelta(seconds=1)))

    receiver.answer = lambda post: ACCEPTED
    async with asyncio.timeout(10):
        while len(receiver.posts) < 4 + 6:
            await clock.move(milliseconds=500)
            await asyncio.sleep(0.005)

    assert await receiver.next_sequences(6) == [1, 2, 3, 4, 5, 6]


async def test_an_event_that_is_never_accepted_does_not_prolong_an_outage(
    till: Process, receiver: Receiver, clock: ClockInHand
) -> None:
    """The oldest of three rejected ones is poison; the next event in line shows that the others may pass."""
    receiver.answer = lambda post: REJECTED
    await till.create()
    await till.happen(4)
    assert await receiver.next_sequences(3) == [1, 2, 3]

    receiver.answer = lambda post: REJECTED if post.sequence == 1 else ACCEPTED
    await until_posted(receiver, clock)
    await eventually(lambda: {2, 3, 4} <= {post.sequence for post in receiver.posts[3:]})


async def test_a_receiver_may_ask_for_a_pause(till: Process, receiver: Receiver, clock: ClockInHand) -> None:
    """The line waits too, and keeps its order."""
    receiver.answer = lambda post: Outcome(429, "status 429", 120.0, 0.001)
    await till.create()
    await till.happen(3)
    assert await receiver.next_sequences(1) == [1]

    receiver.answer = lambda post: ACCEPTED
    await clock.is_awaited_by(3)
    await clock.move(seconds=119)
    await till.happen(1)
    assert receiver.is_idle
    await clock.move(seconds=2)
    assert await receiver.next_sequences(4) == [1, 2, 3, 4]


async def test_a_receiver_may_ask_for_a_pause_after_an_outage(
    till: Process, receiver: Receiver, clock: ClockInHand
) -> None:
    receiver.answer = lambda post: REJECTED
    await till.create()
    await till.happen(3)
    assert await receiver.next_sequences(3) == [1, 2, 3]
    receiver.answer = lambda post: ACCEPTED
    await until_posted(receiver, clock)
    assert await receiver.next_sequences(3) == [1, 2, 3]

    receiver.answer = lambda post: Outcome(503, "status 503", 120.0, 0.001)
    await till.happen(2)
    assert await receiver.next_sequences(1) == [4]
    receiver.answer = lambda post: ACCEPTED
    await until_posted(receiver, clock)
    assert await receiver.next_sequences(2) == [4, 5]


async def test_410_disables_the_webhook(till: Process, receiver: Receiver) -> None:
    """The other webhook of the user receives the event. After the change nothing was lost."""
    receiver.answer = lambda post: GONE if post.url.endswith("/gone") else ACCEPTED
    gone = await till.create(url="https://shop.example/gone")
    await till.create("webhook.disabled")
    await till.happen(2)

    while (post := await receiver.next()).event["type"] != EventType.WEBHOOK_DISABLED:
        pass
    assert post.event["data"] == {
        "id": gone.id,
        "url": "https://shop.example/gone",
        "reason": "the receiver answered 410 (Gone); enable the webhook when it accepts events again",
    }
    stored = await till.stored(gone)
    assert not stored.enabled
    assert stored.disabled_reason == post.event["data"]["reason"]

    receiver.answer = lambda post: ACCEPTED
    before = len(receiver.posts)
    await till.service.change(DAKK, gone.id, WebhookChange(enabled=True))
    await eventually(lambda: {post.sequence for post in receiver.posts[before:]} >= {1, 2, 3})
    assert (await till.stored(gone)).disabled_reason == ""


async def test_five_days_without_success_disable_the_webhook(
    till: Process, receiver: Receiver, clock: ClockInHand
) -> None:
    receiver.answer = lambda post: Outcome(None, "connection refused", None, 0.001)
    webhook = await till.create()
    await till.happen(30)
    await receiver.next_sequences(3)
    await until_posted(receiver, clock)
    await receiver.next()

    async def is_disabled() -> bool:
        return not (await till.stored(webhook)).enabled

    await clock.is_awaited_by(OUT)
    await clock.move(days=4, hours=23)
    await receiver.next()
    assert not await is_disabled()
    await clock.is_awaited_by(OUT)
    await clock.move(hours=2)
    await until(is_disabled)
    assert (await till.stored(webhook)).disabled_reason == (
        "no event was accepted for 5 days (connection refused); enable the webhook when it works"
    )


async def test_a_dead_delivery_stays_listed_and_can_be_redelivered(
    till: Process, receiver: Receiver, clock: ClockInHand
) -> None:
    """The webhook stays enabled, since others are accepted."""
    receiver.answer = lambda post: REJECTED if post.sequence == 1 else ACCEPTED
    webhook = await till.create()
    await till.happen(2)
    assert await receiver.next_sequences(2) == [1, 2]
    for _ in range(9):
        [pending] = await till.deliveries(webhook, DeliveryState.PENDING)
        assert pending.next_attempt_at
        await clock.move(seconds=(pending.next_attempt_at - clock()).total_seconds())
        assert await receiver.next_sequences(1) == [1]

        async def is_attempted(attempts: int = pending.attempts + 1) -> bool:
            return (await till.deliveries(webhook))[0].attempts == attempts

        await until(is_attempted)

    [dead] = await till.deliveries(webhook, DeliveryState.DEAD)
    assert (dead.sequence, dead.attempts, dead.next_attempt_at) == (1, 10, None)
    assert (await till.stored(webhook)).enabled
    assert till.attempts.outcomes == {"succeeded": 1, "failed": 9, "dead": 1}

    receiver.answer = lambda post: ACCEPTED
    await till.service.redeliver(DAKK, webhook.id, dead.event_id)
    assert await receiver.next_sequences(1) == [1]

    async def has_arrived() -> bool:
        return (await till.deliveries(webhook))[0].state is DeliveryState.SUCCEEDED

    await until(has_arrived)


async def test_an_event_that_arrived_can_be_redelivered(till: Process, receiver: Receiver) -> None:
    webhook = await till.create()
    await till.happen(2)
    await receiver.next_sequences(2)

    await till.service.redeliver(DAKK, webhook.id, receiver.posts[0].headers["webhook-id"])

    assert await receiver.next_sequences(1) == [1]
    assert receiver.posts[0].body == receiver.posts[2].body


async def test_a_replay_sends_all_events_after_a_sequence_again(till: Process, receiver: Receiver) -> None:
    receiver.answer = lambda post: REJECTED if post.sequence == 3 else ACCEPTED
    webhook = await till.create()
    await till.happen(4)
    await receiver.next_sequences(4)

    receiver.answer = lambda post: ACCEPTED
    await till.service.replay(DAKK, webhook.id, 1)

    assert await receiver.next_sequences(3) == [2, 3, 4]
    await till.happen(1)
    assert await receiver.next_sequences(1) == [5]
    assert await till.deliveries(webhook, DeliveryState.PENDING) == []


async def test_a_changed_webhook_goes_on_where_it_was(till: Process, receiver: Receiver) -> None:
    webhook = await till.create()
    await till.happen(2)
    await receiver.next_sequences(2)

    await till.service.change(DAKK, webhook.id, WebhookChange(url="https://shop.example/new"))
    while (await receiver.next() if not receiver.is_idle else receiver.posts[-1]).url == URL:
        await till.happen(1)

    found = [post.sequence for post in receiver.posts]
    assert sorted({*found}) == [*range(1, max(found) + 1)]


async def test_events_of_a_stopped_webhook_wait(till: Process, receiver: Receiver) -> None:
    webhook = await till.create()
    await till.service.change(DAKK, webhook.id, WebhookChange(enabled=False))

    async def is_released() -> bool:
        return (await till.stored(webhook)).owner == ""

    await until(is_released)
    await till.happen(3)
    assert receiver.is_idle

    await till.service.change(DAKK, webhook.id, WebhookChange(enabled=True))
    assert await receiver.next_sequences(3) == [1, 2, 3]


async def test_a_deleted_webhook_receives_nothing_more(till: Process, receiver: Receiver) -> None:
    gone, other = await till.create(url="https://shop.example/gone"), await till.create()
    await till.service.remove(DAKK, gone.id)

    async def is_ended() -> bool:
        return [each.id for each in await till.service.listed(DAKK)] == [other.id]

    await until(is_ended)
    await till.happen(1)
    assert (await receiver.next()).url == other.url
    await till.happen(1)
    assert (await receiver.next()).url == other.url


async def test_the_final_state_of_an_invoice(till: Process, receiver: Receiver, clock: ClockInHand) -> None:
    """Only that of this invoice, and repeated like others."""
    receiver.answer = lambda post: REJECTED
    invoice, other = an_invoice(), an_invoice()
    webhook = InvoiceWebhook.of(DAKK, invoice, "https://shop.example/order/7", till.store.secret)
    await till.store.add(invoice, webhook)
    await till.store.add(other)
    await till.pay(other, invoice)
    await clock.move(seconds=1)

    post = await receiver.next()
    assert post.url == "https://shop.example/order/7"
    assert post.event["type"] == "invoice.paid"
    assert post.event["data"]["invoiceid"] == invoice.invoice_id

    receiver.answer = lambda post: ACCEPTED
    await until_posted(receiver, clock)
    assert (await receiver.next()).headers["webhook-id"] == post.headers["webhook-id"]
    assert {each.event["data"]["invoiceid"] for each in receiver.posts} == {invoice.invoice_id}


async def test_another_user_sees_nothing(till: Process, receiver: Receiver) -> None:
    await till.create()
    await till.create(caller=ANOTHER, url="https://another.example/")
    await till.happen(1)
    await till.happen(1, "another")

    assert {(await receiver.next()).url for _ in range(2)} == {
        "https://shop.example/hook",
        "https://another.example/",
    }
    assert {(post.url, post.event["data"]["username"]) for post in receiver.posts} == {
        ("https://shop.example/hook", "dakk"),
        ("https://another.example/", "another"),
    }


async def test_another_process_takes_over_after_a_stop(
    database_url: str, clock: ClockInHand, receiver: Receiver
) -> None:
    """Events that the first one has sent are not sent again."""
    async with open_process(database_url, clock, receiver) as first:
        async with first.sending():
            await first.create()
            await first.happen(3)
            await receiver.next_sequences(3)
        other = Receiver()
        async with open_process(database_url, clock, other) as second, second.sending():
            await second.happen(1)
            assert await other.next_sequences(1) == [4]


async def test_a_process_that_is_alone_does_not_wait_for_its_lease_after_a_crash(
    database_url: str, clock: ClockInHand, receiver: Receiver
) -> None:
    async with open_process(database_url, clock, receiver, owner="local") as killed:
        async with running(killed.log_follower.run()), running(killed.sender.run()):
            await killed.create()
            await killed.happen(1)
            await receiver.next()
    other = Receiver()
    async with open_process(database_url, clock, other, owner="local") as again, again.sending():
        await again.happen(1)
        while await other.next_sequences(1) != [2]:
            pass


async def test_another_process_takes_over_when_the_lease_of_a_dead_one_ends(
    database_url: str, clock: ClockInHand, receiver: Receiver
) -> None:
    """Not before. The dead process sends nothing more, though it does not know that it is dead."""
    short = PATIENT._replace(webhook_lease_seconds=30)
    other = Receiver()
    async with (
        open_process(database_url, clock, receiver, short) as first,
        open_process(database_url, clock, other, short) as second,
        running(first.log_follower.run()),
    ):
        # Its workers continue, but nothing renews their leases.
        async with running(first.sender.run()):
            webhook = await first.create()
            await first.happen(1)
            await receiver.next()
        owner = (await first.stored(webhook)).owner

        async def is_taken_over() -> bool:
            return (await second.stored(webhook)).owner not in ("", owner)

        async with second.sending():
            await clock.is_awaited_by(2)
            await clock.move(seconds=29)
            await clock.is_awaited_by(2)
            assert not await is_taken_over()
            await clock.move(seconds=2)
            await until(is_taken_over)
            await second.happen(1)
            while await other.next_sequences(1) != [2]:
                pass
    assert len(receiver.posts) == 1


async def test_a_failure_of_the_store_loses_no_event(
    till: Process, clock: ClockInHand, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rejected event that cannot be listed stays in line."""
    failed = asyncio.Event()

    async def fail(*_: Any) -> bool:
        failed.set()
        raise Unavailable

    await till.create()
    await till.happen(1)
    await receiver.next()
    monkeypatch.setattr(till.webhooks, "attempted", fail)
    receiver.answer = lambda post: REJECTED
    await till.happen(1)
    assert await receiver.next_sequences(1) == [2]
    await failed.wait()
    monkeypatch.undo()
    receiver.answer = lambda post: ACCEPTED
    await until_posted(receiver, clock)

    # What was not stored yet is sent again.
    while await receiver.next_sequences(1) != [2]:
        pass


async def test_invoices_of_one_user_do_not_delay_others(
    till: Process, receiver: Receiver, clock: ClockInHand
) -> None:
    """A user may have thousands of webhooks of single invoices, whose receivers may hang."""
    forever = asyncio.Event()

    async def post(url: str, headers: dict[str, str], body: bytes) -> Outcome:
        hanging.append(url)
        if "hangs" in url:
            await forever.wait()
        return await Receiver.post(receiver, url, headers, body)

    hanging: list[str] = []
    receiver.post = post  # type: ignore[method-assign]
    invoices = [an_invoice("another") for _ in range(90)]
    for invoice in invoices:
        webhook = InvoiceWebhook.of(ANOTHER, invoice, "https://hangs.example/", till.store.secret)
        await till.store.add(invoice, webhook)
    await till.pay(*invoices)
    async with asyncio.timeout(10):
        while len(hanging) < 16:
            await clock.move(seconds=1)
            await asyncio.sleep(0.005)
    await till.create()
    await till.happen(1)

    assert (await receiver.next()).url == "https://shop.example/hook"
    assert len(hanging) == 16 + 1


@pytest.mark.parametrize("hanging", [40])
async def test_receivers_that_hang_do_not_delay_others(
    till: Process, receiver: Receiver, hanging: int
) -> None:
    """More than one user can have; each hangs for the first time."""
    forever = asyncio.Event()

    async def post(url: str, headers: dict[str, str], body: bytes) -> Outcome:
        if "hangs" in url:
            await forever.wait()
        return await Receiver.post(receiver, url, headers, body)

    receiver.post = post  # type: ignore[method-assign]
    for number in range(hanging):
        user = f"user{number // 16}"
        caller = ANOTHER.__class__(user, ANOTHER.scopes)
        await till.create(url=f"https://hangs.example/{number}", caller=caller)
        await till.happen(1, user)
    await till.create()
    await till.happen(1)

    assert (await receiver.next()).url == "https://shop.example/hook"
