"""The methods of the client for webhooks."""

from collections.abc import Iterable, Iterator

from till import webhooks
from till.calls import Calls
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


class WebhookCalls(Calls):
    """The part of Client for webhooks. A webhook is given as a Webhook or its ID.

    The key needs the scope webhooks. Raises NotFound if the user has no such webhook.
    """

    def create_webhook(
        self, url: str, types: Iterable[str] = (), *, timeout: float | None = None
    ) -> WebhookSecret:
        """Create a webhook: Till sends events that happen from now on to a URL. Store the secret.

            webhook, secret = client.create_webhook("https://shop.example/till", ["invoice.paid"])

        url: https, at a public address, unless Till's operator permits the host.
        types: the types of events to send. Empty: every type that the key may read.

        Not retried: a lost reply may leave a webhook whose secret nobody knows; list_webhooks shows it.
        Raises InvalidRequest if the URL is not permitted, TooMany if the user has 16 webhooks.
        """
        request = webhooks.create_request(url, types)
        return webhooks.with_secret(self.call(self.webhooks.CreateWebhook, request, timeout=timeout))

    def get_webhook(self, id: str, *, timeout: float | None = None) -> Webhook:  # noqa: A002
        """Read a webhook."""
        request = GetWebhookRequest(id=id)
        reply = self.call(self.webhooks.GetWebhook, request, timeout=timeout, again=True)
        return webhooks.webhook(reply.webhook)

    def list_webhooks(self, *, timeout: float | None = None) -> tuple[Webhook, ...]:
        """Return the user's webhooks, oldest first; without those of single invoices."""
        request = ListWebhooksRequest()
        reply = self.call(self.webhooks.ListWebhooks, request, timeout=timeout, again=True)
        return tuple(map(webhooks.webhook, reply.webhooks))

    def update_webhook(
        self,
        webhook: Webhook | str,
        *,
        url: str | None = None,
        types: Iterable[str] | None = None,
        enabled: bool | None = None,
        timeout: float | None = None,
    ) -> Webhook:
        """Change the given fields. A webhook that is enabled again receives the events that have waited.

        types: an empty list is every type.
        """
        request = webhooks.update_request(webhook, url, types, enabled)
        reply = self.call(self.webhooks.UpdateWebhook, request, timeout=timeout, again=True)
        return webhooks.webhook(reply.webhook)

    def delete_webhook(self, webhook: Webhook | str, *, timeout: float | None = None) -> None:
        """Delete a webhook and its deliveries.

        Raises NotFound, after a lost reply also because the first attempt has deleted it.
        """
        request = DeleteWebhookRequest(id=webhook_id(webhook))
        self.call(self.webhooks.DeleteWebhook, request, timeout=timeout, again=True)

    def rotate_secret(self, webhook: Webhook | str, *, timeout: float | None = None) -> WebhookSecret:
        """Replace the secret. For 24 hours the old and the new secret both sign. Not retried."""
        request = RotateSecretRequest(id=webhook_id(webhook))
        return webhooks.with_secret(self.call(self.webhooks.RotateSecret, request, timeout=timeout))

    def test_webhook(self, webhook: Webhook | str, *, timeout: float | None = None) -> DeliveryAttempt:
        """Send an event of type "ping" now, and return how the attempt ended: its `error` is None on success.

        Not retried. Raises TooMany after too many tests.
        """
        request = TestWebhookRequest(id=webhook_id(webhook))
        return webhooks.attempt(self.call(self.webhooks.TestWebhook, request, timeout=timeout).attempt)

    def list_deliveries(
        self,
        webhook: Webhook | str,
        *,
        state: DeliveryState | str | None = None,
        page_size: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[Delivery]:
        """Iterate over deliveries, the newest event first.

        All that are pending or dead, and some of the last that succeeded. It fetches a page when the loop
        needs it, and continues at a page that was lost.

        state: only "pending", "dead" or "succeeded". None: all.
        page_size: deliveries in a page, at most 1000. None: 100.
        timeout: seconds for each page with its retries.
        """
        return self._deliveries(webhooks.deliveries_request(webhook, state, page_size), timeout)

    def _deliveries(self, request: ListDeliveriesRequest, timeout: float | None) -> Iterator[Delivery]:
        while True:
            reply = self.call(self.webhooks.ListDeliveries, request, timeout=timeout, again=True)
            yield from map(webhooks.delivery, reply.deliveries)
            if not reply.next_page_token:
                return
            request.page_token = reply.next_page_token

    def redeliver_event(
        self, webhook: Webhook | str, event: Event | str, *, timeout: float | None = None
    ) -> Delivery:
        """Attempt the delivery of an event immediately, given as an Event or its ID. Not retried.

        Raises NotFound if there is no such event, EventsGone if it was removed.
        """
        request = RedeliverEventRequest(id=webhook_id(webhook), event_id=event_id(event))
        reply = self.call(self.webhooks.RedeliverEvent, request, timeout=timeout)
        return webhooks.delivery(reply.delivery)

    def replay_events(self, webhook: Webhook | str, after: int, *, timeout: float | None = None) -> Webhook:
        """Send all events after a sequence again, in order, then new ones. Not retried.

        after: 0 is before the first event.

        Raises InvalidRequest if the sequence is beyond the newest event; EventsGone if events after it were
        removed.
        """
        request = ReplayEventsRequest(id=webhook_id(webhook), after=after)
        return webhooks.webhook(self.call(self.webhooks.ReplayEvents, request, timeout=timeout).webhook)
