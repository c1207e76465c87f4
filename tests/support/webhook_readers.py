"""Shops that take events by webhooks: each event is checked when it arrives, and taken once."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import grpc.aio

from tests.support.event_readers import Received, received_json
from tests.support.receiver import Delivery, Receiver
from tests.support.webhook_deliveries import verified
from till.v1.webhook_service_pb2 import CreateWebhookRequest
from till.v1.webhook_service_pb2_grpc import WebhookServiceStub
from tilld.event_log.entry import ENDS

# How many events an unsteady shop rejects when they first arrive.
REJECTED = 0.05
# A delivery that failed is repeated after 5 s, and the lease of a process that was killed ends.
PATIENCE_SECONDS = 60


class Shop(Receiver):
    """Takes the events of a webhook. One that is unsteady rejects some of them once."""

    def __init__(self, *, is_unsteady: bool = False) -> None:
        super().__init__()
        self.secret = ""
        self.received: list[Received] = []
        self.faults: list[str] = []
        self.rejected = 0
        self.is_unsteady = is_unsteady
        self.arrived = self._take
        self._bodies: dict[str, bytes] = {}

    def check(self, log: Sequence[Received]) -> None:
        """Check that this log has arrived, in order if nothing was rejected."""
        assert not self.faults, self.faults
        received = sorted(self.received, key=_sequence) if self.is_unsteady else self.received
        assert received == log, f"{self.is_unsteady=}"

    def _take(self, delivery: Delivery) -> None:
        event = json.loads(delivery.body)
        try:
            verified(delivery, self._secret_of(event))
        except Exception as fault:  # noqa: BLE001 - the run reports it at its end
            self.faults.append(f"{fault!r}: {delivery}")
        is_new = event["id"] not in self._bodies
        if self._bodies.setdefault(event["id"], delivery.body) != delivery.body:
            self.faults.append(f"changed: {delivery}")
        if is_new and self.is_unsteady and random.random() < REJECTED:
            self.rejected += 1
            self.answers = [(500, {})]
        elif (taken := received_json(event)) not in self.received:
            self.received.append(taken)

    def _secret_of(self, _event: dict[str, Any]) -> str:
        return self.secret


class ShopOfInvoices(Shop):
    """Takes the events of the webhooks of single invoices."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, str] = {}

    def expect(self, invoice_id: str, secret: str) -> None:
        """Note the secret of an invoice's webhook, which repeated creates must return too."""
        assert self.secrets.setdefault(invoice_id, secret) == secret

    def _secret_of(self, event: dict[str, Any]) -> str:
        return self.secrets[event["data"]["invoiceid"]]


class Shops:
    """Two shops of each user, one of them unsteady, and one for the webhooks of invoices."""

    def __init__(self) -> None:
        self.of_users: list[tuple[str, Shop]] = []
        self.of_invoices = ShopOfInvoices()

    async def open(self, address: str, keys: Mapping[str, Mapping[str, str]]) -> None:
        """Create the webhooks of users at a Till, with their keys."""
        await self.of_invoices.listen()
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = WebhookServiceStub(channel)
            for username, key in keys.items():
                for is_unsteady in (False, True):
                    shop = Shop(is_unsteady=is_unsteady)
                    await shop.listen()
                    request = CreateWebhookRequest(url=shop.url)
                    shop.secret = (await stub.CreateWebhook(request, metadata=tuple(key.items()))).secret
                    self.of_users.append((username, shop))

    async def check(self, logs: Mapping[str, Sequence[Received]]) -> str:
        """Wait until each shop has the log of its user; check that it has each event once."""
        for username, shop in self.of_users:
            await has_received(shop.received, logs[username], PATIENCE_SECONDS)
            shop.check(logs[username])
        invoices = self.of_invoices
        events = [each for log in logs.values() for each in log if each.subject in invoices.secrets]
        ends = [each for each in events if each.type in ENDS]
        await has_received(invoices.received, ends, PATIENCE_SECONDS)
        invoices.received.sort()
        invoices.check(sorted(ends))
        for shop in (invoices, *(shop for _, shop in self.of_users)):
            shop.close()
        rejected = sum(shop.rejected for _, shop in self.of_users)
        return (
            f"sent to {len(self.of_users)} webhooks ({rejected} rejected once) "
            f"and to those of {len(ends)} invoices"
        )


def _sequence(event: Received) -> int:
    return event.sequence


async def has_received(received: Sequence[Received], log: Sequence[Received], seconds: float = 30) -> None:
    """Wait until as many events were received as a log has."""
    async with asyncio.timeout(seconds):
        while len(received) < len(log):
            await asyncio.sleep(0.02)
