"""Deliveries of webhooks as a shop takes them: verified by a library that is not ours, and only once."""

import json
from collections.abc import Iterable
from typing import Any

import standardwebhooks

from tests.support.receiver import Delivery
from tilld.invoices.repository import Store
from tilld.storage.database import open_database
from tilld.storage.webhook_tables import WebhookTable


def verified(delivery: Delivery, *secrets: str) -> dict[str, Any]:
    """Return the event of a delivery that each of these secrets has signed."""
    event: dict[str, Any] = json.loads(delivery.body)
    for secret in secrets:
        assert standardwebhooks.Webhook(secret).verify(delivery.body, delivery.headers) == event
    assert event["id"] == delivery.headers["webhook-id"]
    return event


def taken(deliveries: Iterable[Delivery], *secrets: str) -> list[dict[str, Any]]:
    """Return the events of deliveries, each once, in the order in which they first arrived.

    What comes again under a `webhook-id` must be the same, byte for byte.
    """
    bodies: dict[str, bytes] = {}
    events = []
    for delivery in deliveries:
        event = verified(delivery, *secrets)
        if event["id"] not in bodies:
            events.append(event)
        assert bodies.setdefault(event["id"], delivery.body) == delivery.body
    return events


async def released(database: str) -> None:
    """End all leases of webhooks on PostgreSQL, as time does after a kill. No process may send.

    On SQLite a restarted tilld does not wait for its lease.
    """
    if database.startswith("sqlite"):
        return
    store = Store(open_database(database))
    release = WebhookTable.update(owner="", lease_until=0).bind(store.database)
    await store.write(lambda _: release.execute())
    await store.close()
