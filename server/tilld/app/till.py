"""The composition root: builds all parts once, starts them, and stops them in reverse order."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from tilld.app.servicers import Services, all_servicers
from tilld.auth.access import Access
from tilld.auth.exposure import check_who_may_call
from tilld.auth.limits import Allowance, Limits
from tilld.auth.repository import KeyStore
from tilld.auth.service import Keyring
from tilld.config import USUAL, Address, Config, Intervals
from tilld.envoy.front import Front
from tilld.envoy.process import DIRECTORY, SOCKET, Envoy
from tilld.errors import OperatorError
from tilld.event_log.repository import EventLog
from tilld.events.feed import Feed
from tilld.events.follower import LogFollower
from tilld.events.service import Events
from tilld.grpc_api import health, server
from tilld.invoices.follower import Follower
from tilld.invoices.hub import Hub
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.invoices.service import Invoices
from tilld.lightningd.simulated_node import SimulatedNodeProcess
from tilld.lists.service import InvoiceLists
from tilld.observability.metrics import Metrics, Sources
from tilld.observability.otlp import open_tracing
from tilld.payouts.follower import PaymentFollower
from tilld.payouts.invreq import PayoutLimits
from tilld.payouts.service import Payouts
from tilld.rest_api.schemas import webhook_json
from tilld.runtime import preflight, supervisor, unix_socket
from tilld.runtime.observer import NOBODY, Observer, Observers
from tilld.runtime.preflight import check_socket, make_directory, wait_for_socket
from tilld.sent_invoices.lightningd import SentInvoiceNode
from tilld.sent_invoices.repository import AttemptStore
from tilld.sent_invoices.service import SentInvoices
from tilld.storage.database import open_database
from tilld.upkeep.retention import Retention
from tilld.webhooks.attempts import Attempts
from tilld.webhooks.http.client import HttpClient
from tilld.webhooks.http.targets import Targets
from tilld.webhooks.repository import WebhookStore
from tilld.webhooks.sender import Sender
from tilld.webhooks.service import Webhooks

log = structlog.get_logger()


class Running(NamedTuple):
    """The addresses of a running Till. `rest` is None without Envoy, and `metrics` without --metrics."""

    grpc: Address
    rest: Address | None
    rpc_file: Path
    metrics: Address | None = None


async def run(config: Config, announce: Callable[[Running], None]) -> None:
    """Run Till until SIGINT or SIGTERM. Call `announce` when it serves.

    Raises OperatorError if it cannot start, or a part of it ends.
    """
    till = Till(config)
    await supervisor.run(till, lambda: announce(till.running))


class Till(Front):
    """A supervisor of all parts of Till."""

    running: Running
    store: Store

    def __init__(self, config: Config, intervals: Intervals = USUAL, envoy: type[Envoy] = Envoy) -> None:
        super().__init__(config, intervals, envoy)
        self.hub = Hub()
        self.feed = Feed()

    @property
    def status(self) -> str:
        """Return the addresses."""
        grpc, rest, _, metrics = self.running
        named = {"REST": rest, "gRPC": grpc, "metrics": metrics}
        return ", ".join(f"{name} {address}" for name, address in named.items() if address)

    async def _start(self) -> None:
        config = self._config
        make_directory(config.data_dir)
        # Before all other parts: a second Till could follow a different node on the store of the first.
        if not config.no_rest and unix_socket.is_served(self._socket_for_envoy()):
            raise OperatorError(
                f"another Till runs in {config.data_dir}; give another directory with --data-dir"
            )
        rpc_file = config.lightning_rpc or await self._start_simulated_node()
        if config.wait_for_node:
            await wait_for_socket(rpc_file)
        check_socket(rpc_file)
        metrics = Metrics(self._intervals) if config.metrics else None
        observer = self._observers(metrics)
        intervals = self._intervals
        store = self.store = Store(open_database(config.database_url, check=True), observer, intervals)
        self._parts.push_async_callback(store.close)
        keys = KeyStore(store)
        await check_who_may_call(config, keys)
        node = InvoiceNode(rpc_file, observer=observer, intervals=intervals)
        self._parts.push_async_callback(node.close)
        limits = Limits(
            Allowance(
                config.key_creates_per_second,
                config.key_open_invoices,
                config.key_watches,
                config.key_exports,
            )
        )
        attempts = AttemptStore(store)
        log_follower = await self._follow_events(store)
        events = Events(store, self.feed, limits)
        webhooks = self._webhooks(store, events, limits)
        invoicing = Invoices(
            store,
            node,
            self.hub,
            limits,
            attempts.has_label,
            webhooks.checked_url,
            intervals=intervals,
        )
        lists = InvoiceLists(store, node, limits)
        payout_limits = PayoutLimits(
            config.key_payout_msat, config.key_payouts_msat_per_day or None, config.allow_invreq_disable
        )
        payouts = Payouts(store, node, limits, payout_limits)
        collecting = SentInvoices(
            store, attempts, SentInvoiceNode(node), self.hub, limits, intervals=intervals
        )
        self._parts.push_async_callback(collecting.stop)
        follower = Follower(node, store, intervals=intervals)
        self._spawn("the invoice follower", follower.run())
        self._remove_old(store, events.log)
        payment_follower = PaymentFollower(node, payouts, intervals=intervals)
        self._spawn("the payout follower", payment_follower.run())
        self._spawn("the recovery of sent invoices", collecting.run())
        metrics_address = None
        if metrics and config.metrics:
            sources = Sources(
                store,
                self.hub,
                events.log,
                limits,
                follower.updates,
                follower.deletions,
                payment_follower.updates,
                self.webhook_store,
                self.webhook_attempts,
                event_streams=lambda: self.feed.streams,
                events_read=lambda: log_follower.position,
                envoy_restarts=lambda: self.envoy_restarts,
                certificate_expires=lambda: self._certificates.expires,
            )
            metrics_address = self._serve(metrics, config.metrics, sources)
        services = Services(invoicing, lists, events, payouts, collecting, webhooks, Keyring(keys))
        grpc, health_servicer = await self._start_server(
            services, Access(keys), observer, lambda: follower.is_following
        )
        self._spawn(
            "the health check",
            health.report(
                health_servicer,
                server.SERVICES,
                store,
                lambda: follower.is_following,
                intervals,
            ),
        )
        rest = None
        if config.no_rest:
            self._renew_certificates()
        else:
            rest = await self._start_envoy([Path(SOCKET)])
        self._begin_notifications()
        # Calls that wait for a payment would delay the stop.
        self._parts.push_async_callback(collecting.stop)
        # Do not wait until our own Envoy has noticed: it stops next, and has no other tilld to use.
        self._parts.push_async_callback(
            health_servicer.enter_graceful_shutdown if rest else health_servicer.leave
        )
        self.running = Running(grpc, rest, rpc_file, metrics_address)

    def _serve(self, metrics: Metrics, address: Address, sources: Sources) -> Address:
        serving = metrics.serve(address, sources)
        self._parts.push_async_callback(serving.stop)
        return serving.address

    async def _follow_events(self, store: Store) -> LogFollower:
        follower = LogFollower(store, self.feed, self.hub, self._intervals)
        await follower.start()
        self._spawn("the reading of events", follower.run())
        return follower

    def _webhooks(self, store: Store, events: Events, limits: Limits) -> Webhooks:
        intervals = self._intervals
        targets = Targets.of(self._config.webhook_allow)
        webhooks = self.webhook_store = WebhookStore(store)
        attempts = self.webhook_attempts = Attempts(HttpClient(targets, intervals))
        self.sender = Sender(
            webhooks,
            events.store,
            self.feed,
            attempts,
            webhook_json.event,
            intervals=intervals,
            # No other process sends from SQLite.
            owner="local" if store.is_local else "",
        )
        return Webhooks(
            webhooks, events.log, attempts, targets, limits, webhook_json.ping, self.sender.changed
        )

    def _begin_notifications(self) -> None:
        """Let webhooks begin, and let all notifications end before what they need: webhooks first."""
        self._parts.callback(self.hub.close)
        self._parts.callback(self.feed.close)
        self._parts.push_async_callback(self.sender.stop)
        self._spawn("the sending of webhooks", self.sender.run())

    def _remove_old(self, store: Store, event_log: EventLog) -> None:
        config, intervals = self._config, self._intervals
        events = Retention("events", event_log.remove, config.keep_events_days, intervals=intervals)
        self._spawn("the removal of events", events.run())
        if days := config.keep_unpaid_days:
            unpaid = Retention("unpaid invoices", store.remove_unpaid, days, intervals=intervals)
            self._spawn("the removal of unpaid invoices", unpaid.run())

    def _observers(self, metrics: Metrics | None) -> Observer:
        observers: list[Observer] = [metrics] if metrics else []
        if self._config.otlp_endpoint:
            tracing = open_tracing(self._config.otlp_endpoint, self._intervals)
            self._parts.push_async_callback(tracing.stop)
            observers.append(tracing)
        return Observers(observers) if len(observers) > 1 else next(iter(observers), NOBODY)

    async def _start_simulated_node(self) -> Path:
        node = SimulatedNodeProcess(self._config)
        await node.start()
        self._parts.push_async_callback(node.stop)
        self._keep_up(node)
        return self._config.simulated_rpc_file

    async def _start_server(
        self, services: Services, access: Access, observer: Observer, node_is_online: Callable[[], bool]
    ) -> tuple[Address, health.HealthServicer]:
        health_servicer = health.HealthServicer()
        servicers = all_servicers(
            services, health_servicer, node_is_online, self._config.heartbeat_seconds, self._intervals
        )
        addresses = preflight.free(self._config.grpc, "--grpc")
        grpc = server.create(servicers, access, observer, len(addresses), self._intervals)
        server.listen(grpc, addresses, self._certificates)
        if not self._config.no_rest:
            server.listen_on_socket(grpc, self._socket_for_envoy())
        await grpc.start()
        self._parts.push_async_callback(grpc.stop, self._config.grace_seconds)
        return self._config.grpc._replace(port=addresses[0].port), health_servicer

    def _socket_for_envoy(self) -> str:
        """Return the path of the socket for our Envoy, which uses no TLS."""
        directory = self._config.data_dir / DIRECTORY
        make_directory(directory)
        # gRPC unlinks the socket by this path when it stops, so the path must stay valid.
        short = self._parts.enter_context(unix_socket.short(directory))
        return f"{short}/{SOCKET}"
