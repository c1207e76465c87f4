"""The performance goals: each is a ratio of figures of one run, round by round, or a single figure."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks import names
from benchmarks.figures import Run


class Round:
    """One round of a run."""

    def __init__(self, run: Run, number: int) -> None:
        self._run = run
        self._number = number

    def __call__(self, workload: str, name: str, *figures: str) -> float:
        """Return the sum of figures of a row. Raises LookupError if one was not measured in this round."""
        row = self._run.row(workload, name)
        if row is None:
            raise LookupError
        return sum(row.figures[figure][self._number] for figure in figures)


@dataclass(frozen=True)
class Goal:
    """A goal, shown at one row: `value` must be at most `limit`, or at least with `at_least`."""

    workload: str
    name: str
    words: str
    limit: float
    value: Callable[[Round], float]
    at_least: bool = False

    def measured(self, run: Run) -> float | None:
        """Return the median of the rounds, or None if it was not measured."""
        values = []
        for number in range(run.about.get("rounds", 0)):
            try:
                values.append(self.value(Round(run, number)))
            except (LookupError, ZeroDivisionError):
                continue
        return median(values) if values else None

    def is_met(self, value: float) -> bool:
        """Return whether a value meets the goal."""
        return value >= self.limit if self.at_least else value <= self.limit

    def told(self, run: Run) -> str | None:
        """Return value, limit and verdict as text, or None if it was not measured."""
        value = self.measured(run)
        if value is None:
            return None
        most = "at least" if self.at_least else "at most"
        return (
            f"{self.words} {value:.2f}, {most} {self.limit:g}: {'met' if self.is_met(value) else 'NOT MET'}"
        )


def _times(workload: str, name: str, figure: str, other: str, others: str) -> Callable[[Round], float]:
    """Return a function for the ratio to the figure of another row."""
    return lambda row: row(workload, name, figure) / row(workload, other, others)


def _cpu(workload: str, name: str, floor: str, limit: float) -> Goal:
    value = _times(workload, name, "cpu_us_tilld", floor, "cpu_us_floor")
    return Goal(workload, name, "x empty handler's CPU", limit, value)


def _rate(workload: str, name: str, words: str, limit: float, other: str) -> Goal:
    return Goal(workload, name, words, limit, _times(workload, name, "rate", other, "rate"), at_least=True)


def _as_small(workload: str, name: str, figure: str = "cpu_us_tilld", words: str = "x 1,000 rows") -> Goal:
    small = _times(workload, name, figure, names.on_small(name), figure)
    return Goal(workload, name, words, 1.1, small)


def _page(workload: str, name: str) -> Goal:
    return Goal(workload, name, "ms of CPU", 3, lambda row: row(workload, name, "cpu_us_tilld") / 1000)


def _export(name: str) -> Goal:
    return Goal(
        "export", name, "rows per second", 20_000, lambda row: row("export", name, "rate"), at_least=True
    )


def _told(name: str, words: str, limit: float, figure: str, other: str, others: str) -> Goal:
    return Goal("watch", name, words, limit, _times("watch", name, figure, other, others))


def _delivered(name: str, figure: str, limit: float) -> Goal:
    words = figure.replace("_", " in ")
    return Goal("webhooks", name, words, limit, lambda row: row("webhooks", name, figure))


def _as_sqlite(name: str) -> Goal:
    row = names.on_postgresql(name)
    value = _times("postgresql", row, "cpu_us_tilld", f"{name}, SQLite", "cpu_us_tilld")
    return Goal("postgresql", row, "x SQLite's CPU", 2, value)


def _through_envoy(row: Round) -> float:
    """Return Envoy's additional cost, in empty handlers."""
    straight = row("calls", names.READ_BEHIND_REST, "cpu_us_tilld")
    both = row("calls", names.READ_REST, "cpu_us_tilld", "cpu_us_envoy")
    return (both - straight) / row("calls", names.EMPTY, "cpu_us_floor")


def _asleep(figure: str) -> Callable[[Round], float]:
    return lambda row: row("watch", names.ASLEEP, figure)


GOALS = (
    _cpu("calls", names.READ, names.EMPTY, 1.3),
    _as_small("calls", names.READ),
    Goal("calls", names.READ_REST, "empty handlers more than straight", 1.3, _through_envoy),
    _cpu("calls", names.INFO, names.EMPTY_H2LOAD, 1.2),
    _as_small("calls", names.INFO),
    _cpu("create", names.CREATE, names.EMPTY_H2LOAD, 2.2),
    _as_small("create", names.CREATE),
    _as_small("create", names.CREATE_ORDERS),
    _rate("slow-disk", names.CREATE, "x the rate of one commit each", 10, names.BARE_COMMIT),
    *(
        goal
        for name in (*names.PAGES, names.PAGE_REST)
        for goal in (
            _page("lists", name),
            _as_small("lists", name),
            _page("lists", names.on_small(name)),
        )
    ),
    *(_as_small("lists", name) for name in names.LOOKUPS),
    *(
        goal
        for name in (names.EXPORT, names.EXPORT_REST)
        for goal in (_export(name), _as_small("export", name, "mib_peak_tilld", "memory x 1,000 rows"))
    ),
    _as_small("cancel", names.CANCEL),
    _as_small("start-up", names.START, "took_ms"),
    Goal("watch", names.ASLEEP, "refused", 0, _asleep("refused")),
    Goal("watch", names.ASLEEP, "KiB each in tilld", 25, _asleep("kib_each_tilld")),
    _told(names.ONE_TOLD, "p50 x bare read's p50", 10, "p50_ms", names.READ_ALONE, "p50_ms"),
    _told(names.ONE_TOLD, "p99 x bare read's p50", 30, "p99_ms", names.READ_ALONE, "p50_ms"),
    _told(names.THOUSAND_TOLD, "last x empty server's", 2, "last_ms", names.EMPTY_STREAM, "last_ms"),
    Goal("events", names.STREAMS, "refused", 0, lambda row: row("events", names.STREAMS, "refused")),
    Goal(
        "events",
        names.STREAMS,
        "KiB each in tilld",
        25,
        lambda row: row("events", names.STREAMS, "kib_each_tilld"),
    ),
    Goal(
        "events",
        names.EVENT_TOLD,
        "last x empty server's",
        2,
        _times("events", names.EVENT_TOLD, "last_ms", names.EMPTY_STREAM, "last_ms"),
    ),
    Goal(
        "events",
        names.CAUGHT_UP,
        "events per second",
        20_000,
        lambda row: row("events", names.CAUGHT_UP, "rate"),
        at_least=True,
    ),
    *(
        goal
        for name in (names.DELIVERED, names.DELIVERED_OF_CREATE)
        for goal in (_delivered(name, "p50_ms", 50), _delivered(name, "p99_ms", 250))
    ),
    _delivered(names.DELIVERED_BESIDE, "p99_ms", 1000),
    Goal(
        "webhooks",
        names.CREATE_WITH_WEBHOOKS,
        "p50 x without",
        1.05,
        _times("webhooks", names.CREATE_WITH_WEBHOOKS, "p50_ms", names.CREATE_WITHOUT_WEBHOOKS, "p50_ms"),
    ),
    _rate("lightningd", names.CREATE, "x the rate at its socket", 0.95, names.BARE_NODE_BUSY),
    _as_sqlite("read"),
    _as_sqlite("create"),
    *(_page("postgresql", names.on_postgresql(name)) for name in names.PAGES),
    # Checks of the benchmark itself: neither the node nor the benchmark's client is the bottleneck.
    _rate("create", names.BARE_NODE_BUSY, "x the rate of creates", 2, names.CREATE),
    Goal(
        "calls",
        names.EMPTY,
        "our client's x its CPU",
        0.8,
        _times("calls", names.EMPTY, "cpu_us_client", names.EMPTY, "cpu_us_floor"),
    ),
)
