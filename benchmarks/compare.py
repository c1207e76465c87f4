"""Comparison of two runs. As a program: `python -m benchmarks.compare BASE NEW`."""

import sys
from pathlib import Path

from benchmarks.figures import Row, Run
from benchmarks.table import HEADINGS, aligned, number, times_floor
from tilld.errors import OperatorError


def of_runs(base: Run, new: Run) -> str:
    """Return a table of the medians that both runs have, with the ratio of new to base.

    The column "by floors" is the ratio of the multiples of the floors, each from its own run. This removes
    differences between the machines or days.
    """
    blocks = []
    for workload in dict.fromkeys(row.workload for row in new.rows):
        lines = [["", "base", "new", "ratio", "by floors"]]
        for row in (row for row in new.rows if row.workload == workload):
            before = base.row(workload, row.name)
            for name, heading in HEADINGS.items():
                was, is_now = before.median(name) if before else None, row.median(name)
                if was is None or is_now is None:
                    continue
                ratio = f"{is_now / was:.2f}" if was else ""
                by_floors = _by_floors(base, new, row) if name == "cpu_us_tilld" else ""
                lines.append([f"{row.name}: {heading}", number(was), number(is_now), ratio, by_floors])
        if len(lines) > 1:
            blocks.append(f"{workload}\n{aligned(lines)}")
    return "\n\n".join(blocks) or "The two runs have no figure in common."


def _by_floors(base: Run, new: Run, row: Row) -> str:
    was, is_now = times_floor(base, base.row(row.workload, row.name)), times_floor(new, row)
    return f"{is_now / was:.2f}" if was and is_now else ""


def main() -> None:
    """Print the comparison."""
    try:
        base, new = (Run.load(Path(file)) for file in sys.argv[1:])
    except ValueError:
        sys.exit("name the files of two runs: make bench-compare BASE=FILE [NEW=FILE]")
    except OperatorError as reason:
        sys.exit(str(reason))
    sys.stdout.write(of_runs(base, new) + "\n")


if __name__ == "__main__":
    main()
