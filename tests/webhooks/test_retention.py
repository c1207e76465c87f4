"""The removal of old events keeps those that a webhook has yet to deliver."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from tests.support.clock_in_hand import ClockInHand
from tests.support.samples import ANOTHER, DAKK, NODE_ID, NOON, an_invoice, expired
from tests.support.webhooks import (
    URL,
    Process,
    Receiver,
    open_process,
    sequences,
    sqlite_in,
)
from till.webhooks import sign
from tilld.auth.caller import OPERATOR
from tilld.event_log.entry import ALL_USERS, EventType
from tilld.invoices.invoice import Invoice
from tilld.invoices.webhook import InvoiceWebhook
from tilld.storage.backup import back_up, restore
from tilld.webhooks.delivery import Attempt, Delivery, DeliveryState
from tilld.webhooks.service import WebhookChange
from tilld.webhooks.transactions import Progress
from tilld.webhooks.webhook import Webhook

ALWAYS = datetime.max.replace(tzinfo=UTC)
USERS = ("dakk", "another")


async def left(till: Process) -> list[int]:
    """Remove all events that are not needed; return how many are left of both users."""
    while await till.log.remove(ALWAYS):
        pass
    bounds = [await till.log.bounds(each) for each in USERS]
    assert all(each.is_complete for each in await till.log.audit())
    return [each.newest - each.removed for each in bounds]


async def deliver(till: Process, webhook: Webhook, *events: tuple[int, DeliveryState]) -> None:
    """Store deliveries in these states, and that the events up to the last one are no longer in line."""
    for sequence, state in events:
        delivery = Delivery.new(webhook.id, sequence, f"evt_{sequence:021}", EventType.INVOICE_PAID)
        attempt = Attempt(NOON, 7, 500, "status 500")
        await till.webhooks.put(delivery.attempted(attempt)._replace(state=state))
    await advance(till, webhook, events[-1][0])


async def advance(till: Process, webhook: Webhook, sequence: int) -> None:
    """Move a webhook in the line, and keep its deliveries."""
    stored = await till.stored(webhook)
    await till.webhooks.claim("sender", ALWAYS, until=ALWAYS)
    await till.webhooks.advance([Progress(stored._replace(owner="sender", sequence=sequence))])
    await till.webhooks.release("sender")
    assert (await till.stored(webhook)).sequence == sequence


async def test_events_in_line_stay_and_all_after_them(idle: Process) -> None:
    """Also those of other users: removal is only from the front, so that no log has a gap."""
    await idle.happen(2)
    await idle.happen(1, "another")
    webhook = await idle.create()
    await idle.happen(1)
    await idle.happen(2, "another")
    await idle.happen(1)

    assert await left(idle) == [2, 2]
    assert (await idle.log.bounds(ALL_USERS)).removed == 3
    await advance(idle, webhook, 3)
    assert await left(idle) == [1, 0]
    await advance(idle, webhook, 4)
    assert await left(idle) == [0, 0]


async def test_the_webhook_that_is_farthest_behind_counts(idle: Process) -> None:
    """Each user has their own line."""
    first, second = await idle.create(), await idle.create()
    of_another = await idle.create(caller=ANOTHER)
    for _ in range(3):
        await idle.happen(1)
        await idle.happen(1, "another")

    await advance(idle, first, 3)
    assert await left(idle) == [3, 3]
    await advance(idle, second, 2)
    assert await left(idle) == [2, 3]
    await advance(idle, of_another, 3)
    assert await left(idle) == [1, 1]
    await idle.service.remove(OPERATOR, second.id)
    assert await left(idle) == [0, 0]


async def test_a_disabled_webhook_keeps_nothing(idle: Process) -> None:
    """Otherwise an abandoned one would keep the log of all users. Its deliveries go with their events."""
    disabled, working = await idle.create(), await idle.create()
    await idle.happen(3)
    pending = DeliveryState.PENDING
    await deliver(idle, disabled, (1, pending), (2, pending))
    await advance(idle, working, 1)
    assert await left(idle) == [3, 0]

    await idle.service.change(OPERATOR, disabled.id, WebhookChange(enabled=False))

    assert await left(idle) == [2, 0]
    assert sequences(await idle.deliveries(disabled)) == [2]
    assert (await idle.stored(disabled)).sequence == 2


async def test_pending_deliveries_keep_their_events_and_dead_ones_do_not(idle: Process) -> None:
    """A delivery is removed with its event; until then people may redeliver it."""
    webhook = await idle.create()
    await idle.happen(4)
    dead, pending, succeeded = DeliveryState.DEAD, DeliveryState.PENDING, DeliveryState.SUCCEEDED
    await deliver(idle, webhook, (1, dead), (2, succeeded), (3, pending), (4, dead))

    assert await left(idle) == [2, 0]
    assert sequences(await idle.deliveries(webhook)) == [3, 4]
    await deliver(idle, webhook, (3, succeeded), (4, dead))
    assert await left(idle) == [0, 0]
    assert await idle.deliveries(webhook) == []
    assert await idle.webhooks.of_user("dakk") == [await idle.stored(webhook)]


async def with_webhook(till: Process) -> tuple[Invoice, str]:
    """Add an invoice with a webhook; return both."""
    invoice = an_invoice()
    webhook = InvoiceWebhook.of(DAKK, invoice, URL, till.store.secret)
    await till.store.add(invoice, webhook)
    return invoice, webhook.id


async def test_the_webhook_of_an_invoice_goes_with_its_final_state(idle: Process) -> None:
    """While the invoice is open its webhook stays, whatever else is removed."""
    (closed, of_closed), (_, of_open), (lapsed, of_lapsed) = [await with_webhook(idle) for _ in range(3)]
    assert await left(idle) == [0, 0]
    await idle.pay(closed)
    await idle.store.settle(NODE_ID, [expired(lapsed)])

    # Neither has arrived.
    assert await left(idle) == [2, 0]
    await idle.webhooks.put((await only_delivery(idle, of_closed))._replace(state=DeliveryState.SUCCEEDED))
    assert await left(idle) == [1, 0]
    assert await idle.webhooks.get(of_closed) is None
    assert await idle.webhooks.deliveries(of_closed, None, 100, 100) == []
    await idle.webhooks.put((await only_delivery(idle, of_lapsed))._replace(state=DeliveryState.DEAD))
    assert await left(idle) == [0, 0]
    assert await idle.webhooks.get(of_lapsed) is None
    assert await idle.webhooks.get(of_open)


async def only_delivery(till: Process, webhook_id: str) -> Delivery:
    """Return the only delivery of a webhook."""
    [delivery] = await till.webhooks.deliveries(webhook_id, None, 100, 100)
    return delivery


async def test_a_restored_webhook_sends_the_events_of_the_backup_again(
    tmp_path: Path, clock: ClockInHand, receiver: Receiver
) -> None:
    """Those in line and those that had failed, under the ids of the first time and by the same secret.

    Events since the backup, which the restored log lacks, are sent when the node reports them again.
    """
    url, backup = sqlite_in(tmp_path), tmp_path / "backup"
    async with open_process(url, clock, receiver) as process:
        webhook = await process.create()
        open_invoice, _, _ = await process.happen(3)
        await deliver(process, webhook, (1, DeliveryState.PENDING))
        await asyncio.to_thread(back_up, url, backup)
        async with process.sending():
            await process.pay(open_invoice)
            # The failed delivery was due, so it goes first.
            assert await receiver.next_sequences(4) == [1, 2, 3, 4]
        await process.service.rotate(DAKK, webhook.id)
    restore(backup, url, replace=True)
    ids = [each.headers["webhook-id"] for each in receiver.posts]

    async with open_process(url, clock, receiver) as process, process.sending():
        assert await receiver.next_sequences(3) == [1, 2, 3]
        await process.pay(open_invoice)
        assert await receiver.next_sequences(1) == [4]

    again = receiver.posts[4:]
    assert [each.headers["webhook-id"] for each in again] == ids
    for post in again:
        timestamp = int(post.headers["webhook-timestamp"])
        signature = sign(webhook.secret, post.headers["webhook-id"], timestamp, post.body)
        assert post.headers["webhook-signature"] == signature
