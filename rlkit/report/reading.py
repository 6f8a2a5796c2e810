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
class Reading:
    """A verdict in a few words and the numbers that decided it."""

    verdict: str
    tone: str
    """`better`, `worse`, `mixed` or `none`."""
    numbers: str


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
    return Reading(verdict, tone, "; ".join(_phrase(c, cells.get(c.key), differences[c.key]) for c in decisive))


def _combine(breadth: set[str]) -> str:
    return "down" if "down" in breadth else "up" if "up" in breadth else "unclear"


def _verdict(accuracy: str, variety: str) -> tuple[str, str]:
    return {
        ("up", "up"): ("more accurate and more varied", "better"),
        ("up", "unclear"): ("more accurate, variety not measurably changed", "better"),
        ("up", "down"): ("sharpened: more accurate, less varied", "mixed"),
        ("unclear", "up"): ("more varied, accuracy not measurably changed", "better"),
        ("unclear", "unclear"): ("no measurable change", "none"),
        ("unclear", "down"): ("narrowed: less varied, no more accurate", "worse"),
        ("down", "up"): ("less accurate, more varied", "mixed"),
        ("down", "unclear"): ("less accurate", "worse"),
        ("down", "down"): ("worse: less accurate and less varied", "worse"),
    }[accuracy, variety]


def _phrase(column: Column, cell: Cell | None, difference: Cell) -> str:
    name = column.title if column.key.startswith("pass@") else column.title.lower()
    if difference.value is None or cell is None or cell.value is None:
        return f"{name} undefined"
    before = format_number(cell.value - difference.value, column.digits)
    after = format_number(cell.value, column.digits)
    return f"{name} {before} → {after} ({format_signed(difference.value, column.digits)})"
