"""Calls on webhooks: results, errors and permissions."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.clock_in_hand import ClockInHand
from tests.support.samples import ANOTHER, DAKK, PLENTY
from tests.support.webhooks import (
    ACCEPTED,
    REJECTED,
    URL,
    Process,
    Receiver,
    open_process,
    sequences,
    sqlite_in,
)
from tilld.auth.caller import Caller, Scope
from tilld.auth.limits import Limits
from tilld.errors import EventsGone, InvalidRequest, NotFound, PermissionDenied, TooMany
from tilld.formats.times import utc_now
from tilld.webhooks.delivery import DeliveryState
from tilld.webhooks.service import WebhookChange, next_page, place_of
from tilld.webhooks.transactions import WEBHOOKS_PER_USER

TYPED = replace(DAKK, type="bar")
PAYING = replace(DAKK, scopes=DAKK.scopes | {Scope.PAYOUTS})


@pytest.fixture
async def idle(tmp_path: Path, clock: ClockInHand, receiver: Receiver) -> AsyncIterator[Process]:
    """A Till that sends nothing by itself."""
    async with open_process(sqlite_in(tmp_path), clock, receiver) as process:
        yield process


async def test_a_webhook_begins_with_the_next_event(idle: Process) -> None:
    await idle.happen(2)

    webhook = await idle.create("invoice.paid")

    assert (webhook.url, webhook.types, webhook.sequence) == (URL, ("invoice.paid",), 2)
    assert webhook.enabled
    assert await idle.service.get(DAKK, webhook.id) == webhook
    assert webhook.secret.startswith("whsec_")


async def test_each_webhook_has_its_own_secret(idle: Process) -> None:
    assert (await idle.create()).secret != (await idle.create()).secret


async def test_a_user_has_at_most_16_webhooks(idle: Process) -> None:
    """Deleting one makes room. Other users have their own."""
    webhooks = [await idle.create() for _ in range(WEBHOOKS_PER_USER)]

    with pytest.raises(TooMany, match="^a user has at most 16 webhooks; delete one$"):
        await idle.create()
    await idle.create(caller=ANOTHER)
    await idle.service.remove(DAKK, webhooks[0].id)
    await idle.create()

    assert len(await idle.service.listed(DAKK)) == WEBHOOKS_PER_USER


@pytest.mark.parametrize("caller", [ANOTHER, TYPED], ids=["another user", "a key of a type"])
async def test_others_find_nothing(idle: Process, caller: Caller) -> None:
    webhook = await idle.create()
    service, webhook_id = idle.service, webhook.id

    assert await service.listed(caller) == []
    for call in (
        service.get(caller, webhook_id),
        service.change(caller, webhook_id, WebhookChange(enabled=False)),
        service.rotate(caller, webhook_id),
        service.remove(caller, webhook_id),
        service.test(caller, webhook_id),
        service.deliveries(caller, webhook_id),
        service.redeliver(caller, webhook_id, "evt_" + "a" * 21),
        service.replay(caller, webhook_id, 0),
    ):
        with pytest.raises(NotFound):
            await call
    assert await service.listed(DAKK) == [webhook]


@pytest.mark.parametrize("webhook_id", ["", "x", "a" * 21, "a" * 22, "\ud800" * 21, "é" * 21])
async def test_no_such_webhook(idle: Process, webhook_id: str) -> None:
    with pytest.raises(NotFound):
        await idle.service.get(DAKK, webhook_id)


async def test_the_owner_of_a_typed_key_sees_its_webhooks(idle: Process) -> None:
    webhook = await idle.create(caller=TYPED)

    assert await idle.service.listed(TYPED) == await idle.service.listed(DAKK) == [webhook]


async def test_a_watch_token_cannot_create_webhooks(idle: Process) -> None:
    with pytest.raises(PermissionDenied):
        await idle.create(caller=replace(DAKK, invoice_id="a" * 21))


@pytest.mark.parametrize(
    "url", ["http://shop.example", "https://127.0.0.1/", "https://user:word@shop.example", "ftp://x", ""]
)
async def test_forbidden_urls(idle: Process, url: str) -> None:
    """Neither a new webhook nor a changed one may have them."""
    webhook = await idle.create()

    with pytest.raises(InvalidRequest, match="^url "):
        await idle.create(url=url)
    with pytest.raises(InvalidRequest, match="^url "):
        await idle.service.change(DAKK, webhook.id, WebhookChange(url=url))


async def test_a_change_leaves_the_rest_as_it_is(idle: Process) -> None:
    webhook = await idle.create("invoice.paid")

    renamed = await idle.service.change(DAKK, webhook.id, WebhookChange(url="https://new.example/"))
    widened = await idle.service.change(DAKK, webhook.id, WebhookChange(types=[]))
    stopped = await idle.service.change(DAKK, webhook.id, WebhookChange(enabled=False))

    assert renamed == webhook._replace(url="https://new.example/", version=1)
    assert widened == renamed._replace(types=(), version=2)
    assert stopped == widened._replace(enabled=False, version=3)


async def test_a_key_without_payouts_cannot_redirect_events_of_invoice_requests(idle: Process) -> None:
    """Their string is money. It may still stop or delete the webhook."""
    webhook = await idle.create(caller=PAYING)

    for call in (
        idle.service.change(DAKK, webhook.id, WebhookChange(url="https://new.example/")),
        idle.service.rotate(DAKK, webhook.id),
    ):
        with pytest.raises(PermissionDenied, match="use a key with the scopes invoices:read and payouts"):
            await call
    await idle.service.remove(DAKK, webhook.id)


async def test_a_rotation_shows_the_new_secret(idle: Process, clock: ClockInHand) -> None:
    webhook = await idle.create()

    rotated = await idle.service.rotate(DAKK, webhook.id)

    assert rotated.secret != webhook.secret
    assert rotated.old_secret == webhook.secret
    assert rotated.old_secret_until == clock() + timedelta(days=1)


async def test_a_test_sends_a_ping(idle: Process, receiver: Receiver) -> None:
    """It is in no log, and signed as the others are."""
    webhook = await idle.create()

    attempt = await idle.service.test(DAKK, webhook.id)

    assert (attempt.last_status, attempt.last_error, attempt.succeeded) == (204, "", True)
    [post] = receiver.posts
    assert post.event["type"] == "ping"
    assert post.event["sequence"] == 0
    assert post.event["data"] == {"webhook_id": webhook.id}
    assert post.headers["webhook-id"] == post.event["id"]
    assert await idle.deliveries(webhook) == []


async def test_a_failed_test_says_why(idle: Process, receiver: Receiver) -> None:
    webhook = await idle.create()
    receiver.answer = lambda post: REJECTED

    attempt = await idle.service.test(DAKK, webhook.id)

    assert (attempt.last_status, attempt.last_error) == (500, "status 500")


async def test_tests_are_limited(tmp_path: Path, clock: ClockInHand, receiver: Receiver) -> None:
    limits = Limits(PLENTY, clock=lambda: 1000.0)
    async with open_process(sqlite_in(tmp_path), clock, receiver, limits=limits) as till:
        webhook = await till.create()
        for _ in range(5):
            await till.service.test(DAKK, webhook.id)

        with pytest.raises(TooMany, match="too many tests of webhooks") as failure:
            await till.service.test(DAKK, webhook.id)

    assert failure.value.retry_seconds == 1


async def test_deliveries_are_listed_in_pages_the_newest_first(till: Process, receiver: Receiver) -> None:
    receiver.answer = lambda post: REJECTED if post.sequence % 2 else ACCEPTED
    webhook = await till.create()
    await till.happen(7)
    await receiver.next_sequences(7)
    async with asyncio.timeout(10):
        while len(await till.deliveries(webhook)) < 7:
            await asyncio.sleep(0.002)

    pages, place = [], place_of("", "page_token")
    while True:
        page = await till.service.deliveries(DAKK, webhook.id, None, place, 3)
        pages.append(sequences(page))
        token = next_page(page, 3)
        if not token:
            break
        place = place_of(token, "page_token")

    assert pages == [[7, 6, 5], [4, 3, 2], [1]]
    succeeded = await till.service.deliveries(DAKK, webhook.id, DeliveryState.SUCCEEDED)
    assert sequences(succeeded) == [6, 4, 2]


@pytest.mark.parametrize("token", ["x", "-1", "1.5", "٣", "9" * 40])
def test_a_page_token_of_another_list(token: str) -> None:
    with pytest.raises(InvalidRequest, match="^page_token is not from an earlier page of deliveries$"):
        place_of(token, "page_token")


async def test_an_unknown_event_cannot_be_redelivered(idle: Process, clock: ClockInHand) -> None:
    """Nor one of another user."""
    webhook = await idle.create()
    await idle.happen(1, "another")
    theirs = (await idle.log.page("another", 0, 1)).entries[0]

    for event_id in ("", "evt_" + "a" * 21, theirs.id):
        with pytest.raises(NotFound):
            await idle.service.redeliver(DAKK, webhook.id, event_id)


async def test_a_replay_begins_within_the_log(idle: Process) -> None:
    webhook = await idle.create()
    await idle.happen(3)

    with pytest.raises(InvalidRequest, match="^after is beyond the newest event, whose sequence is 3$"):
        await idle.service.replay(DAKK, webhook.id, 4)
    assert (await idle.service.replay(DAKK, webhook.id, 3)).sequence == 3
    assert (await idle.service.replay(DAKK, webhook.id, 0)).sequence == 0


async def test_a_replay_of_removed_events(idle: Process, clock: ClockInHand) -> None:
    """The error names the oldest event left."""
    await idle.happen(3)
    webhook = await idle.create()
    assert await idle.log.remove(utc_now() + timedelta(days=1)) == 3
    await idle.happen(1)

    with pytest.raises(EventsGone) as failure:
        await idle.service.replay(DAKK, webhook.id, 2)

    assert failure.value.facts == {"oldest_sequence": "4"}
