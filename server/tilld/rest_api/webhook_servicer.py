"""Serves till.rest.v1.WebhookService."""

from google.api.httpbody_pb2 import HttpBody

from till_rest.v1 import webhook_service_pb2 as pb
from till_rest.v1 import webhook_service_pb2_grpc
from tilld.auth.access import caller
from tilld.errors import InvalidRequest
from tilld.rest_api.http import Context, json_body
from tilld.rest_api.list_query import limit
from tilld.rest_api.schemas import webhook_json
from tilld.webhooks.delivery import DeliveryState
from tilld.webhooks.service import DELIVERIES, MAX_DELIVERIES, Webhooks, next_page, place_of

_STATES = {each.value: each for each in DeliveryState}


class RestWebhookServicer(webhook_service_pb2_grpc.WebhookServiceServicer):
    """The documented REST API of webhooks."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    async def CreateWebhook(self, request: pb.CreateWebhookRequest, context: Context) -> HttpBody:
        """Create a webhook."""
        asked = webhook_json.create_request(request.raw.data)
        webhook = await self._webhooks.create(caller.get(), asked.url, asked.types)
        return json_body(webhook_json.webhook(webhook, with_secret=True))

    async def ListWebhooks(self, request: pb.ListWebhooksRequest, context: Context) -> HttpBody:
        """List webhooks."""
        return json_body(webhook_json.webhooks(await self._webhooks.listed(caller.get())))

    async def GetWebhook(self, request: pb.GetWebhookRequest, context: Context) -> HttpBody:
        """Read a webhook."""
        return json_body(webhook_json.webhook(await self._webhooks.get(caller.get(), request.id)))

    async def UpdateWebhook(self, request: pb.UpdateWebhookRequest, context: Context) -> HttpBody:
        """Change a webhook."""
        change = webhook_json.change(request.raw.data)
        return json_body(webhook_json.webhook(await self._webhooks.change(caller.get(), request.id, change)))

    async def DeleteWebhook(self, request: pb.DeleteWebhookRequest, context: Context) -> HttpBody:
        """Delete a webhook."""
        await self._webhooks.remove(caller.get(), request.id)
        return json_body(b"{}")

    async def RotateSecret(self, request: pb.RotateSecretRequest, context: Context) -> HttpBody:
        """Replace the secret of a webhook."""
        webhook = await self._webhooks.rotate(caller.get(), request.id)
        return json_body(webhook_json.webhook(webhook, with_secret=True))

    async def TestWebhook(self, request: pb.TestWebhookRequest, context: Context) -> HttpBody:
        """Send a ping."""
        return json_body(webhook_json.attempt(await self._webhooks.test(caller.get(), request.id)))

    async def ReplayEvents(self, request: pb.ReplayEventsRequest, context: Context) -> HttpBody:
        """Send events again."""
        after = webhook_json.replay_after(request.raw.data)
        return json_body(webhook_json.webhook(await self._webhooks.replay(caller.get(), request.id, after)))

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Context) -> HttpBody:
        """List deliveries."""
        size = min(limit(request.limit), MAX_DELIVERIES) if request.HasField("limit") else DELIVERIES
        before = place_of(request.after if request.HasField("after") else "", "after")
        state = _state(request.state) if request.HasField("state") else None
        found = await self._webhooks.deliveries(caller.get(), request.id, state, before, size)
        return json_body(webhook_json.deliveries(found, next_page(found, size)))

    async def RedeliverEvent(self, request: pb.RedeliverEventRequest, context: Context) -> HttpBody:
        """Attempt a delivery now."""
        delivery = await self._webhooks.redeliver(caller.get(), request.id, request.event_id)
        return json_body(webhook_json.delivery(delivery))


def _state(text: str) -> DeliveryState:
    if text not in _STATES:
        raise InvalidRequest(f"state must be one of {', '.join(_STATES)}")
    return _STATES[text]
