"""A run as text, with one table per workload."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from statistics import median

from benchmarks.figures import Row, Run
from benchmarks.goals import GOALS

# Headings of the figures, in the order of the columns.
HEADINGS = {
    "rate": "per second",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "last_ms": "last ms",
    "took_ms": "took ms",
    "cpu_us_tilld": "CPU us tilld",
    "cpu_us_envoy": "CPU us Envoy",
    "cpu_us_node": "CPU us node",
    "cpu_us_floor": "CPU us floor",
    "cpu_us_client": "CPU us client",
    "cpu_ms_tilld": "CPU ms tilld",
    "kib_each_tilld": "KiB each tilld",
    "kib_each_envoy": "KiB each Envoy",
    "mib_before_tilld": "MiB tilld before",
    "mib_peak_tilld": "MiB tilld peak",
    "mib_before_envoy": "MiB Envoy before",
    "mib_peak_envoy": "MiB Envoy peak",
    "mib_tilld": "MiB tilld",
    "mib_envoy": "MiB Envoy",
    "mib_node": "MiB node",
    "mib_floor": "MiB floor",
    "refused": "refused",
}


def of_run(run: Run) -> str:
    """Return all tables: medians with minimum and maximum, the multiple of the floor, and the goals."""
    blocks = [", ".join(f"{name} {value}" for name, value in run.about.items())]
    for workload in dict.fromkeys(row.workload for row in run.rows):
        rows = [row for row in run.rows if row.workload == workload]
        figures = [name for name in HEADINGS if any(name in row.figures for row in rows)]
        headings = ["", *(HEADINGS[name] for name in figures), "x floor", "goal"]
        lines = [line for row in rows for line in _lines(run, row, figures)]
        blocks.append(f"{workload}\n{aligned([headings, *lines])}")
    blocks += [f"left out: {each}" for each in run.left_out]
    return "\n\n".join(blocks)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Align rows of cells as text. Columns with only a heading are omitted; figures are right-aligned."""
    kept = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in kept]
    lines = []
    for cells in zip(*kept, strict=True):
        first, *others = (
            cell.ljust(width) if number in (0, len(kept) - 1) else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def number(value: float) -> str:
    """Return a figure with about three digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def times_floor(run: Run, row: Row | None) -> float | None:
    """Return the cost as a multiple of the floor: CPU time with Envoy's, or the time to the last message."""
    floor = run.row(row.workload, row.floor) if row and row.floor else None
    if row is None or floor is None:
        return None
    if (last := row.median("last_ms")) and (least := floor.median("last_ms")):
        return last / least
    used = sum(row.median(name) or 0 for name in ("cpu_us_tilld", "cpu_us_envoy"))
    least = floor.median("cpu_us_floor")
    return used / least if least else None


def _lines(run: Run, row: Row, figures: Sequence[str]) -> Iterator[list[str]]:
    measured = [row.figures.get(name, []) for name in figures]
    times = times_floor(run, row)
    told = [goal.told(run) for goal in GOALS if (goal.workload, goal.name) == (row.workload, row.name)]
    medians = [
        row.name,
        *(number(median(values)) if values else "" for values in measured),
        "" if times is None else f"{times:.2f}",
    ]
    spreads = ["", *(_spread(values) if len(values) > 1 else "" for values in measured), ""]
    for cells, goal in zip_longest([medians, spreads], filter(None, told)):
        if any(cells or ()) or goal:
            yield [*(cells or [""] * len(medians)), goal or ""]


def _spread(values: Sequence[float]) -> str:
    return f"{number(min(values))}…{number(max(values))}"
