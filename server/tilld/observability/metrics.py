"""Figures for Prometheus, on an address of their own: docs/guides/metrics.md tells what each means."""

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

from tilld.config import USUAL, Address, Intervals
from tilld.errors import OperatorError, TillError
from tilld.formats.times import unix_seconds
from tilld.invoices.hub import Hub
from tilld.invoices.repository import Store
from tilld.lightningd.rpc import RpcRefused
from tilld.lightningd.updates import IndexFollower
from tilld.runtime import output, preflight
from tilld.runtime.observer import Headers, Observer, Span, code_of
from tilld.storage.rows import Rows

# From a read of SQLite to what everybody has given up on.
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# Each is a file and a thread, of those that are reserved for all but clients.
MOST_CONNECTIONS = 20

# When each series was born: nobody asks, and it would be as many series again.
disable_created_metrics()  # type: ignore[no-untyped-call]

Series = Callable[[str, str], Histogram]


class Sources(NamedTuple):
    """What is asked at each scrape."""

    store: Store
    hub: Hub
    invoices: IndexFollower[Any]
    payments: IndexFollower[Any]
    envoy_restarts: Callable[[], int]
    certificate_expires: Callable[[], datetime | None]


class Metrics(Observer):
    """The metrics of one Till. Labels are its own methods and the documented codes: there are few."""

    def __init__(self, intervals: Intervals = USUAL) -> None:
        self.scrape_seconds = intervals.scrape_seconds
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        build = Info("till_build", "The version of Till", registry=self._registry)
        build.info({"version": version("lightning-till")})
        self._requests = self._timing("till_request", "Calls that are answered once", "method")
        self._node_calls = self._timing("till_node_call", "Calls of lightningd", "method")
        self._store_calls = self._timing("till_store_call", "What the store does", "operation")
        self._watches = Counter(
            "till_watches", "Watches that have ended", ["method", "code"], registry=self._registry
        )
        self.node_heard_at = 0.0

    def request(self, method: str, headers: Headers) -> Span:
        """Time a call."""
        return _Span(lambda code, seconds: self._requests(method, code).observe(seconds))

    def watch(self, method: str, headers: Headers) -> Span:
        """Count a watch: its hours would say nothing among the milliseconds of others."""
        return _Span(lambda code, _: self._watches.labels(method, code).inc())

    def node_call(self, method: str) -> Span:
        """Time a call of the node, and note when it answers."""

        def end(code: str, seconds: float) -> None:
            self._node_calls(method, code).observe(seconds)
            if code in ("OK", RpcRefused.code):
                self.node_heard_at = time.time()

        return _Span(end)

    def store_call(self, operation: str) -> Span:
        """Time what the store does."""
        return _Span(lambda code, seconds: self._store_calls(operation, code).observe(seconds))

    def serve(self, address: Address, sources: Sources) -> "Serving":
        """Serve GET /metrics. To be called on the event loop that the sources live on.

        Raises OperatorError where the address can't be had.
        """
        self._registry.register(_Scraped(self, sources, asyncio.get_running_loop()))
        return Serving(self._registry, address, self.scrape_seconds)

    def _timing(self, name: str, what: str, label: str) -> Series:
        histogram = Histogram(
            f"{name}_duration_seconds", what, [label, "code"], buckets=BUCKETS, registry=self._registry
        )
        # To find a series anew for each call would take longer than all the rest.
        return cache(histogram.labels)


class Serving:
    """The servers of metrics, on all addresses that a host stands for, each on a thread of its own."""

    def __init__(self, registry: CollectorRegistry, address: Address, patience: float) -> None:
        self._servers: list[_Server] = []
        app = make_wsgi_app(registry)
        # A connection that says nothing is closed.
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
            # It ends when it looks up next, and whom it serves may wait for this very loop.
            await asyncio.to_thread(server.shutdown)
            server.server_close()


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: each scrape would be a line."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, and so many connections at once; more are closed."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._places = threading.Semaphore(MOST_CONNECTIONS)
        super().__init__(*arguments)

    def verify_request(self, *_: object) -> bool:
        """Whether there is a place."""
        return self._places.acquire(blocking=False)

    def process_request_thread(self, *arguments: Any) -> None:
        """Serve a connection on its thread."""
        try:
            super().process_request_thread(*arguments)
        finally:
            self._places.release()

    def handle_error(self, *_: object) -> None:
        """Say nothing: who scrapes has left, or was too slow."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Scraped(Collector):
    """Asks the sources, on their event loop, when the thread that serves is asked."""

    def __init__(self, metrics: Metrics, sources: Sources, loop: asyncio.AbstractEventLoop) -> None:
        self._metrics = metrics
        self._sources = sources
        self._loop = loop

    def collect(self) -> Iterable[Metric]:
        asked = asyncio.run_coroutine_threadsafe(self._ask(), self._loop)
        try:
            return asked.result(self._metrics.scrape_seconds)
        except TimeoutError:
            # What the others have counted is worth having all the more.
            asked.cancel()
            return []

    async def _ask(self) -> list[Metric]:
        store, hub, invoices, payments, envoy_restarts, certificate_expires = self._sources
        figures: list[Metric] = [
            GaugeMetricFamily("till_watchers", "Watches that go on", hub.watchers),
            GaugeMetricFamily("till_node_up", "Whether the node is followed", invoices.is_following),
            GaugeMetricFamily(
                "till_node_last_heard_timestamp_seconds",
                "When the node answered last; 0: never",
                self._metrics.node_heard_at,
            ),
            GaugeMetricFamily(
                "till_follower_lag", "Updates of the node that are known of and not settled", invoices.lag
            ),
            GaugeMetricFamily(
                "till_payment_follower_lag",
                "Updates of the node's payments that are known of and not settled",
                payments.lag,
            ),
            CounterMetricFamily(
                "till_envoy_restarts", "How often Envoy died and was started again", envoy_restarts()
            ),
            CounterMetricFamily(
                "till_log_lines_lost", "Log lines that could not be written", output.stderr().lost
            ),
            CounterMetricFamily(
                "till_unreadable_rows", "Rows of the database that could not be read", Rows.unreadable
            ),
        ]
        # Without a certificate it has no value, rather than one that looks like an expiry.
        certificate = GaugeMetricFamily(
            "till_certificate_expiry_timestamp_seconds", "When the TLS certificate expires"
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
            GaugeMetricFamily(
                "till_open_invoices", "Invoices neither paid nor expired", totals.open_invoices
            ),
            CounterMetricFamily("till_invoices", "Invoices created", totals.invoices),
            CounterMetricFamily("till_received_msat", "Millisatoshi received", totals.volume_msat),
        ]


class _Span:
    """Tells at its end how it ended, and after how many seconds."""

    __slots__ = ("_began", "_end")

    def __init__(self, end: Callable[[str, float], None]) -> None:
        self._end = end

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, reason: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(code_of(reason), time.perf_counter() - self._began)
