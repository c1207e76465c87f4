"""Serves till.v1.WebhookService."""

from till.v1 import webhook_service_pb2 as pb
from till.v1 import webhook_service_pb2_grpc
from tilld.auth.access import caller
from tilld.grpc_api import Context, messages, webhook_messages
from tilld.webhooks.service import DELIVERIES, Webhooks, next_page, place_of


class WebhookServicer(webhook_service_pb2_grpc.WebhookServiceServicer):
    """The typed API of webhooks."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    async def CreateWebhook(
        self, request: pb.CreateWebhookRequest, context: Context
    ) -> pb.CreateWebhookResponse:
        """Create a webhook."""
        webhook = await self._webhooks.create(caller.get(), request.url, request.types)
        return pb.CreateWebhookResponse(webhook=webhook_messages.webhook(webhook), secret=webhook.secret)

    async def GetWebhook(self, request: pb.GetWebhookRequest, context: Context) -> pb.GetWebhookResponse:
        """Read a webhook."""
        webhook = await self._webhooks.get(caller.get(), request.id)
        return pb.GetWebhookResponse(webhook=webhook_messages.webhook(webhook))

    async def ListWebhooks(
        self, request: pb.ListWebhooksRequest, context: Context
    ) -> pb.ListWebhooksResponse:
        """List webhooks."""
        listed = await self._webhooks.listed(caller.get())
        return pb.ListWebhooksResponse(webhooks=map(webhook_messages.webhook, listed))

    async def UpdateWebhook(
        self, request: pb.UpdateWebhookRequest, context: Context
    ) -> pb.UpdateWebhookResponse:
        """Change a webhook."""
        change = webhook_messages.change(request)
        webhook = await self._webhooks.change(caller.get(), request.id, change)
        return pb.UpdateWebhookResponse(webhook=webhook_messages.webhook(webhook))

    async def DeleteWebhook(
        self, request: pb.DeleteWebhookRequest, context: Context
    ) -> pb.DeleteWebhookResponse:
        """Delete a webhook."""
        await self._webhooks.remove(caller.get(), request.id)
        return pb.DeleteWebhookResponse()

    async def RotateSecret(
        self, request: pb.RotateSecretRequest, context: Context
    ) -> pb.RotateSecretResponse:
        """Replace the secret of a webhook."""
        webhook = await self._webhooks.rotate(caller.get(), request.id)
        return pb.RotateSecretResponse(webhook=webhook_messages.webhook(webhook), secret=webhook.secret)

    async def TestWebhook(self, request: pb.TestWebhookRequest, context: Context) -> pb.TestWebhookResponse:
        """Send a ping."""
        attempt = await self._webhooks.test(caller.get(), request.id)
        return pb.TestWebhookResponse(attempt=webhook_messages.attempt(attempt))

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: Context
    ) -> pb.ListDeliveriesResponse:
        """List deliveries."""
        limit = messages.page_size(request.page_size, DELIVERIES)
        found = await self._webhooks.deliveries(
            caller.get(),
            request.id,
            webhook_messages.state(request.state),
            place_of(request.page_token, "page_token"),
            limit,
        )
        return pb.ListDeliveriesResponse(
            deliveries=map(webhook_messages.delivery, found), next_page_token=next_page(found, limit)
        )

    async def RedeliverEvent(
        self, request: pb.RedeliverEventRequest, context: Context
    ) -> pb.RedeliverEventResponse:
        """Attempt a delivery now."""
        delivery = await self._webhooks.redeliver(caller.get(), request.id, request.event_id)
        return pb.RedeliverEventResponse(delivery=webhook_messages.delivery(delivery))

    async def ReplayEvents(
        self, request: pb.ReplayEventsRequest, context: Context
    ) -> pb.ReplayEventsResponse:
        """Send events again."""
        webhook = await self._webhooks.replay(caller.get(), request.id, request.after)
        return pb.ReplayEventsResponse(webhook=webhook_messages.webhook(webhook))
