"""Metrics for Prometheus, on a separate address. docs/guides/metrics.md explains each."""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from importlib.metadata import version
from types import TracebackType
from typing import Any, NamedTuple

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
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from tilld.auth.limits import Limits
from tilld.config import USUAL, Address, Intervals
from tilld.errors import TillError
from tilld.event_log.entry import ALL_USERS
from tilld.event_log.repository import EventLog
from tilld.formats.times import unix_seconds, utc_now
from tilld.invoices.hub import Hub
from tilld.invoices.repository import Store
from tilld.lightningd.rpc import RpcRefused
from tilld.lightningd.updates import IndexFollower
from tilld.observability.metrics_server import Serving
from tilld.runtime import output
from tilld.runtime.observer import Headers, Observer, Span, code_of
from tilld.storage.rows import Rows
from tilld.webhooks.attempts import Attempts
from tilld.webhooks.repository import WebhookStore

# From a read of SQLite to the longest time-outs of callers.
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# The results of attempts to deliver an event.
RESULTS = ("succeeded", "failed", "dead")

# The creation time of each series would double the number of series.
disable_created_metrics()  # type: ignore[no-untyped-call]

Series = Callable[[str, str], Histogram]


class Sources(NamedTuple):
    """Sources of the figures that are read at each scrape."""

    store: Store
    hub: Hub
    event_log: EventLog
    limits: Limits
    invoices: IndexFollower[Any]
    deletions: IndexFollower[Any]
    payments: IndexFollower[Any]
    webhooks: WebhookStore
    webhook_attempts: Attempts
    event_streams: Callable[[], int]
    events_read: Callable[[], int]
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
        return Serving(make_wsgi_app(self._registry), address, self.scrape_seconds)

    def _timing(self, name: str, what: str, label: str) -> Series:
        histogram = Histogram(
            f"{name}_duration_seconds", what, [label, "code"], buckets=BUCKETS, registry=self._registry
        )
        # Cached: looking up the series would take longer than the rest of a measurement.
        return cache(histogram.labels)


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
        sources = self._sources
        invoices = sources.invoices
        figures: list[Metric] = [
            GaugeMetricFamily("till_watchers", "Open watches", sources.hub.watchers),
            GaugeMetricFamily(
                "till_event_streams", "Open event streams and long polls", sources.event_streams()
            ),
            GaugeMetricFamily("till_exports", "Exports and reports in progress", sources.limits.exports),
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
                sources.deletions.lag,
            ),
            GaugeMetricFamily(
                "till_payment_follower_lag",
                "Updates of the node's payments that are known and not settled yet",
                sources.payments.lag,
            ),
            CounterMetricFamily(
                "till_envoy_restarts", "Restarts of Envoy after it died", sources.envoy_restarts()
            ),
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
        if expires := sources.certificate_expires():
            certificate.add_metric((), unix_seconds(expires))
        figures += [certificate, *_attempts(sources.webhook_attempts)]
        # Read first: the log may grow until its newest event is known.
        read = sources.events_read()
        try:
            totals = await sources.store.totals()
            events = (await sources.event_log.bounds(ALL_USERS)).newest
            oldest = await sources.webhooks.oldest_waiting()
            disabled = await sources.webhooks.disabled()
        except TillError:
            return figures
        return [
            *figures,
            CounterMetricFamily("till_events", "Events recorded", events),
            GaugeMetricFamily(
                "till_event_follower_lag",
                "Recorded events of which readers and watchers are not notified yet",
                max(events - read, 0),
            ),
            GaugeMetricFamily(
                "till_webhook_oldest_seconds",
                "Age of the oldest event that waits at an enabled webhook; 0 if none waits",
                max((utc_now() - oldest).total_seconds(), 0) if oldest else 0,
            ),
            GaugeMetricFamily("till_webhooks_disabled", "Disabled webhooks", disabled),
            GaugeMetricFamily("till_open_invoices", "Unpaid invoices", totals.open_invoices),
            CounterMetricFamily("till_invoices", "Invoices created", totals.invoices),
            CounterMetricFamily("till_received_msat", "Millisatoshi received", totals.volume_msat),
        ]


def _attempts(attempts: Attempts) -> tuple[Metric, Metric]:
    results = CounterMetricFamily(
        "till_webhook_attempts", "Attempts to deliver an event to a webhook", labels=["result"]
    )
    for result in RESULTS:
        results.add_metric([result], attempts.outcomes[result])
    durations = SummaryMetricFamily(
        "till_webhook_attempt_duration_seconds",
        "Duration of attempts to deliver an event",
        count_value=attempts.timed,
        sum_value=attempts.seconds,
    )
    return results, durations


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
