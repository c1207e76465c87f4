"""Converts between webhooks and the messages of till.v1."""

from google.protobuf.duration_pb2 import Duration

from till.v1 import webhook_pb2 as pb
from till.v1 import webhook_service_pb2
from tilld.errors import InvalidRequest
from tilld.formats.times import MILLISECOND
from tilld.grpc_api.event_messages import timestamp
from tilld.webhooks.delivery import Attempt, Delivery, DeliveryState
from tilld.webhooks.service import WebhookChange
from tilld.webhooks.webhook import Webhook

_STATES = {
    DeliveryState.PENDING: pb.DELIVERY_STATE_PENDING,
    DeliveryState.DEAD: pb.DELIVERY_STATE_DEAD,
    DeliveryState.SUCCEEDED: pb.DELIVERY_STATE_SUCCEEDED,
}
_STATE_OF = {number: state for state, number in _STATES.items()}


def webhook(webhook: Webhook) -> pb.Webhook:
    """Return a webhook as a message, without its secret."""
    return pb.Webhook(
        id=webhook.id,
        url=webhook.url,
        types=webhook.types,
        metadata_type=webhook.metadata_type,
        enabled=webhook.enabled,
        disabled_reason=webhook.disabled_reason,
        created_at=timestamp(webhook.created_at),
        sequence=webhook.sequence,
        failing_since=webhook.failing_since and timestamp(webhook.failing_since),
        key_id=webhook.key_id,
        invoice_id=webhook.invoice_id,
    )


def change(request: webhook_service_pb2.UpdateWebhookRequest) -> WebhookChange:
    """Return what a request changes."""
    return WebhookChange(
        url=request.url if request.HasField("url") else None,
        types=request.types.types if request.HasField("types") else None,
        enabled=request.enabled if request.HasField("enabled") else None,
    )


def delivery(delivery: Delivery) -> pb.WebhookDelivery:
    """Return a delivery as a message."""
    return pb.WebhookDelivery(
        event_id=delivery.event_id,
        sequence=delivery.sequence,
        type=delivery.type,
        state=_STATES[delivery.state],
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at and timestamp(delivery.next_attempt_at),
        last_attempt=delivery.last_attempt and attempt(delivery.last_attempt),
    )


def attempt(attempt: Attempt) -> pb.DeliveryAttempt:
    """Return an attempt as a message."""
    duration = Duration()
    duration.FromTimedelta(attempt.last_milliseconds * MILLISECOND)
    return pb.DeliveryAttempt(
        started_at=timestamp(attempt.last_attempt_at),
        duration=duration,
        status=attempt.last_status,
        error=attempt.last_error,
    )


def state(number: pb.DeliveryState) -> DeliveryState | None:
    """Return the state that a request asks for, or None for all. Raises InvalidRequest."""
    if number == pb.DELIVERY_STATE_UNSPECIFIED:
        return None
    if number not in _STATE_OF:
        raise InvalidRequest(f"state must be among {', '.join(map(pb.DeliveryState.Name, _STATE_OF))}")
    return _STATE_OF[number]
