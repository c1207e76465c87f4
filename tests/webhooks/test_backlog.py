"""The backlog of webhooks, as the operator sees it, and the operator's access to webhooks of all users."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.clock_in_hand import ClockInHand
from tests.support.samples import ANOTHER, DAKK, NOON, an_invoice
from tests.support.webhooks import URL, Process
from tilld.auth.caller import OPERATOR, SHOP, Caller, Scope
from tilld.errors import NotFound
from tilld.event_log.entry import EventType
from tilld.webhooks.backlog import LATE, Backlog
from tilld.webhooks.delivery import Attempt, Delivery, DeliveryState
from tilld.webhooks.service import WebhookChange
from tilld.webhooks.webhook import Webhook

FAILED = Attempt(NOON, 7, 500, "status 500")


def counts(backlog: Backlog) -> tuple[int, int, int, int]:
    return backlog.in_line, backlog.pending, backlog.dead, backlog.removed


async def failed(till: Process, webhook: Webhook, sequence: int, state: DeliveryState) -> None:
    """Store a delivery that has failed."""
    new = Delivery.new(webhook.id, sequence, f"evt_{sequence:021}", EventType.INVOICE_PAID)
    attempted = new.attempted(FAILED)
    await till.webhooks.put(attempted._replace(state=state))


async def test_only_events_that_the_webhook_receives_are_in_line(idle: Process) -> None:
    """By type, and by the type of invoices; those of other users and earlier ones do not count."""
    await idle.happen(1)
    everything = await idle.create()
    payments = await idle.create("invoice.paid", "invoice.expired")
    terminal = await idle.create(caller=replace(DAKK, type="terminal"))
    await idle.happen(2, "another")
    invoices = await idle.happen(3)
    await idle.store.add(an_invoice()._replace(type="terminal"))
    await idle.pay(*invoices[:2])

    backlogs = [await idle.webhooks.backlog(each, 0) for each in (everything, payments, terminal)]

    assert [counts(each) for each in backlogs] == [(6, 0, 0, 0), (2, 0, 0, 0), (1, 0, 0, 0)]
    assert [each.waiting for each in backlogs] == [6, 2, 1]
    entries = (await idle.log.page("dakk", 1, 10)).entries
    assert [each.since for each in backlogs] == [entries[at].recorded_at for at in (0, 4, 3)]


async def test_failed_deliveries_wait_and_dead_ones_do_not(idle: Process) -> None:
    webhook = await idle.create()
    for sequence, state in enumerate(DeliveryState, 1):
        await failed(idle, webhook, sequence, state)
    await failed(idle, webhook, 9, DeliveryState.PENDING)

    backlog = await idle.webhooks.backlog(webhook, removed=2)

    assert (counts(backlog), backlog.waiting, backlog.since) == ((0, 2, 1, 2), 2, NOON)
    assert not backlog.is_late(NOON + LATE)
    assert backlog.is_late(NOON + LATE + timedelta(milliseconds=1))


async def test_the_webhook_of_an_invoice_has_no_line(idle: Process) -> None:
    """Events of other invoices are not its own, also while it has the sequence 0."""
    of_invoice = (await idle.create())._replace(invoice_id="i" * 21, sequence=0)
    await idle.happen(2)

    assert counts(await idle.webhooks.backlog(of_invoice, removed=5)) == (0, 0, 0, 0)


async def test_the_operator_manages_the_webhooks_of_all_users(idle: Process, clock: ClockInHand) -> None:
    webhook = await idle.create(caller=replace(DAKK, type="terminal"))

    disabled = await idle.service.change(
        OPERATOR, webhook.id, WebhookChange(enabled=False, disabled_reason="moving house")
    )
    assert (disabled.enabled, disabled.disabled_reason) == (False, "moving house")
    enabled = await idle.service.change(OPERATOR, webhook.id, WebhookChange(enabled=True))
    assert (enabled.enabled, enabled.disabled_reason) == (True, "")
    assert (await idle.service.rotate(OPERATOR, webhook.id)).old_secret == webhook.secret
    for stranger in (ANOTHER, Caller("operator", frozenset(Scope), key_id="a" * 12)):
        with pytest.raises(NotFound):
            await idle.service.get(stranger, webhook.id)
    await idle.service.remove(OPERATOR, webhook.id)


async def test_a_webhook_of_the_operator_receives_what_its_user_may_read(idle: Process) -> None:
    """So the user can change it by a key with the usual scopes."""
    shop = Caller("shop", frozenset({Scope.READ}))

    webhook = await idle.service.create(OPERATOR, URL, (), shop)

    assert (webhook.username, webhook.key_id, webhook.scopes) == ("shop", "", frozenset({Scope.READ}))
    key = Caller("shop", frozenset(SHOP), key_id="a" * 12)
    await idle.service.change(key, webhook.id, WebhookChange(url="https://shop.example/other"))


async def test_deliveries_of_nobody_are_counted_and_removed(idle: Process) -> None:
    """A redelivery may cross the removal of its webhook."""
    webhook, removed = await idle.create(), await idle.create()
    for each in (webhook, removed):
        await failed(idle, each, 1, DeliveryState.PENDING)
    await idle.webhooks.remove(removed.id)
    assert await idle.webhooks.deliveries_of_nobody() == 0
    await failed(idle, removed, 2, DeliveryState.PENDING)
    assert await idle.webhooks.deliveries_of_nobody() == 1

    await idle.webhooks.remove_deliveries_of_nobody()

    assert await idle.webhooks.deliveries_of_nobody() == 0
    assert len(await idle.webhooks.pending(webhook.id, 10)) == 1
