"""Webhooks in the documented JSON."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from tilld.errors import InvalidRequest
from tilld.event_log.entry import EventType
from tilld.events.event import Event
from tilld.formats.strict_json import MAX_WHOLE, write
from tilld.rest_api.schemas import body, event_json
from tilld.rest_api.schemas.event_json import EVENT_ID
from tilld.rest_api.schemas.fields import PUBLIC_ID, Time, described, extensible, given, optional
from tilld.rest_api.schemas.invoice_json import time
from tilld.webhooks.delivery import Attempt, Delivery, DeliveryState
from tilld.webhooks.http.targets import MAX_URL_BYTES
from tilld.webhooks.service import WebhookChange
from tilld.webhooks.webhook import Webhook

URL = described(
    f"Where to send events: an absolute URL of at most {MAX_URL_BYTES} bytes; https, at a public address, "
    "unless the operator permits the host.",
    minLength=1,
    maxLength=MAX_URL_BYTES,
    format="uri",
)
AskedType = Annotated[str, Meta(extra_json_schema={"enum": [*EventType]})]
TYPES = described(
    "Types of events to send, such as `invoice.paid`; empty: every type.", must_be="an array of strings"
)


class CreateWebhook(Struct, forbid_unknown_fields=True):
    """A webhook to create."""

    url: Annotated[str, URL]
    types: Annotated[list[AskedType], TYPES] = []


class UpdateWebhook(Struct, forbid_unknown_fields=True):
    """Changes of a webhook; absent fields stay as they are."""

    url: Annotated[str, URL] | UnsetType = UNSET
    types: Annotated[list[AskedType], TYPES] | UnsetType = UNSET
    enabled: (
        Annotated[bool, described("Whether events are sent; those that have waited come first.")] | UnsetType
    ) = UNSET


SEQUENCE = f"a whole number, 0 to {MAX_WHOLE}"


class ReplayEvents(Struct, forbid_unknown_fields=True):
    """The place in the log where a webhook continues."""

    after: Annotated[
        int,
        described(
            "Sequence to begin after; 0: the first event.",
            must_be=SEQUENCE,
            minimum=0,
            maximum=MAX_WHOLE,
        ),
    ]


class WebhookJson(Struct):
    """A URL that receives events (Standard Webhooks 1.0)."""

    id: Annotated[str, described("Id of the webhook.", pattern=PUBLIC_ID)]
    url: Annotated[str, described("Where events are sent.")]
    types: Annotated[
        list[Annotated[str, Meta(extra_json_schema=extensible(EventType))]],
        described("Types of events that are sent; empty: every type."),
    ]
    enabled: Annotated[bool, described("Whether events are sent. If not, they wait.")]
    created_at: Annotated[Time, described("When the webhook was created.")]
    sequence: Annotated[
        int,
        described(
            "Sequence of the last event that is no longer in line: it arrived, or its delivery has failed "
            "and is listed.",
            minimum=0,
        ),
    ]
    key_id: Annotated[str, described("Id of the key that created it; empty: no key.")]
    disabled_reason: Annotated[str, described("Why Till has disabled it.")] | UnsetType = UNSET
    failing_since: (
        Annotated[Time, described("Since when no delivery succeeds; absent if the last one did.")] | UnsetType
    ) = UNSET
    metadata_type: (
        Annotated[str, described("The only `metadata.type` of invoices whose events are sent.")] | UnsetType
    ) = UNSET
    invoiceid: (
        Annotated[
            str,
            described("The only invoice whose final state is sent.", pattern=PUBLIC_ID),
        ]
        | UnsetType
    ) = UNSET
    secret: (
        Annotated[
            str, described("The secret that signs; only after a create or a rotation.", pattern="^whsec_")
        ]
        | UnsetType
    ) = UNSET


class WebhooksJson(Struct):
    """The webhooks of a user."""

    webhooks: Annotated[list[WebhookJson], described("The webhooks, oldest first.")]


class AttemptJson(Struct):
    """An attempt to deliver an event."""

    started_at: Annotated[Time, described("When it began.")]
    duration_ms: Annotated[int, described("How long it took, in milliseconds.", minimum=0)]
    error: Annotated[str, described("Why it failed; empty if it succeeded.")]
    status: Annotated[int, described("HTTP status of the response; absent without one.")] | UnsetType = UNSET


class DeliveryJson(Struct):
    """The delivery of an event to a webhook."""

    event_id: Annotated[str, described("Id of the event, sent as the header `webhook-id`.", pattern=EVENT_ID)]
    sequence: Annotated[int, described("Sequence of the event.", minimum=1)]
    type: Annotated[str, described("Type of the event.", **extensible(EventType))]
    state: Annotated[
        str,
        described(
            "`pending`: an attempt failed, and another is due; `dead`: all attempts failed; `succeeded`.",
            **extensible(DeliveryState),
        ),
    ]
    attempts: Annotated[int, described("Number of attempts so far.", minimum=0)]
    next_attempt_at: Annotated[Time, described("When the next attempt is due.")] | UnsetType = UNSET
    last_status: Annotated[int, described("HTTP status of the last response.")] | UnsetType = UNSET
    last_error: (
        Annotated[str, described("Why the last attempt failed; empty if it succeeded.")] | UnsetType
    ) = UNSET
    last_attempt_at: Annotated[Time, described("When the last attempt began.")] | UnsetType = UNSET
    last_duration_ms: (
        Annotated[int, described("How long the last attempt took, in milliseconds.", minimum=0)] | UnsetType
    ) = UNSET


class DeliveriesJson(Struct):
    """A page of deliveries."""

    deliveries: Annotated[list[DeliveryJson], described("The deliveries, the newest event first.")]
    next: Annotated[str, described("`after` of the next page; absent on the last one.")] | UnsetType = UNSET


class PingDataJson(Struct):
    """The data of a test."""

    webhook_id: Annotated[str, described("Id of the webhook.", pattern=PUBLIC_ID)]


class PingJson(Struct):
    """The event of a test, which is in no log."""

    id: Annotated[str, described("Unique id.", pattern=EVENT_ID)]
    sequence: Annotated[int, described("0: the event has no position.", minimum=0, maximum=0)]
    type: Annotated[str, described("`ping`.")]
    timestamp: Annotated[Time, described("When the test began.")]
    data: Annotated[PingDataJson, described("Which webhook is tested.")]


def create_request(raw: bytes) -> CreateWebhook:
    """Return the webhook to create. Raises InvalidRequest or TooLarge, which name the field and the limit."""
    return body.read(raw, CreateWebhook)


def change(raw: bytes) -> WebhookChange:
    """Return what to change. Raises InvalidRequest or TooLarge, which name the field and the limit."""
    asked = body.read(raw, UpdateWebhook)
    return WebhookChange(given(asked.url), given(asked.types), given(asked.enabled))


def replay_after(raw: bytes) -> int:
    """Return the sequence to begin after. Raises InvalidRequest or TooLarge, which name the field."""
    after = body.read(raw, ReplayEvents).after
    if not 0 <= after <= MAX_WHOLE:
        raise InvalidRequest(f"after must be {SEQUENCE}")
    return after


def webhook(webhook: Webhook, *, with_secret: bool = False) -> bytes:
    """Return a webhook as JSON."""
    return write(answer(webhook, with_secret=with_secret))


def webhooks(webhooks: Iterable[Webhook]) -> bytes:
    """Return webhooks as JSON."""
    return write(WebhooksJson([answer(each) for each in webhooks]))


def answer(webhook: Webhook, *, with_secret: bool = False) -> WebhookJson:
    """Return a webhook with the documented fields."""
    return WebhookJson(
        id=webhook.id,
        url=webhook.url,
        types=[*webhook.types],
        enabled=webhook.enabled,
        created_at=time(webhook.created_at),
        sequence=webhook.sequence,
        key_id=webhook.key_id,
        disabled_reason=optional(webhook.disabled_reason or None),
        failing_since=time(webhook.failing_since) if webhook.failing_since else UNSET,
        metadata_type=optional(webhook.metadata_type),
        invoiceid=optional(webhook.invoice_id),
        secret=webhook.secret if with_secret else UNSET,
    )


def attempt(attempt: Attempt) -> bytes:
    """Return an attempt as JSON."""
    return write(
        AttemptJson(
            time(attempt.last_attempt_at),
            attempt.last_milliseconds,
            attempt.last_error,
            optional(attempt.last_status),
        )
    )


def deliveries(deliveries: Iterable[Delivery], next_page: str) -> bytes:
    """Return a page of deliveries as JSON; `next_page` is empty on the last one."""
    return write(DeliveriesJson([_delivery(each) for each in deliveries], optional(next_page or None)))


def delivery(delivery: Delivery) -> bytes:
    """Return a delivery as JSON."""
    return write(_delivery(delivery))


def _delivery(delivery: Delivery) -> DeliveryJson:
    last = delivery.last_attempt
    return DeliveryJson(
        event_id=delivery.event_id,
        sequence=delivery.sequence,
        type=delivery.type,
        state=delivery.state,
        attempts=delivery.attempts,
        next_attempt_at=time(delivery.next_attempt_at) if delivery.next_attempt_at else UNSET,
        last_status=optional(last and last.last_status),
        last_error=optional(last and last.last_error),
        last_attempt_at=time(last.last_attempt_at) if last else UNSET,
        last_duration_ms=optional(last and last.last_milliseconds),
    )


def event(event: Event) -> bytes:
    """Return an event as a webhook sends it: the same envelope as in a list."""
    return write(event_json.event(event, ""))


def ping(event_id: str, now: datetime, webhook_id: str) -> bytes:
    """Return the event of a test, which is in no log."""
    return write(PingJson(event_id, 0, "ping", time(now), PingDataJson(webhook_id)))
