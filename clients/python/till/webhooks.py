"""Webhooks: their results, their requests, and signatures of Standard Webhooks 1.0.

The specification: https://www.standardwebhooks.com
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from till.v1 import webhook_pb2
from till.v1 import webhook_service_pb2 as pb

PREFIX = "whsec_"
# Of new secrets. The specification permits 24 to 64.
SECRET_BYTES = 32
FEWEST_BYTES = 24
MOST_BYTES = 64


class DeliveryState(StrEnum):
    """Whether an event has arrived at a webhook."""

    # An attempt failed, and another one is due.
    PENDING = "pending"
    # All attempts failed. redeliver_event makes another one.
    DEAD = "dead"
    SUCCEEDED = "succeeded"
    # A state that only a newer client knows.
    UNKNOWN = "unknown"


STATE = {
    webhook_pb2.DELIVERY_STATE_PENDING: DeliveryState.PENDING,
    webhook_pb2.DELIVERY_STATE_DEAD: DeliveryState.DEAD,
    webhook_pb2.DELIVERY_STATE_SUCCEEDED: DeliveryState.SUCCEEDED,
}
STATE_NUMBERS = {state: number for number, state in STATE.items()}


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A URL that receives events.

    types: the types of events that are sent. Empty: every type.
    metadata_type: the only metadata type of invoices whose events are sent. None: all.
    enabled: whether events are sent. If not, they wait.
    disabled_reason: why Till has disabled the webhook. None: it has not.
    sequence: that of the last event that is no longer in line: it arrived, or its failed delivery is listed.
    failing_since: since when no delivery has succeeded. None: the last one succeeded, or there was none.
    key_id: the ID of the key that created the webhook. None: no key.
    invoice_id: the only invoice whose final state is sent. None: events of the user.
    message: the protobuf message.
    """

    id: str
    url: str
    types: tuple[str, ...]
    metadata_type: str | None
    enabled: bool
    disabled_reason: str | None
    created_at: datetime
    sequence: int
    failing_since: datetime | None
    key_id: str | None
    invoice_id: str | None
    message: webhook_pb2.Webhook = field(repr=False, compare=False)


class WebhookSecret(NamedTuple):
    """A webhook with its new secret, which no other call returns. The repr does not show the secret.

    secret: "whsec_" and base64, as libraries of Standard Webhooks take it.
    """

    webhook: Webhook
    secret: str

    def __repr__(self) -> str:
        return f"WebhookSecret(webhook={self.webhook!r})"


@dataclass(frozen=True, kw_only=True)
class DeliveryAttempt:
    """An attempt to deliver an event.

    status: the HTTP status of the response. None: there was no response.
    error: why it failed. None: it succeeded.
    """

    started_at: datetime
    duration: timedelta
    status: int | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The delivery of an event to a webhook.

    event_id: sent as the header webhook-id.
    attempts: the number of attempts so far.
    next_attempt_at: when the next attempt is due. None: there is none.
    last_attempt: None: there was none yet.
    message: the protobuf message.
    """

    event_id: str
    sequence: int
    type: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    last_attempt: DeliveryAttempt | None
    message: webhook_pb2.WebhookDelivery = field(repr=False, compare=False)


def webhook(message: webhook_pb2.Webhook) -> Webhook:
    """Return the Webhook of a message."""
    return Webhook(
        id=message.id,
        url=message.url,
        types=tuple(message.types),
        metadata_type=message.metadata_type if message.HasField("metadata_type") else None,
        enabled=message.enabled,
        disabled_reason=message.disabled_reason or None,
        created_at=message.created_at.ToDatetime(UTC),
        sequence=message.sequence,
        failing_since=message.failing_since.ToDatetime(UTC) if message.HasField("failing_since") else None,
        key_id=message.key_id or None,
        invoice_id=message.invoice_id if message.HasField("invoice_id") else None,
        message=message,
    )


def with_secret(message: pb.CreateWebhookResponse | pb.RotateSecretResponse) -> WebhookSecret:
    """Return the webhook and the secret of a response."""
    return WebhookSecret(webhook(message.webhook), message.secret)


def attempt(message: webhook_pb2.DeliveryAttempt) -> DeliveryAttempt:
    """Return the DeliveryAttempt of a message."""
    return DeliveryAttempt(
        started_at=message.started_at.ToDatetime(UTC),
        duration=message.duration.ToTimedelta(),
        status=message.status if message.HasField("status") else None,
        error=message.error or None,
    )


def delivery(message: webhook_pb2.WebhookDelivery) -> Delivery:
    """Return the Delivery of a message."""
    has_next = message.HasField("next_attempt_at")
    return Delivery(
        event_id=message.event_id,
        sequence=message.sequence,
        type=message.type,
        state=STATE.get(message.state, DeliveryState.UNKNOWN),
        attempts=message.attempts,
        next_attempt_at=message.next_attempt_at.ToDatetime(UTC) if has_next else None,
        last_attempt=attempt(message.last_attempt) if message.HasField("last_attempt") else None,
        message=message,
    )


def create_request(url: str, types: Iterable[str]) -> pb.CreateWebhookRequest:
    """Return the request of a new webhook. Raise TypeError for wrong types."""
    return pb.CreateWebhookRequest(url=url, types=_types(types))


def update_request(
    webhook: Webhook | str, url: str | None, types: Iterable[str] | None, enabled: bool | None
) -> pb.UpdateWebhookRequest:
    """Return the request of a change. None: no change. Raise TypeError for wrong types."""
    changed = None if types is None else pb.EventTypes(types=_types(types))
    return pb.UpdateWebhookRequest(id=webhook_id(webhook), url=url, types=changed, enabled=enabled)


def deliveries_request(
    webhook: Webhook | str, state: DeliveryState | str | None, page_size: int | None
) -> pb.ListDeliveriesRequest:
    """Return the request of the first page. Raise ValueError for an unknown state."""
    if state is not None and (state := DeliveryState(state)) not in STATE_NUMBERS:
        raise ValueError("state cannot be DeliveryState.UNKNOWN")
    return pb.ListDeliveriesRequest(
        id=webhook_id(webhook),
        state=STATE_NUMBERS[state] if state else webhook_pb2.DELIVERY_STATE_UNSPECIFIED,
        page_size=page_size or 0,
    )


def webhook_id(webhook: Webhook | str) -> str:
    """Return the ID of a webhook, which may be given as such."""
    return webhook if isinstance(webhook, str) else webhook.id


def _types(types: Iterable[str]) -> Iterable[str]:
    if isinstance(types, str):
        raise TypeError(f"types must be a list such as [{types!r}]")
    return types


def new_secret() -> str:
    """Return a random secret: "whsec_" and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:  # noqa: A002
    """Return the header webhook-signature of a message.

    secret: as new_secret returns it.
    id: the header webhook-id, the same for each delivery of an event.
    timestamp: the header webhook-timestamp, in seconds since 1970; that of this attempt.
    body: the exact bytes that are sent.

    Raises ValueError for a malformed secret, and for an id with a full stop, which separates the parts.
    """
    if "." in id:
        raise ValueError("the id of a webhook has no full stop")
    digest = hmac.digest(_key(secret), f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    """Return the bytes of a secret. No error repeats the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not (secret.startswith(PREFIX) and FEWEST_BYTES <= len(key) <= MOST_BYTES):
        raise ValueError(
            f"a secret is {PREFIX} and the base64 of {FEWEST_BYTES} to {MOST_BYTES} random bytes"
        )
    return key
