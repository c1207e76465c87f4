"""Webhooks, over each kind of client. The impostor repeats what it was asked for, and ends calls as asked."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

import till
from tests.support.impostor import impostor
from tests.support.impostor_webhooks import SECRET
from till import events, results, webhooks
from till.v1 import webhook_pb2
from till.v1.event_pb2 import DisabledWebhook, Event
from till.v1.invoice_service_pb2 import CreateInvoiceResponse, InvoiceWebhook

URL = "https://shop.example/till"


@pytest.fixture
async def client(connect: type[till.AsyncClient]) -> AsyncIterator[till.AsyncClient]:
    async with impostor() as address, connect(address) as client:
        yield client


async def test_a_new_webhook_has_its_secret(client: till.AsyncClient) -> None:
    made = await client.create_webhook(URL, ["invoice.paid"])
    webhook, secret = made

    assert (webhook.url, webhook.types, webhook.enabled) == (URL, ("invoice.paid",), True)
    assert secret == SECRET
    assert webhooks.sign(secret, "evt_1", 1, b"").startswith("v1,")
    assert (await client.create_webhook(URL)).webhook.types == ()


async def test_the_secret_is_in_no_text_form(client: till.AsyncClient) -> None:
    made = await client.create_webhook(URL)
    rotated = await client.rotate_secret(made.webhook)

    assert rotated.secret == SECRET
    for shown in (repr(made), str(made), f"{rotated}", f"{made.webhook}"):
        assert "whsec" not in shown
        assert "Webhook(id=" in shown


async def test_webhooks_are_read(client: till.AsyncClient) -> None:
    assert (await client.get_webhook("one")).id == "one"
    assert [each.id for each in await client.list_webhooks()] == ["1", "2"]


async def test_a_change_has_what_its_caller_gives(client: till.AsyncClient) -> None:
    """The impostor answers the names of the fields that arrived as the reason."""
    assert (await client.update_webhook("one", url=URL)).disabled_reason == "id, url"
    chosen = await client.update_webhook("one", types=["invoice.paid"])
    assert (chosen.disabled_reason, chosen.types) == ("id, types", ("invoice.paid",))
    # No types are every type.
    assert (await client.update_webhook("one", types=[])).disabled_reason == "id, types"
    disabled = await client.update_webhook(chosen, enabled=False)
    assert (disabled.disabled_reason, disabled.enabled) == ("id, enabled", False)


async def test_deliveries_of_all_pages(client: till.AsyncClient) -> None:
    """The first attempt at the last page is lost."""
    found = [each async for each in client.list_deliveries("UNAVAILABLE", state="dead", page_size=2)]

    assert [each.event_id for each in found] == ["evt_1", "evt_2", "evt_3"]
    assert [each.state for each in found] == ["dead", "dead", "unknown"]
    first = found[0]
    assert (first.sequence, first.attempts, first.next_attempt_at) == (2**53 + 1, 10, None)
    assert first.last_attempt
    assert (first.last_attempt.status, first.last_attempt.error) == (500, "the status is 500")


async def test_an_error_ends_the_list_after_the_pages_before(client: till.AsyncClient) -> None:
    deliveries = client.list_deliveries("E4", state=till.DeliveryState.DEAD, page_size=2)
    assert [(await anext(deliveries)).event_id for _ in range(2)] == ["evt_1", "evt_2"]

    with pytest.raises(till.PermissionDenied):
        await anext(deliveries)


async def test_a_test_returns_how_it_ended(client: till.AsyncClient) -> None:
    attempt = await client.test_webhook("one")

    assert (attempt.status, attempt.error) == (500, "the status is 500")
    assert attempt.duration == timedelta(microseconds=1500)
    with pytest.raises(till.TooMany) as wrong:
        await client.test_webhook("E7")
    assert wrong.value.retry_after == 2


async def test_events_are_delivered_again(client: till.AsyncClient) -> None:
    event = events.event(Event(id="evt_4711"))

    assert (await client.redeliver_event("one", event)).event_id == "evt_4711"
    assert (await client.redeliver_event("one", "evt_4712")).event_id == "evt_4712"
    assert (await client.replay_events("one", 0)).sequence == 0
    assert (await client.replay_events("one", 2**64 - 1)).sequence == 2**64 - 1
    with pytest.raises(till.EventsGone) as gone:
        await client.replay_events("E16", 1)
    assert gone.value.oldest_sequence == 2**53 + 1


async def test_a_call_that_makes_a_webhook_act_is_sent_once(client: till.AsyncClient) -> None:
    """The impostor answers the second call."""
    lost = "UNAVAILABLE"
    for call in (
        lambda: client.create_webhook(f"https://shop.example/{lost}"),
        lambda: client.rotate_secret(lost),
        lambda: client.test_webhook(lost),
        lambda: client.redeliver_event(lost, "evt_1"),
        lambda: client.replay_events(lost, 0),
    ):
        with pytest.raises(till.ConnectionLost):
            await call()
        await call()


async def test_other_calls_are_retried(client: till.AsyncClient) -> None:
    assert (await client.get_webhook("UNAVAILABLE")).id == "UNAVAILABLE"
    assert (await client.update_webhook("UNAVAILABLE", enabled=True)).enabled
    await client.delete_webhook("UNAVAILABLE")


async def test_wrong_arguments_are_refused_at_once(client: till.AsyncClient) -> None:
    with pytest.raises(TypeError, match=r"types must be a list such as \['invoice.paid'\]"):
        await client.create_webhook(URL, "invoice.paid")
    with pytest.raises(TypeError, match="types must be a list"):
        await client.update_webhook("one", types="invoice.paid")
    for state in ("fried", "unknown"):
        with pytest.raises(ValueError, match=r"fried|UNKNOWN"):
            client.list_deliveries("one", state=state)
    with pytest.raises(ValueError, match="out of range"):
        await client.replay_events("one", -1)


def test_a_webhook_has_what_till_says_of_it() -> None:
    message = webhook_pb2.Webhook(
        id="1", metadata_type="shop", sequence=7, key_id="k", invoice_id="i", disabled_reason="410"
    )
    message.failing_since.FromDatetime(datetime(2026, 11, 27, tzinfo=UTC))

    full, empty = webhooks.webhook(message), webhooks.webhook(webhook_pb2.Webhook(id="1"))

    assert (full.metadata_type, full.key_id, full.invoice_id, full.sequence) == ("shop", "k", "i", 7)
    assert (full.failing_since, full.disabled_reason) == (datetime(2026, 11, 27, tzinfo=UTC), "410")
    assert (empty.metadata_type, empty.key_id, empty.invoice_id) == (None, None, None)
    assert (empty.failing_since, empty.disabled_reason) == (None, None)


def test_the_webhook_of_an_invoice_hides_its_secret() -> None:
    created = results.created(CreateInvoiceResponse(webhook=InvoiceWebhook(id="1", secret=SECRET)))

    assert created.webhook == till.InvoiceWebhook(id="1", secret=SECRET)
    assert "whsec" not in repr(created)
    assert results.created(CreateInvoiceResponse()).webhook is None


def test_an_event_of_a_disabled_webhook_has_its_reason() -> None:
    disabled = DisabledWebhook(id="1", url=URL, reason="the receiver answered 410")

    event = events.event(Event(type="webhook.disabled", disabled_webhook=disabled))

    assert event.disabled_webhook == till.DisabledWebhook(id="1", url=URL, reason="the receiver answered 410")
    assert event.invoice is None
    assert events.event(Event(type="invoice.paid")).disabled_webhook is None
