"""The gRPC server: services, limits and addresses."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from till.v1 import (
    event_service_pb2,
    event_service_pb2_grpc,
    invoice_service_pb2,
    invoice_service_pb2_grpc,
    invreq_service_pb2,
    invreq_service_pb2_grpc,
    key_service_pb2,
    key_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)
from till_rest.v1 import event_service_pb2 as rest_events_pb2
from till_rest.v1 import event_service_pb2_grpc as rest_events
from till_rest.v1 import health_service_pb2_grpc as rest_health_grpc
from till_rest.v1 import invoice_service_pb2 as rest_invoices_pb2
from till_rest.v1 import invoice_service_pb2_grpc as rest_invoices
from till_rest.v1 import invreq_service_pb2 as rest_invreqs_pb2
from till_rest.v1 import invreq_service_pb2_grpc as rest_invreqs
from till_rest.v1 import webhook_service_pb2 as rest_webhooks_pb2
from till_rest.v1 import webhook_service_pb2_grpc as rest_webhooks
from tilld.auth.access import Access
from tilld.config import USUAL, Address, Intervals
from tilld.errors import OperatorError
from tilld.grpc_api import reflection
from tilld.grpc_api.dispatcher import Dispatcher
from tilld.grpc_api.health import HealthServicer
from tilld.grpc_api.registrar import Registrar
from tilld.runtime import open_files
from tilld.runtime.certificates import CertificateFiles
from tilld.runtime.observer import NOBODY, Observer

TYPED = [
    invoice_service_pb2.DESCRIPTOR.services_by_name["InvoiceService"].full_name,
    event_service_pb2.DESCRIPTOR.services_by_name["EventService"].full_name,
    key_service_pb2.DESCRIPTOR.services_by_name["KeyService"].full_name,
    invreq_service_pb2.DESCRIPTOR.services_by_name["InvreqService"].full_name,
    webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"].full_name,
]
SERVICES = [
    *TYPED,
    rest_invoices_pb2.DESCRIPTOR.services_by_name["InvoiceService"].full_name,
    rest_events_pb2.DESCRIPTOR.services_by_name["EventService"].full_name,
    rest_invreqs_pb2.DESCRIPTOR.services_by_name["InvreqService"].full_name,
    rest_webhooks_pb2.DESCRIPTOR.services_by_name["WebhookService"].full_name,
]

OPTIONS = (
    # Otherwise two tills could share a port without an error.
    ("grpc.so_reuseport", 0),
    # grpc rejects a burst of new streams beyond these, which callers see as CANCELLED. Each takes about 12
    # KiB, long after its caller has disconnected.
    ("grpc.server.max_pending_requests", 10_000),
    ("grpc.server.max_pending_requests_hard_limit", 12_000),
    # Above MAX_REQUEST_BYTES, compressed or not, so that Till rejects slightly too large requests itself.
    ("grpc.max_receive_message_length", 256 * 1024),
    # Closes connections that send nothing.
    ("grpc.server_handshake_timeout_ms", 5_000),
    # Closes connections without calls, as Envoy does; clients reconnect.
    ("grpc.max_connection_idle_ms", 300_000),
    # Envoy permits 8 KiB of headers, and repeats the path in another one.
    ("grpc.max_metadata_size", 32 * 1024),
    # Detects dead peers within 90 seconds.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Permits pings from callers, also between calls.
    ("grpc.keepalive_permit_without_calls", 1),
)

# Each takes about 20 KiB. Above Envoy's limits, to leave room for its health checks.
MAX_CALLS = 23_000


class Servicers(NamedTuple):
    """The services of a server, typed and REST."""

    invoices: invoice_service_pb2_grpc.InvoiceServiceServicer
    events: event_service_pb2_grpc.EventServiceServicer
    keys: key_service_pb2_grpc.KeyServiceServicer
    invreqs: invreq_service_pb2_grpc.InvreqServiceServicer
    webhooks: webhook_service_pb2_grpc.WebhookServiceServicer
    rest_invoices: rest_invoices.InvoiceServiceServicer
    rest_events: rest_events.EventServiceServicer
    rest_invreqs: rest_invreqs.InvreqServiceServicer
    rest_webhooks: rest_webhooks.WebhookServiceServicer
    rest_health: rest_health_grpc.HealthServiceServicer
    health: HealthServicer


def create(
    servicers: Servicers,
    access: Access,
    observer: Observer = NOBODY,
    addresses: int = 1,
    intervals: Intervals = USUAL,
) -> grpc.aio.Server:
    """Return a server with all services, not started; `addresses` is the number of TCP addresses."""
    # grpc core counts connections per address, so those on TCP do not count against Envoy's socket.
    connections = ("grpc.max_allowed_incoming_connections", open_files.connections() // addresses)
    pings = ("grpc.http2.min_ping_interval_without_data_ms", round(intervals.ping_seconds * 1000))
    server = grpc.aio.server(options=(*OPTIONS, connections, pings), maximum_concurrent_rpcs=MAX_CALLS)
    # grpc's stubs type only a server here, though the registrar has both methods.
    registrar: Any = Registrar()
    invoice_service_pb2_grpc.add_InvoiceServiceServicer_to_server(servicers.invoices, registrar)
    event_service_pb2_grpc.add_EventServiceServicer_to_server(servicers.events, registrar)
    key_service_pb2_grpc.add_KeyServiceServicer_to_server(servicers.keys, registrar)
    invreq_service_pb2_grpc.add_InvreqServiceServicer_to_server(servicers.invreqs, registrar)
    webhook_service_pb2_grpc.add_WebhookServiceServicer_to_server(servicers.webhooks, registrar)
    rest_invoices.add_InvoiceServiceServicer_to_server(servicers.rest_invoices, registrar)
    rest_events.add_EventServiceServicer_to_server(servicers.rest_events, registrar)
    rest_invreqs.add_InvreqServiceServicer_to_server(servicers.rest_invreqs, registrar)
    rest_webhooks.add_WebhookServiceServicer_to_server(servicers.rest_webhooks, registrar)
    rest_health_grpc.add_HealthServiceServicer_to_server(servicers.rest_health, registrar)
    health_pb2_grpc.add_HealthServicer_to_server(servicers.health, registrar)
    # Without the REST services, so that reflection lists each operation once.
    reflection.add_to(registrar, [*TYPED, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name])
    server.add_generic_rpc_handlers((Dispatcher(registrar.handlers, access, observer, intervals),))
    return server


def listen(server: grpc.aio.Server, addresses: Sequence[Address], certificates: CertificateFiles) -> None:
    """Bind a server to addresses, with TLS if there is a certificate.

    Raises OperatorError if an address is not available.
    """
    credentials = _credentials(certificates) if certificates.newest.chain else None
    for each in addresses:
        try:
            if credentials:
                server.add_secure_port(str(each), credentials)
            else:
                server.add_insecure_port(str(each))
        except RuntimeError:
            raise OperatorError(
                f"cannot listen on {each}; stop the program that uses it, "
                "or give another with --grpc HOST:PORT"
            ) from None


def listen_on_socket(server: grpc.aio.Server, path: str) -> None:
    """Bind a server to a unix socket that only our own user may open.

    Raises OperatorError if the socket cannot be created.
    """
    mask = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{path}")
    except RuntimeError:
        raise OperatorError(
            "cannot create a socket in the data directory; give another with --data-dir"
        ) from None
    finally:
        os.umask(mask)


def _credentials(certificates: CertificateFiles) -> grpc.ServerCredentials:
    """Return credentials that use the newest certificates in each handshake."""
    shown = certificates.newest

    def configuration() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(shown.key, shown.chain)], shown.client_ca or None)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        if certificates.newest is shown:
            return None
        shown = certificates.newest
        return configuration()

    # The documentation permits None for "unchanged"; the types do not.
    return grpc.dynamic_ssl_server_credentials(
        configuration(),
        renewed,  # type: ignore[arg-type]
        require_client_authentication=bool(shown.client_ca),
    )
