"""Metrics for Prometheus, on a separate address. docs/guides/metrics.md explains each."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from importlib.metadata import version
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    make_wsgi_app,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tilld.auth.limits import Limits
from tilld.config import USUAL, Address, Intervals
from tilld.errors import OperatorError, TillError
from tilld.events.feed import Feed
from tilld.formats.times import unix_seconds
from tilld.invoices.hub import Hub
from tilld.invoices.repository import Store
from tilld.lightningd.rpc import RpcRefused
from tilld.lightningd.updates import IndexFollower
from tilld.runtime import output, preflight
from tilld.runtime.observer import Headers, Observer, Span, code_of
from tilld.storage.rows import Rows

# From a read of SQLite to the longest time-outs of callers.
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# Each connection needs a thread, and a file of those reserved for uses other than clients.
MOST_CONNECTIONS = 20

# The creation time of each series would double the number of series.
disable_created_metrics()  # type: ignore[no-untyped-call]

Series = Callable[[str, str], Histogram]


class Sources(NamedTuple):
    """Sources of the figures that are read at each scrape."""

    store: Store
    hub: Hub
    feed: Feed
    limits: Limits
    invoices: IndexFollower[Any]
    deletions: IndexFollower[Any]
    payments: IndexFollower[Any]
    envoy_restarts: Callable[[], int]
    certificate_expires: Callable[[], datetime | None]


class Metrics(Observer):
    """The metrics of one Till. The values of labels are few: Till's methods and the documented codes."""

    def __init__(self, intervals: Intervals = USUAL) -> None:
        self.scrape_seconds = intervals.scrape_seconds
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        build = Info("till_build", "The version of Till", registry=self._registry)
        build.info({"version": version("lightning-till")})
        self._requests = self._timing("till_request", "Calls with one response", "method")
        self._node_calls = self._timing("till_node_call", "Calls to lightningd", "method")
        self._store_calls = self._timing("till_store_call", "Operations of the store", "operation")
        self._watches = Counter(
            "till_watches", "Watches that have ended", ["method", "code"], registry=self._registry
        )
        self.node_heard_at = 0.0

    def request(self, method: str, headers: Headers) -> Span:
        """Time a call."""
        return _Span(lambda code, seconds: self._requests(method, code).observe(seconds))

    def watch(self, method: str, headers: Headers) -> Span:
        """Count a watch. Its duration, which may be hours, is not measured."""
        return _Span(lambda code, _: self._watches.labels(method, code).inc())

    def node_call(self, method: str) -> Span:
        """Time a call to the node, and record when the node answers."""

        def end(code: str, seconds: float) -> None:
            self._node_calls(method, code).observe(seconds)
            if code in ("OK", RpcRefused.code):
                self.node_heard_at = time.time()

        return _Span(end)

    def store_call(self, operation: str) -> Span:
        """Time an operation of the store."""
        return _Span(lambda code, seconds: self._store_calls(operation, code).observe(seconds))

    def serve(self, address: Address, sources: Sources) -> "Serving":
        """Serve GET /metrics. Call this on the event loop of the sources.

        Raises OperatorError if the address is not available.
        """
        self._registry.register(_Scraped(self, sources, asyncio.get_running_loop()))
        return Serving(self._registry, address, self.scrape_seconds)

    def _timing(self, name: str, what: str, label: str) -> Series:
        histogram = Histogram(
            f"{name}_duration_seconds", what, [label, "code"], buckets=BUCKETS, registry=self._registry
        )
        # Cached: looking up the series would take longer than the rest of a measurement.
        return cache(histogram.labels)


class Serving:
    """HTTP servers of metrics: one for each address of the host, each on its own thread."""

    def __init__(self, registry: CollectorRegistry, address: Address, patience: float) -> None:
        self._servers: list[_Server] = []
        app = make_wsgi_app(registry)
        # The handler closes silent connections.
        handler = type("_ImpatientHandler", (_Handler,), {"timeout": patience})
        for host, port in preflight.free(address, "--metrics"):
            try:
                server = make_server(host, port, app, _Server6 if ":" in host else _Server, handler)
            except OSError:
                raise OperatorError(
                    f"cannot listen on {address}; stop the program that uses it, "
                    "or give another with --metrics HOST:PORT"
                ) from None
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self._servers.append(server)
            self.address = address._replace(port=port)

    async def stop(self) -> None:
        """Stop serving."""
        for server in self._servers:
            # On a thread: shutdown waits for the server, whose scrapes may wait for this event loop.
            await asyncio.to_thread(server.shutdown)
            server.server_close()


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing, since each scrape would be a line."""


class _Server(ThreadingMixIn, WSGIServer):
    """A server with a thread for each connection. It closes connections beyond 20."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._places = threading.Semaphore(MOST_CONNECTIONS)
        super().__init__(*arguments)

    def verify_request(self, *_: object) -> bool:
        """Return whether another connection is allowed."""
        return self._places.acquire(blocking=False)

    def process_request_thread(self, *arguments: Any) -> None:
        """Serve a connection on its thread."""
        try:
            super().process_request_thread(*arguments)
        finally:
            self._places.release()

    def handle_error(self, *_: object) -> None:
        """Log nothing: the client disconnected, or was too slow."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Scraped(Collector):
    """Reads the sources on their event loop, for a scrape on another thread."""

    def __init__(self, metrics: Metrics, sources: Sources, loop: asyncio.AbstractEventLoop) -> None:
        self._metrics = metrics
        self._sources = sources
        self._loop = loop

    def collect(self) -> Iterable[Metric]:
        asked = asyncio.run_coroutine_threadsafe(self._ask(), self._loop)
        try:
            return asked.result(self._metrics.scrape_seconds)
        except TimeoutError:
            # The scrape still returns the metrics of the other collectors.
            asked.cancel()
            return []

    async def _ask(self) -> list[Metric]:
        store, hub, feed, limits, invoices, deletions, payments, envoy_restarts, certificate_expires = (
            self._sources
        )
        figures: list[Metric] = [
            GaugeMetricFamily("till_watchers", "Open watches", hub.watchers),
            GaugeMetricFamily("till_event_streams", "Open event streams and long polls", feed.streams),
            GaugeMetricFamily("till_exports", "Exports and reports in progress", limits.exports),
            GaugeMetricFamily("till_node_up", "1 while Till follows the node, else 0", invoices.is_following),
            GaugeMetricFamily(
                "till_node_last_heard_timestamp_seconds",
                "Time of the node's last reply; 0 before the first",
                self._metrics.node_heard_at,
            ),
            GaugeMetricFamily(
                "till_follower_lag",
                "Updates of the node's invoices that are known and not settled yet",
                invoices.lag,
            ),
            GaugeMetricFamily(
                "till_deletion_follower_lag",
                "Deletions of the node's invoices that are known and not settled yet",
                deletions.lag,
            ),
            GaugeMetricFamily(
                "till_payment_follower_lag",
                "Updates of the node's payments that are known and not settled yet",
                payments.lag,
            ),
            CounterMetricFamily("till_envoy_restarts", "Restarts of Envoy after it died", envoy_restarts()),
            CounterMetricFamily(
                "till_log_lines_lost", "Log lines that could not be written", output.stderr().lost
            ),
            CounterMetricFamily(
                "till_unreadable_rows", "Rows of the database that could not be read", Rows.unreadable
            ),
        ]
        # Without a certificate the metric has no value: 0 would look like an expiry.
        certificate = GaugeMetricFamily(
            "till_certificate_expiry_timestamp_seconds", "Expiry time of the TLS certificate"
        )
        if expires := certificate_expires():
            certificate.add_metric((), unix_seconds(expires))
        figures.append(certificate)
        try:
            totals = await store.totals()
        except TillError:
            return figures
        return [
            *figures,
            GaugeMetricFamily("till_open_invoices", "Unpaid invoices", totals.open_invoices),
            CounterMetricFamily("till_invoices", "Invoices created", totals.invoices),
            CounterMetricFamily("till_received_msat", "Millisatoshi received", totals.volume_msat),
        ]


class _Span:
    """Reports its outcome and its duration in seconds when it ends."""

    __slots__ = ("_began", "_end")

    def __init__(self, end: Callable[[str, float], None]) -> None:
        self._end = end

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, reason: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(code_of(reason), time.perf_counter() - self._began)
