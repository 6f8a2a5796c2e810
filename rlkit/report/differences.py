"""Every run against every other, paired by problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from rlkit.evaluation.comparing.comparison import compare_runs
from rlkit.report.cells import Cell, finite_or_none
from rlkit.report.columns import Column
from rlkit.report.load import Run


@dataclass(frozen=True)
class Difference(Cell):
    """The mean of after minus before over the problems where both are defined, with its interval."""

    before: float | None = None
    """Mean of the run compared against, over the same problems and at the same number of samples."""
    after: float | None = None
    """Mean of the run, likewise."""
    p_value: float | None = None
    """Of a two-sided sign-flip test of this quantity alone."""

    def as_json(self) -> dict[str, float | int | None]:
        """Return the shape of a cell with both means and the p-value."""
        return super().as_json() | {"before": self.before, "after": self.after, "p_value": self.p_value}


Differences = Mapping[tuple[int, int], Mapping[str, Difference]]
"""`differences[run, against][column key]`."""


Comparisons = Mapping[tuple[int, int], Mapping[str, Any]]
"""`comparisons[run, against]`: what `compare_runs` gives, for every run against each that was named before it."""


def compare_all(runs: Sequence[Run], columns: Sequence[Column]) -> Comparisons:
    """Compare every run with each that was named before it.

    Raises:
        ConfigError: two runs cannot be paired.
    """
    ks = [int(column.key.removeprefix("pass@")) for column in columns if column.key.startswith("pass@")]
    return {(j, i): compare_runs(runs[i].report, runs[j].report, ks=ks) for i, j in combinations(range(len(runs)), 2)}


def read_all_differences(comparisons: Comparisons, columns: Sequence[Column]) -> Differences:
    """Return every ordered pair of runs in every column for which evaluation knows a paired difference."""
    pairs: dict[tuple[int, int], dict[str, Difference]] = {}
    for (j, i), found in comparisons.items():
        records = {f"pass@{k}": record for k, record in found["pass_at_k"].items()} | found["metrics"]
        forward = {c.key: _read(records[c.key]) for c in columns if c.key in records}
        pairs[j, i] = forward
        pairs[i, j] = {key: negate(difference) for key, difference in forward.items()}
    return pairs


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
