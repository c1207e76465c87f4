"""Webhooks in the documented JSON agree with the OpenAPI document."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.support.openapi import SCHEMAS, assert_valid
from tests.support.samples import DAKK, NOON
from tilld.errors import InvalidRequest
from tilld.event_log.entry import EventType
from tilld.formats.strict_json import MAX_WHOLE
from tilld.rest_api.schemas import webhook_json
from tilld.webhooks.delivery import Attempt, Delivery
from tilld.webhooks.service import WebhookChange
from tilld.webhooks.terms import WebhookTerms
from tilld.webhooks.webhook import Webhook

URL = "https://shop.example/till"
NEW = Webhook.new(DAKK, WebhookTerms(URL, (EventType.INVOICE_PAID,)), NOON)
ID = f"evt_{'a' * 21}"
FAILED = Attempt(NOON, 92, 500, "status 500")
SUCCEEDED = Attempt(NOON, 38, 204, "")
TIMED_OUT = Attempt(NOON, 15_000, None, "timed out after 15 s")
PENDING = Delivery.new(NEW.id, 4711, ID, EventType.INVOICE_PAID)


def test_a_webhook_has_the_documented_fields() -> None:
    """In their order; without those that say nothing, and without the secret unless it is new."""
    everything = NEW._replace(
        disabled_reason="no event was accepted",
        failing_since=NOON,
        metadata_type="shop",
        invoice_id="b" * 21,
    )

    full = json.loads(webhook_json.webhook(everything, with_secret=True))
    new = json.loads(webhook_json.webhook(NEW))

    assert_valid(full, "Webhook")
    assert list(full) == list(SCHEMAS["Webhook"]["properties"])
    assert full["secret"] == NEW.secret
    assert_valid(new, "Webhook")
    assert list(new) == SCHEMAS["Webhook"]["required"]
    assert new["types"] == ["invoice.paid"]
    assert new["created_at"] == "2026-11-21T12:00:00.000Z"
    assert NEW.secret not in webhook_json.webhooks([everything]).decode()
    assert_valid(json.loads(webhook_json.webhooks([everything, NEW])), "Webhooks")


@pytest.mark.parametrize("attempt", [FAILED, SUCCEEDED, TIMED_OUT])
def test_an_attempt_has_the_documented_fields(attempt: Attempt) -> None:
    """Without a response there is no status."""
    answer = json.loads(webhook_json.attempt(attempt))

    assert_valid(answer, "Attempt")
    assert answer.get("status") == attempt.last_status
    assert (answer["error"], answer["duration_ms"]) == (attempt.last_error, attempt.last_milliseconds)


@pytest.mark.parametrize("attempt", [FAILED, SUCCEEDED, TIMED_OUT])
def test_a_delivery_has_the_documented_fields(attempt: Attempt) -> None:
    answer = json.loads(webhook_json.delivery(PENDING.attempted(attempt)))

    assert_valid(answer, "Delivery")
    assert [name for name in SCHEMAS["Delivery"]["properties"] if name in answer] == list(answer)
    assert answer["state"] == ("succeeded" if attempt.succeeded else "pending")
    assert ("next_attempt_at" in answer) == (not attempt.succeeded)
    assert answer["last_error"] == attempt.last_error
    assert answer.get("last_status") == attempt.last_status


def test_a_delivery_that_begins_again_is_due() -> None:
    """Before its first attempt it has no last one."""
    again = PENDING.again(NOON)

    answer = json.loads(webhook_json.delivery(again))

    assert_valid(answer, "Delivery")
    assert answer["next_attempt_at"] == "2026-11-21T12:00:00.000Z"
    assert not [name for name in answer if name.startswith("last_")]


def test_the_last_page_of_deliveries_has_no_next() -> None:
    page = json.loads(webhook_json.deliveries([PENDING.attempted(FAILED)], "4711"))
    last = json.loads(webhook_json.deliveries([], ""))

    assert_valid(page, "Deliveries")
    assert page["next"] == "4711"
    assert last == {"deliveries": []}
    assert_valid(last, "Deliveries")


def test_a_ping_has_the_envelope_of_an_event() -> None:
    """Receivers that know no pings read it as an event."""
    ping = json.loads(webhook_json.ping(ID, NOON + timedelta(milliseconds=250), NEW.id))

    assert_valid(ping, "Ping")
    assert list(ping) == SCHEMAS["Event"]["required"]
    assert ping["timestamp"] == "2026-11-21T12:00:00.250Z"


@pytest.mark.parametrize(
    ("body", "change"),
    [
        ({}, WebhookChange()),
        ({"url": None, "types": None, "enabled": None}, WebhookChange()),
        ({"url": URL}, WebhookChange(url=URL)),
        ({"types": []}, WebhookChange(types=[])),
        ({"enabled": False}, WebhookChange(enabled=False)),
    ],
)
def test_absent_fields_and_null_change_nothing(body: Any, change: WebhookChange) -> None:
    """An empty array of types is a change: every type."""
    assert webhook_json.change(json.dumps(body).encode()) == change


def test_a_create_reads_its_fields() -> None:
    asked = webhook_json.create_request(b'{"url": "https://shop.example/till", "types": ["invoice.paid"]}')

    assert (asked.url, asked.types) == (URL, ["invoice.paid"])
    assert webhook_json.create_request(b'{"url": "x"}').types == []


def test_a_replay_begins_after_a_sequence() -> None:
    assert webhook_json.replay_after(b'{"after": 0}') == 0
    assert webhook_json.replay_after(f'{{"after": {MAX_WHOLE}}}'.encode()) == MAX_WHOLE
    for wrong in (b"{}", b'{"after": -1}', b'{"after": null}', b'{"after": 1.5}', b'{"after": true}'):
        with pytest.raises(InvalidRequest, match="^after "):
            webhook_json.replay_after(wrong)
