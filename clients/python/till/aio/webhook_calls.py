"""The methods of the client for asyncio for webhooks."""

from collections.abc import AsyncGenerator, Iterable

from till import webhooks
from till.aio.calls import AsyncCalls
from till.events import Event, event_id
from till.v1.webhook_service_pb2 import (
    DeleteWebhookRequest,
    GetWebhookRequest,
    ListDeliveriesRequest,
    ListWebhooksRequest,
    RedeliverEventRequest,
    ReplayEventsRequest,
    RotateSecretRequest,
    TestWebhookRequest,
)
from till.webhooks import Delivery, DeliveryAttempt, DeliveryState, Webhook, WebhookSecret, webhook_id


class AsyncWebhookCalls(AsyncCalls):
    """The part of AsyncClient for webhooks: see Client."""

    async def create_webhook(
        self, url: str, types: Iterable[str] = (), *, timeout: float | None = None
    ) -> WebhookSecret:
        """Create a webhook: see Client.create_webhook."""
        request = webhooks.create_request(url, types)
        reply = await self.call(self.webhooks.CreateWebhook, request, timeout=timeout)
        return webhooks.with_secret(reply)

    async def get_webhook(self, id: str, *, timeout: float | None = None) -> Webhook:  # noqa: A002
        """Read a webhook: see Client.get_webhook."""
        request = GetWebhookRequest(id=id)
        reply = await self.call(self.webhooks.GetWebhook, request, timeout=timeout, again=True)
        return webhooks.webhook(reply.webhook)

    async def list_webhooks(self, *, timeout: float | None = None) -> tuple[Webhook, ...]:
        """Return the user's webhooks: see Client.list_webhooks."""
        request = ListWebhooksRequest()
        reply = await self.call(self.webhooks.ListWebhooks, request, timeout=timeout, again=True)
        return tuple(map(webhooks.webhook, reply.webhooks))

    async def update_webhook(
        self,
        webhook: Webhook | str,
        *,
        url: str | None = None,
        types: Iterable[str] | None = None,
        enabled: bool | None = None,
        timeout: float | None = None,
    ) -> Webhook:
        """Change a webhook: see Client.update_webhook."""
        request = webhooks.update_request(webhook, url, types, enabled)
        reply = await self.call(self.webhooks.UpdateWebhook, request, timeout=timeout, again=True)
        return webhooks.webhook(reply.webhook)

    async def delete_webhook(self, webhook: Webhook | str, *, timeout: float | None = None) -> None:
        """Delete a webhook and its deliveries: see Client.delete_webhook."""
        request = DeleteWebhookRequest(id=webhook_id(webhook))
        await self.call(self.webhooks.DeleteWebhook, request, timeout=timeout, again=True)

    async def rotate_secret(self, webhook: Webhook | str, *, timeout: float | None = None) -> WebhookSecret:
        """Replace the secret: see Client.rotate_secret."""
        request = RotateSecretRequest(id=webhook_id(webhook))
        reply = await self.call(self.webhooks.RotateSecret, request, timeout=timeout)
        return webhooks.with_secret(reply)

    async def test_webhook(self, webhook: Webhook | str, *, timeout: float | None = None) -> DeliveryAttempt:
        """Send an event of type "ping" now: see Client.test_webhook."""
        request = TestWebhookRequest(id=webhook_id(webhook))
        reply = await self.call(self.webhooks.TestWebhook, request, timeout=timeout)
        return webhooks.attempt(reply.attempt)

    def list_deliveries(
        self,
        webhook: Webhook | str,
        *,
        state: DeliveryState | str | None = None,
        page_size: int | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Delivery, None]:
        """Iterate over deliveries: see Client.list_deliveries."""
        return self._deliveries(webhooks.deliveries_request(webhook, state, page_size), timeout)

    async def _deliveries(
        self, request: ListDeliveriesRequest, timeout: float | None
    ) -> AsyncGenerator[Delivery, None]:
        while True:
            reply = await self.call(self.webhooks.ListDeliveries, request, timeout=timeout, again=True)
            for each in reply.deliveries:
                yield webhooks.delivery(each)
            if not reply.next_page_token:
                return
            request.page_token = reply.next_page_token

    async def redeliver_event(
        self, webhook: Webhook | str, event: Event | str, *, timeout: float | None = None
    ) -> Delivery:
        """Attempt a delivery immediately: see Client.redeliver_event."""
        request = RedeliverEventRequest(id=webhook_id(webhook), event_id=event_id(event))
        reply = await self.call(self.webhooks.RedeliverEvent, request, timeout=timeout)
        return webhooks.delivery(reply.delivery)

    async def replay_events(
        self, webhook: Webhook | str, after: int, *, timeout: float | None = None
    ) -> Webhook:
        """Send events again: see Client.replay_events."""
        request = ReplayEventsRequest(id=webhook_id(webhook), after=after)
        reply = await self.call(self.webhooks.ReplayEvents, request, timeout=timeout)
        return webhooks.webhook(reply.webhook)
