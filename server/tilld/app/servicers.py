"""The services of both APIs, built from the use cases."""

from collections.abc import Callable
from typing import NamedTuple

from tilld.auth.service import Keyring
from tilld.config import Intervals
from tilld.events.service import Events
from tilld.grpc_api.event_servicer import EventServicer
from tilld.grpc_api.health import HealthServicer
from tilld.grpc_api.invoice_servicer import InvoiceServicer
from tilld.grpc_api.invreq_servicer import InvreqServicer
from tilld.grpc_api.key_servicer import KeyServicer
from tilld.grpc_api.server import Servicers
from tilld.grpc_api.webhook_servicer import WebhookServicer
from tilld.invoices.service import Invoices
from tilld.lists.service import InvoiceLists
from tilld.payouts.service import Payouts
from tilld.rest_api.event_servicer import RestEventServicer
from tilld.rest_api.health_servicer import RestHealthServicer
from tilld.rest_api.invoice_servicer import RestInvoiceServicer
from tilld.rest_api.invreq_servicer import RestInvreqServicer
from tilld.rest_api.webhook_servicer import RestWebhookServicer
from tilld.sent_invoices.service import SentInvoices
from tilld.webhooks.service import Webhooks


class Services(NamedTuple):
    """The use cases of a Till."""

    invoices: Invoices
    lists: InvoiceLists
    events: Events
    payouts: Payouts
    sent_invoices: SentInvoices
    webhooks: Webhooks
    keyring: Keyring


def all_servicers(
    services: Services,
    health: HealthServicer,
    node_is_online: Callable[[], bool],
    heartbeat_seconds: float,
    intervals: Intervals,
) -> Servicers:
    """Return the services of gRPC and REST."""
    invoices, lists, events, payouts, sent_invoices, webhooks, keyring = services
    return Servicers(
        invoices=InvoiceServicer(invoices, lists),
        events=EventServicer(events, heartbeat_seconds),
        keys=KeyServicer(keyring),
        invreqs=InvreqServicer(payouts, sent_invoices),
        webhooks=WebhookServicer(webhooks),
        rest_invoices=RestInvoiceServicer(invoices, lists, heartbeat_seconds),
        rest_events=RestEventServicer(events, heartbeat_seconds),
        rest_invreqs=RestInvreqServicer(payouts, sent_invoices, intervals),
        rest_webhooks=RestWebhookServicer(webhooks),
        rest_health=RestHealthServicer(lambda: health.is_ready, node_is_online),
        health=health,
    )
