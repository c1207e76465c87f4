"""The part of `tilld doctor` about webhooks."""

from datetime import timedelta

from tests.support.samples import DAKK, NOON, an_invoice
from tests.support.webhooks import URL, Process
from tilld.auth.caller import OPERATOR
from tilld.cli.webhook_audit import audit, described
from tilld.event_log.entry import EventType
from tilld.formats.times import utc_now
from tilld.invoices.webhook import InvoiceWebhook
from tilld.webhooks.delivery import Attempt, Delivery, DeliveryState
from tilld.webhooks.service import WebhookChange


async def lines(till: Process, *, hours: float = 0, repair: bool = False) -> list[str]:
    """Return what the doctor prints, so many hours later."""
    found = await audit(till.store, repair=repair)
    return [*described(found, repaired=repair, now=utc_now() + timedelta(hours=hours))]


async def deliver(till: Process, webhook_id: str, state: DeliveryState) -> None:
    """Store a failed delivery of the first event, attempted at noon."""
    delivery = Delivery.new(webhook_id, 1, "evt_" + "a" * 21, EventType.INVOICE_PAID)
    await till.webhooks.put(delivery.attempted(Attempt(NOON, 7, 500, "status 500"))._replace(state=state))


async def test_without_webhooks_there_is_nothing_to_say(idle: Process) -> None:
    await idle.happen(1)

    assert await lines(idle, hours=9) == []


async def test_webhooks_that_work_are_only_counted(idle: Process) -> None:
    await idle.create()
    await idle.create()

    assert await lines(idle, hours=9) == ["webhooks: 2, all of them: tilld webhook list"]


async def test_a_webhook_is_late_after_an_hour(idle: Process) -> None:
    webhook = await idle.create()
    await idle.happen(2)
    [entry] = (await idle.log.page("dakk", 0, 1)).entries

    assert len(await lines(idle, hours=0.9)) == 1
    since = f"since {entry.recorded_at:%Y-%m-%d %H:%M:%S} UTC"
    assert (await lines(idle, hours=1.1))[1:] == [
        f"webhook {webhook.id} of dakk (shop.example) is late; events that wait: 2, {since}"
    ]


async def test_a_disabled_webhook_is_listed_with_its_reason_and_losses(idle: Process) -> None:
    webhook, by_user = await idle.create(), await idle.create()
    await deliver(idle, webhook.id, DeliveryState.DEAD)
    reason = WebhookChange(enabled=False, disabled_reason="moving house")
    await idle.service.change(OPERATOR, webhook.id, reason)
    await idle.service.change(DAKK, by_user.id, WebhookChange(enabled=False))
    await idle.happen(1)
    assert await idle.log.remove(utc_now() + timedelta(days=1))

    _, *found = await lines(idle)

    removed = "events that were removed before they were sent: 1 at most"
    assert set(found) == {
        f"webhook {each.id} of dakk (shop.example) is disabled: {why}; {removed}"
        for each, why in ((webhook, "moving house"), (by_user, "by its user"))
    }


async def test_events_that_were_given_up_are_listed(idle: Process) -> None:
    webhook = await idle.create()
    await deliver(idle, webhook.id, DeliveryState.DEAD)

    assert (await lines(idle))[1:] == [
        f"webhook {webhook.id} of dakk (shop.example) works; events that were given up: 1"
    ]


async def test_the_webhooks_of_invoices_are_summed_up(idle: Process) -> None:
    for state in DeliveryState:
        invoice = an_invoice()
        webhook = InvoiceWebhook.of(DAKK, invoice, URL, idle.store.secret)
        await idle.store.add(invoice, webhook)
        await deliver(idle, webhook.id, state)

    assert await lines(idle) == [
        "webhooks of invoices are late; final states that wait: 1, since 2026-11-21 12:00:00 UTC",
        "webhooks of invoices; final states that were given up: 1",
    ]


async def test_a_repair_removes_deliveries_of_nobody(idle: Process) -> None:
    await deliver(idle, "x" * 21, DeliveryState.PENDING)

    assert await lines(idle) == [
        "deliveries that belong to no webhook: 1; to remove them, run: tilld doctor --repair"
    ]
    assert await lines(idle, repair=True) == ["deliveries that belonged to no webhook, removed: 1"]
    assert await lines(idle) == []
