"""Client for Till, the cash register for Core Lightning.

    with till.Client("127.0.0.1:50051", key="till_…") as client:
        invoice = client.create_invoice(5000, {"type": "shop"}, description="a coffee")
        print(invoice.bolt11)
        for state in client.watch(invoice):
            print(state.status)

AsyncClient is the client for asyncio, till.errors has the tree of errors, till.v1 the generated code.
"""

from till.aio.client import AsyncClient
from till.client import Client
from till.errors import (
    Code,
    Conflict,
    ConnectionLost,
    Error,
    EventsGone,
    Expired,
    Internal,
    InvalidRequest,
    NoSuchMethod,
    NotActive,
    NotFound,
    NotPaid,
    PermissionDenied,
    Refused,
    TookTooLong,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from till.events import DisabledWebhook, Event, EventPage
from till.info import Info, Node, NodeAddress
from till.requests import Grouping, InvoiceFilter, Order
from till.results import (
    Invoice,
    InvoiceWebhook,
    Page,
    Payability,
    PayabilityStatus,
    Payment,
    Report,
    ReportGroup,
    Status,
)
from till.retries import Connection
from till.webhooks import Delivery, DeliveryAttempt, DeliveryState, Webhook, WebhookSecret

__all__ = [
    "AsyncClient",
    "Client",
    "Code",
    "Conflict",
    "Connection",
    "ConnectionLost",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryState",
    "DisabledWebhook",
    "Error",
    "Event",
    "EventPage",
    "EventsGone",
    "Expired",
    "Grouping",
    "Info",
    "Internal",
    "InvalidRequest",
    "Invoice",
    "InvoiceFilter",
    "InvoiceWebhook",
    "NoSuchMethod",
    "Node",
    "NodeAddress",
    "NotActive",
    "NotFound",
    "NotPaid",
    "Order",
    "Page",
    "Payability",
    "PayabilityStatus",
    "Payment",
    "PermissionDenied",
    "Refused",
    "Report",
    "ReportGroup",
    "Status",
    "TooLarge",
    "TooMany",
    "TookTooLong",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "Webhook",
    "WebhookSecret",
]
