"""Every run against every other, paired by problem."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from rlkit.estimators import holm_p_values
from rlkit.evaluation.comparing.comparison import Choices, compare_runs, compare_several
from rlkit.evaluation.comparing.models import gather_models
from rlkit.report.cells import Cell, finite_or_none
from rlkit.report.columns import Column
from rlkit.report.load import Run

MOST_PAIRED = 4
"""With more runs than this each is compared with the first only: all pairs of 64 runs are 2,016."""

_NOISE = 0.05
"""Adjusted p-values from here on are noise."""


@dataclass(frozen=True)
class Difference(Cell):
    """The mean of after minus before over the problems where both are defined, with its interval."""

    before: float | None = None
    """Mean of the run compared against, over the same problems and at the same number of samples."""
    after: float | None = None
    """Mean of the run, likewise."""
    p_value: float | None = None
    """Of a two-sided sign-flip test of this quantity alone."""
    p_adjusted: float | None = None
    """Adjusted for all columns, and all runs against the same one."""

    @property
    def direction(self) -> str:
        """`up` or `down` where the change is beyond noise, whatever else is looked at beside it; else `unclear`."""
        is_noise = self.p_adjusted is None or self.p_adjusted >= _NOISE
        return "unclear" if is_noise else super().direction

    def as_json(self) -> dict[str, float | int | None]:
        """Return the shape of a cell with both means and the p-values."""
        p_values = {"p_value": self.p_value, "p_adjusted": self.p_adjusted}
        return super().as_json() | {"before": self.before, "after": self.after} | p_values


Differences = Mapping[tuple[int, int], Mapping[str, Difference]]
"""`differences[run, against][column key]`."""


Comparisons = Mapping[tuple[int, int], Mapping[str, Any]]
"""`comparisons[run, against]`: what `compare_runs` gives, for every run against each that was named before it, or the
first where they are many."""


def compare_all(
    runs: Sequence[Run],
    columns: Sequence[Column],
    choices: Choices | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Comparisons:
    """Compare every run with each that was named before it; verdicts against the first allow for their number.

    Of more than `MOST_PAIRED` runs each is compared with the first only.

    Args:
        runs, columns: of the report.
        choices: of the verdicts.
        progress: called with how many comparisons are done.

    Raises:
        ConfigError: two runs cannot be paired, or something was chosen that they do not have.
    """
    ks = [int(column.key.removeprefix("pass@")) for column in columns if column.key.startswith("pass@")]
    # Evaluations of the reference at other temperatures, its own or named apart, are its front.
    models = [run.model for run in runs]
    front, _ = gather_models(models[0], models[1:])
    against = (
        compare_several(front, models[1:], ks=ks, choices=choices, progress=progress)["comparisons"]
        if len(runs) > 1
        else []
    )
    pairs = combinations(range(1, len(runs)), 2) if len(runs) <= MOST_PAIRED else ()
    found = {}
    for i, j in pairs:
        found[j, i] = compare_runs(runs[i].report, runs[j].report, ks=ks, choices=choices)
        progress(len(against) + len(found))
    return found | {(j, 0): each for j, each in enumerate(against, start=1)}


def read_all_differences(comparisons: Comparisons, columns: Sequence[Column]) -> Differences:
    """Return every ordered pair of runs in every column for which evaluation knows a paired difference."""
    pairs: dict[tuple[int, int], dict[str, Difference]] = {}
    for (j, i), found in comparisons.items():
        records = {f"pass@{k}": record for k, record in found["pass_at_k"].items()} | found["metrics"]
        forward = {c.key: _read(records[c.key]) for c in columns if c.key in records}
        pairs[j, i] = forward
        pairs[i, j] = {key: negate(difference) for key, difference in forward.items()}
    return _adjust(pairs)


def _adjust(pairs: dict[tuple[int, int], dict[str, Difference]]) -> Differences:
    """Adjust the p-values of all runs and columns against one run for each other (Holm): a reader sees them at once."""
    adjusted = {pair: dict(found) for pair, found in pairs.items()}
    for against in {against for _, against in pairs}:
        shown = [(pair, key) for pair in pairs if pair[1] == against for key in pairs[pair]]
        p_values = [pairs[pair][key].p_value for pair, key in shown]
        together = holm_p_values([math.nan if p_value is None else p_value for p_value in p_values])
        for (pair, key), p_value in zip(shown, together.tolist(), strict=True):
            adjusted[pair][key] = replace(pairs[pair][key], p_adjusted=finite_or_none(p_value))
    return adjusted


def negate(cell: Difference) -> Difference:
    """Return the difference seen from the other side."""

    def flip(value: float | None) -> float | None:
        return None if value is None else -value

    return Difference(
        flip(cell.value),
        flip(cell.high),
        flip(cell.low),
        cell.num_defined,
        cell.num_total,
        before=cell.after,
        after=cell.before,
        p_value=cell.p_value,
    )


def _read(record: Mapping[str, Any]) -> Difference:
    return Difference(
        value=finite_or_none(record["difference"]),
        low=finite_or_none(record["low"]),
        high=finite_or_none(record["high"]),
        num_defined=record["num_defined"],
        num_total=record["num_total"],
        before=finite_or_none(record["a"]),
        after=finite_or_none(record["b"]),
        p_value=finite_or_none(record["p_value"]),
    )
