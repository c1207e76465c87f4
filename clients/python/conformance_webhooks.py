"""The calls of the agent for webhooks: by the client's own methods, with messages in and out."""

import sys
from collections.abc import AsyncGenerator
from typing import Any

from google.protobuf import json_format

import till
from till.v1 import webhook_pb2
from till.v1 import webhook_service_pb2 as pb
from till.webhooks import STATE, WebhookSecret

METHODS = {method.name for method in pb.DESCRIPTOR.services_by_name["WebhookService"].methods}


async def call(client: till.AsyncClient, told: dict[str, Any]) -> Any:
    """Return the response of a method."""
    method = told["method"]
    request: Any = json_format.ParseDict(told["request"], getattr(pb, f"{method}Request")())
    timeout = told.get("timeout_seconds")
    match method:
        case "CreateWebhook":
            made = await client.create_webhook(request.url, request.types, timeout=timeout)
            return pb.CreateWebhookResponse(**with_secret(made))
        case "GetWebhook":
            found = await client.get_webhook(request.id, timeout=timeout)
            return pb.GetWebhookResponse(webhook=found.message)
        case "ListWebhooks":
            webhooks = await client.list_webhooks(timeout=timeout)
            return pb.ListWebhooksResponse(webhooks=[each.message for each in webhooks])
        case "UpdateWebhook":
            changed = await client.update_webhook(request.id, **changes(request), timeout=timeout)
            return pb.UpdateWebhookResponse(webhook=changed.message)
        case "DeleteWebhook":
            await client.delete_webhook(request.id, timeout=timeout)
            return pb.DeleteWebhookResponse()
        case "RotateSecret":
            rotated = await client.rotate_secret(request.id, timeout=timeout)
            return pb.RotateSecretResponse(**with_secret(rotated))
        case "TestWebhook":
            return pb.TestWebhookResponse(
                attempt=plain(await client.test_webhook(request.id, timeout=timeout))
            )
        case "RedeliverEvent":
            delivery = await client.redeliver_event(request.id, request.event_id, timeout=timeout)
            return pb.RedeliverEventResponse(delivery=delivery.message)
        case _:
            replayed = await client.replay_events(request.id, request.after, timeout=timeout)
            return pb.ReplayEventsResponse(webhook=replayed.message)


def deliveries(client: till.AsyncClient, told: dict[str, Any]) -> AsyncGenerator[till.Delivery, None]:
    """Return the client's own list."""
    request = json_format.ParseDict(told["request"], pb.ListDeliveriesRequest())
    return client.list_deliveries(
        request.id,
        state=STATE.get(request.state),
        page_size=request.page_size,
        timeout=told.get("timeout_seconds"),
    )


def changes(request: pb.UpdateWebhookRequest) -> dict[str, Any]:
    """Return the changes as the client takes them."""
    return {
        "url": request.url if request.HasField("url") else None,
        "types": request.types.types if request.HasField("types") else None,
        "enabled": request.enabled if request.HasField("enabled") else None,
    }


def with_secret(made: WebhookSecret) -> dict[str, Any]:
    """Return the fields of a response. Write the text form of the result to the log."""
    sys.stderr.write(f"{made} {made!r}\n")
    return {"webhook": made.webhook.message, "secret": made.secret}


def plain(attempt: till.DeliveryAttempt) -> webhook_pb2.DeliveryAttempt:
    """Return the message of an attempt."""
    return webhook_pb2.DeliveryAttempt(
        started_at=attempt.started_at,
        duration=attempt.duration,
        status=attempt.status,
        error=attempt.error or "",
    )
