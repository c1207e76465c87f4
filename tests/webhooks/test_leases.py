"""A process sends the events of the webhooks whose leases it has, and only then decides how far they are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.clock_in_hand import ClockInHand
from tests.support.samples import DAKK, NODE_ID, an_invoice, paid
from tests.support.waiting import eventually
from tests.support.webhooks import PATIENT, Process, Receiver, open_process
from tilld.event_log.entry import EventType
from tilld.invoices.repository import Store
from tilld.invoices.webhook import InvoiceWebhook
from tilld.storage.database import open_database
from tilld.webhooks.delivery import Delivery
from tilld.webhooks.repository import CLAIMED_AT_ONCE, WebhookStore
from tilld.webhooks.terms import WebhookTerms
from tilld.webhooks.webhook import Webhook

# Progress is stored so late that a change of the webhook comes first.
LATE = PATIENT._replace(webhook_progress_seconds=10**6)


@pytest.fixture
async def late_till(database_url: str, clock: ClockInHand, receiver: Receiver) -> AsyncIterator[Process]:
    """A Till that stores progress only when it must."""
    async with open_process(database_url, clock, receiver, LATE) as process, process.sending():
        yield process


async def test_a_replay_is_not_undone_by_earlier_progress(late_till: Process, receiver: Receiver) -> None:
    """A caller asks for all events again while the progress of the last ones is not yet stored."""
    webhook = await late_till.create()
    await late_till.happen(3)
    assert await receiver.next_sequences(3) == [1, 2, 3]

    await late_till.service.replay(DAKK, webhook.id, 0)

    assert await receiver.next_sequences(3) == [1, 2, 3]


async def test_a_replay_within_a_round_is_not_undone(
    late_till: Process, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes when the round has seen that the lease is held, and has not yet taken over free webhooks."""
    webhook = await late_till.create()
    await late_till.happen(3)
    assert await receiver.next_sequences(3) == [1, 2, 3]
    claim = late_till.webhooks.claim

    async def replay_and_claim(*arguments: Any, **named: Any) -> None:
        monkeypatch.undo()
        await late_till.happen(1)
        await eventually(lambda: len(receiver.posts) == 4)
        await late_till.service.replay(DAKK, webhook.id, 0)
        await claim(*arguments, **named)

    monkeypatch.setattr(late_till.webhooks, "claim", replay_and_claim)
    late_till.sender.changed()

    assert await receiver.next_sequences(5) == [4, 1, 2, 3, 4]


async def test_a_redelivery_is_not_undone_by_earlier_progress(late_till: Process, receiver: Receiver) -> None:
    """The progress says that the event was accepted, and is stored after the request to send it again."""
    webhook = await late_till.create()
    await late_till.happen(2)
    assert await receiver.next_sequences(2) == [1, 2]

    await late_till.service.redeliver(DAKK, webhook.id, receiver.posts[0].headers["webhook-id"])

    assert await receiver.next_sequences(1) == [1]


async def test_a_disabled_webhook_holds_up_no_invoice(database_url: str) -> None:
    """Its failed deliveries stay due, and are more than the webhooks of invoices taken over in one step."""
    store, now = Store(open_database(database_url)), datetime.now(UTC)
    webhooks = WebhookStore(store)
    disabled = await webhooks.add(Webhook.new(DAKK, WebhookTerms("https://shop.example/", ()), now))
    await webhooks.change(disabled._replace(enabled=False, version=1))
    for sequence in range(1, CLAIMED_AT_ONCE + 2):
        failed = Delivery.new(disabled.id, sequence, f"evt_{sequence}", EventType.INVOICE_PAID)
        await webhooks.put(failed.again(now - timedelta(days=1)))
    invoice = an_invoice()
    webhook = InvoiceWebhook.of(DAKK, invoice, "https://shop.example/", store.secret)
    await store.add(invoice, webhook)
    await store.settle(NODE_ID, [paid(invoice)])

    later = now + timedelta(seconds=30)
    await webhooks.claim("one", later, until=later)

    assert await webhooks.has_due_invoices(later)
    assert [each.id for each in await webhooks.held("one")] == [webhook.id]
    assert await webhooks.due_webhooks("one", later) == [webhook.id]
    await store.close()
