"""What the differences of one run against another say, in words, by rules that the page states.

A number counts as up or down only when the 95 % interval of the paired difference leaves out 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlkit.report.cells import Cell, format_number, format_signed
from rlkit.report.columns import Column, variety_column

RULES = (
    "A number counts as higher or lower only when the 95 % interval of the paired difference leaves out 0. "
    "Accuracy is pass@1; variety is coverage of the solution set (distinct correct solutions where the set is unknown) "
    "together with pass@k at the largest k; lower in either counts as less variety."
)


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
class Reading:
    """A verdict in a few words and the numbers that decided it."""

    verdict: str
    tone: str
    """`better`, `worse`, `mixed` or `none`."""
    changes: tuple[Change, ...]
    kept: tuple[str, float] | None = None
    """What variety is judged by, and which share of the other run's this run has (1 is as much); None when unknown."""


def read_differences(
    columns: Sequence[Column], cells: Mapping[str, Cell | None], differences: Mapping[str, Cell]
) -> Reading:
    """Judge one run against another.

    Args:
        columns: the headline's columns.
        cells: the run's own numbers by column key.
        differences: run minus reference by column key.
    """
    variety, passes = variety_column(columns), [c for c in columns if c.key.startswith("pass@")]
    directions = {key: cell.direction for key, cell in differences.items()}
    accuracy = directions.get("pass@1", "unclear")
    breadth = {directions.get(column.key, "unclear") for column in (variety, passes[-1]) if column}
    verdict, tone = _verdict(accuracy, _combine(breadth))
    decisive = [c for c in (passes[0], passes[-1], variety) if c is not None and c.key in differences]
    changes = tuple(_change(c, cells.get(c.key), differences[c.key]) for c in decisive)
    kept = _kept(cells.get(variety.key), differences.get(variety.key)) if variety else None
    return Reading(verdict, tone, changes, None if kept is None or variety is None else (variety.short, kept))


def _combine(breadth: set[str]) -> str:
    return "down" if "down" in breadth else "up" if "up" in breadth else "unclear"


def _verdict(accuracy: str, variety: str) -> tuple[str, str]:
    return {
        ("up", "up"): ("more accurate and more varied", "better"),
        ("up", "unclear"): ("more accurate, variety kept within noise", "better"),
        ("up", "down"): ("sharpened: more accurate, less varied", "mixed"),
        ("unclear", "up"): ("more varied, accuracy kept within noise", "better"),
        ("unclear", "unclear"): ("no measurable change", "none"),
        ("unclear", "down"): ("narrowed: less varied, no more accurate", "worse"),
        ("down", "up"): ("less accurate, more varied", "mixed"),
        ("down", "unclear"): ("less accurate", "worse"),
        ("down", "down"): ("worse: less accurate and less varied", "worse"),
    }[accuracy, variety]


def _kept(cell: Cell | None, difference: Cell | None) -> float | None:
    if cell is None or difference is None or cell.value is None or difference.value is None:
        return None
    before = cell.value - difference.value
    return cell.value / before if before > 0 else None


def _change(column: Column, cell: Cell | None, difference: Cell) -> Change:
    if difference.value is None or cell is None or cell.value is None:
        return Change(column.short, "?", "?", "undefined")
    return Change(
        column.short,
        format_number(cell.value - difference.value, column.digits),
        format_number(cell.value, column.digits),
        format_signed(difference.value, column.digits),
    )
