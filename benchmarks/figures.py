"""The figures measured, beside what is to be reached, as a table and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

# Wide enough for the notes where the output goes to a file.
_WIDTH = 160


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure. `floor` and `goal` are None where nothing is to be reached."""

    benchmark: str
    name: str
    value: float
    unit: str
    floor: float | None = None
    goal: float | None = None
    more_is_better: bool = False
    notes: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further figures, for the JSON."""

    @property
    def ratio(self) -> float | None:
        """How many times better than the floor; below 1 misses it."""
        if self.floor is None or not self.value or not self.floor:
            return None
        return self.value / self.floor if self.more_is_better else self.floor / self.value

    @property
    def verdict(self) -> str:
        if self.floor is None:
            return ""
        if not self._reaches(self.floor):
            return "below the floor"
        return "goal" if self.goal is not None and self._reaches(self.goal) else "floor"

    def as_json(self) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "floor": self.floor,
            "goal": self.goal,
            "more_is_better": self.more_is_better,
            "ratio_to_floor": self.ratio,
            "reached": self.verdict,
            "notes": self.notes,
            "details": dict(self.details),
        }

    def _reaches(self, mark: float) -> bool:
        return self.value >= mark if self.more_is_better else self.value <= mark


def format_value(value: float) -> str:
    """Three digits that count, and no exponent."""
    if value == 0:
        return "0"
    magnitude = abs(value)
    decimals = 0 if magnitude >= 100 else 1 if magnitude >= 10 else 2 if magnitude >= 1 else 3
    return f"{value:,.{decimals}f}"


def print_table(figures: Sequence[Figure], console: Console | None = None) -> None:
    console = console or Console()
    if not console.is_terminal:
        console.width = _WIDTH
    table = Table(title="Figures: the ratio says how many times better than the floor", title_justify="left")
    for heading in ("benchmark", "figure"):
        table.add_column(heading)
    for heading in ("floor", "goal", "measured"):
        table.add_column(heading, justify="right")
    table.add_column("unit")
    table.add_column("ratio", justify="right")
    table.add_column("reached")
    table.add_column("notes", overflow="fold")
    previous = ""
    for figure in figures:
        if previous and figure.benchmark != previous:
            table.add_section()
        table.add_row(*_cells(figure, repeated=figure.benchmark == previous))
        previous = figure.benchmark
    console.print(table)


def write_json(path: Path, figures: Sequence[Figure], machine: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "run": run, "figures": [figure.as_json() for figure in figures]}
    path.write_text(json.dumps(document, indent=2) + "\n")


def _cells(figure: Figure, *, repeated: bool) -> tuple[str, ...]:
    return (
        "" if repeated else figure.benchmark,
        figure.name,
        "" if figure.floor is None else format_value(figure.floor),
        "" if figure.goal is None else format_value(figure.goal),
        format_value(figure.value),
        figure.unit,
        "" if figure.ratio is None else f"{figure.ratio:.2f}x",
        figure.verdict,
        figure.notes,
    )
