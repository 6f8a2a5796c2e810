"""The headline's numbers of one run before and after: accuracy, pass@k at the largest k, and the diversity it kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlkit.report.cells import format_number, format_signed
from rlkit.report.columns import Column, diversity_column
from rlkit.report.differences import Difference


@dataclass(frozen=True)
class Change:
    """One quantity before (the run compared against) and after (the run), as text."""

    name: str
    before: str
    after: str
    difference: str

    def __str__(self) -> str:
        return f"{self.name} {self.before} → {self.after} ({self.difference})"


@dataclass(frozen=True)
class Changes:
    """What changed from one run to another."""

    numbers: tuple[Change, ...]
    kept: tuple[str, float] | None = None
    """A measure of diversity, and the share of the other run's that this run has (1: as much); None: unknown."""

    def describe_kept(self, against: str) -> str:
        """Say which share of another run's diversity this run has; "" when unknown."""
        return f"has {self.kept[1]:.0%} of {against}'s {self.kept[0]}" if self.kept else ""


def read_changes(columns: Sequence[Column], differences: Mapping[str, Difference]) -> Changes:
    """Return the changes from one run to another.

    Args:
        columns: the headline's columns.
        differences: run minus the other by column key.
    """
    diversity, passes = diversity_column(columns), [c for c in columns if c.key.startswith("pass@")]
    shown = {c.key: c for c in (passes[0], passes[-1], diversity) if c is not None and c.key in differences}
    numbers = tuple(_change(column, differences[key]) for key, column in shown.items())
    return Changes(numbers, _kept(diversity, differences))


def _kept(diversity: Column | None, differences: Mapping[str, Difference]) -> tuple[str, float] | None:
    difference = differences.get(diversity.key) if diversity else None
    if diversity is None or difference is None or not difference.before or difference.after is None:
        return None
    return diversity.title.lower(), difference.after / difference.before


def _change(column: Column, difference: Difference) -> Change:
    if difference.value is None:
        return Change(column.short, "?", "?", "undefined")
    before, after = (format_number(end, column.digits) for end in (difference.before, difference.after))
    return Change(column.short, before, after, format_signed(difference.value, column.digits))
