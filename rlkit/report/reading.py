"""What the headline's differences of one run against another say, in words, by rules that the page states.

They describe; what the comparison as a whole shows is the verdict of `rlkit.evaluation.comparing.verdict`.

A number counts as up or down only when the 95 % interval of the paired difference leaves out 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlkit.report.cells import format_number, format_signed
from rlkit.report.columns import Column, diversity_column
from rlkit.report.differences import Difference

RULES = (
    "A number counts as higher or lower only when the 95 % interval of the paired difference leaves out 0. "
    "Accuracy is pass@1. Diversity is coverage of the solution set, or distinct correct solutions where it is unknown. "
    "Solving more or fewer problems is pass@k at the largest k."
)

_VERDICTS = {
    ("up", "up"): ("more accurate and more varied", "better"),
    ("up", "unclear"): ("more accurate, no clear change in diversity", "better"),
    ("up", "down"): ("more accurate, less varied", "mixed"),
    ("unclear", "up"): ("more varied, no clear change in accuracy", "better"),
    ("unclear", "unclear"): ("no clear change", "none"),
    ("unclear", "down"): ("less varied, no more accurate", "worse"),
    ("down", "up"): ("less accurate, more varied", "mixed"),
    ("down", "unclear"): ("less accurate", "worse"),
    ("down", "down"): ("less accurate and less varied", "worse"),
}
"""Verdict and tone by the directions of accuracy and diversity."""

_TONES_WITH_REACH = {
    "up": {"better": "better", "none": "better", "mixed": "mixed", "worse": "mixed"},
    "down": {"better": "mixed", "none": "worse", "mixed": "mixed", "worse": "worse"},
}


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
    """What diversity is judged by, and the share of the other run's that this run has (1: as much); None: unknown."""

    def describe_kept(self, against: str) -> str:
        """Say which share of another run's diversity this run has; "" when unknown."""
        return f"has {self.kept[1]:.0%} of {against}'s {self.kept[0]}" if self.kept else ""


def read_differences(columns: Sequence[Column], differences: Mapping[str, Difference]) -> Reading:
    """Judge one run against another.

    Args:
        columns: the headline's columns.
        differences: run minus the other by column key.
    """
    diversity, passes = diversity_column(columns), [c for c in columns if c.key.startswith("pass@")]
    directions = {key: difference.direction for key, difference in differences.items()}
    accuracy, breadth, reach = (
        directions.get(c.key if c else "", "unclear") for c in (passes[0], diversity, passes[-1])
    )
    verdict, tone = _judge(accuracy, breadth, reach if len(passes) > 1 else "unclear", passes[-1])
    decisive = {c.key: c for c in (passes[0], passes[-1], diversity) if c is not None and c.key in differences}
    changes = tuple(_change(column, differences[key]) for key, column in decisive.items())
    return Reading(verdict, tone, changes, _kept(diversity, differences))


def _judge(accuracy: str, diversity: str, reach: str, largest: Column) -> tuple[str, str]:
    """Return the verdict and its tone for three directions, each `up`, `down` or `unclear`."""
    verdict, tone = _VERDICTS[accuracy, diversity]
    if reach == "unclear":
        return verdict, tone
    solves = f"solves {'more' if reach == 'up' else 'fewer'} problems in {largest.key.removeprefix('pass@')} samples"
    return (solves if tone == "none" else f"{verdict}, {solves}"), _TONES_WITH_REACH[reach][tone]


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
