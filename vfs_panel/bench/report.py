"""What a benchmark found: figures for JSON, tables for people, and which goals were reached."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vfs_panel import __version__

SCHEMA = "vfs_panel.bench"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title; `notes` are lines to print under them."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that was to be reached.

    Attributes
    ----------
    what : in words, with the bound.
    value : what was measured.
    bound : what it is compared with.
    at_least : whether it has to be at least the bound, or at most.
    """

    what: str
    value: float
    bound: float
    at_least: bool

    @property
    def reached(self) -> bool:
        """Whether it was."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark's outcome.

    Attributes
    ----------
    figures : plain values, for JSON.
    problems : contestants that do not agree with the truth.
    left_out : what was not measured, and why.
    """

    figures: dict[str, Any]
    tables: tuple[Table, ...]
    goals: tuple[Goal, ...] = ()
    problems: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def with_part(self, other: "Part") -> "Part":
        """Return both as one."""
        return Part(
            self.figures | other.figures, self.tables + other.tables, self.goals + other.goals,
            self.problems + other.problems, self.left_out + other.left_out,
        )  # fmt: skip


@dataclass(slots=True)
class Report:
    """All parts of one run.

    Attributes
    ----------
    machine : from `machine.describe`.
    options : what was asked for.
    parts : name -> outcome.
    """

    machine: dict[str, Any]
    options: dict[str, Any]
    parts: dict[str, Part] = field(default_factory=dict)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def to_json(self) -> dict[str, Any]:
        """Return plain values: what `--json` writes."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "created_with": f"vfs_panel {__version__}",
            "started": self.started,
            "machine": self.machine,
            "options": self.options,
            "parts": {
                name: {
                    **part.figures,
                    "goals": [
                        {
                            "what": g.what,
                            "value": g.value,
                            "bound": g.bound,
                            "at_least": g.at_least,
                            "reached": g.reached,
                        }
                        for g in part.goals
                    ],
                    "problems": list(part.problems),
                    "left_out": list(part.left_out),
                }
                for name, part in self.parts.items()
            },
        }

    def goals(self) -> Table | None:
        """Return which goals were reached; None where none was set."""
        goals = [goal for part in self.parts.values() for goal in part.goals]
        rows = tuple((g.what, number(g.value), "reached" if g.reached else "NOT reached") for g in goals)
        return Table("Goals", ("goal", "measured", "outcome"), rows) if rows else None

    def problems(self) -> list[str]:
        """Return all disagreements."""
        return [problem for part in self.parts.values() for problem in part.problems]


def number(value: float | None) -> str:
    """Return a figure with about three digits, "–" where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean; NaN of nothing."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan
