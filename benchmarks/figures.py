"""The figures of a run, one value per round, and their JSON file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from tilld.errors import OperatorError

Figures: TypeAlias = dict[str, float]


@dataclass
class Row:
    """A subject that was measured. `floor` names the row with its lowest possible cost."""

    workload: str
    name: str
    floor: str | None = None
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, figures: Mapping[str, float]) -> None:
        """Add the figures of one round."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def median(self, figure: str) -> float | None:
        """Return the median of a figure, or None if it was not measured."""
        return median(values) if (values := self.figures.get(figure)) else None


@dataclass
class Run:
    """A run: its settings, its rows, and the workloads left out, each with the reason."""

    about: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def row(self, workload: str, name: str) -> Row | None:
        """Return a row, or None."""
        return next((row for row in self.rows if (row.workload, row.name) == (workload, name)), None)

    def save(self, file: Path) -> None:
        """Write the run as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> "Run":
        """Read a saved run.

        Raises OperatorError if the file is not a saved run.
        """
        try:
            saved = json.loads(file.read_text())
            return cls(saved["about"], [Row(**row) for row in saved["rows"]], saved["left_out"])
        except (OSError, ValueError, LookupError, TypeError):
            raise OperatorError(f"{file} is no run of the benchmark; `make bench` writes one") from None
