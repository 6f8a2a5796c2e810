"""Every run against every other, paired by problem."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from rlkit.estimators.intervals import paired_difference
from rlkit.estimators.passing import pass_at_k
from rlkit.report.cells import Cell, read_cell
from rlkit.report.columns import Column
from rlkit.report.load import Run

Differences = Mapping[tuple[int, int], Mapping[str, Cell]]
"""`differences[run, against][column key]`: mean of run minus against over problems, with its interval."""


def compare_all(runs: Sequence[Run], columns: Sequence[Column]) -> Differences:
    """Compare every ordered pair of runs; columns that one of the two lacks are left out."""
    pairs: dict[tuple[int, int], dict[str, Cell]] = {}
    for i, j in combinations(range(len(runs)), 2):
        forward = _compare(runs[i], runs[j], columns)
        pairs[j, i] = forward
        pairs[i, j] = {key: negate(cell) for key, cell in forward.items()}
    return pairs


def negate(cell: Cell) -> Cell:
    """Return the difference seen from the other side."""

    def flip(value: float | None) -> float | None:
        return None if value is None else -value

    return Cell(flip(cell.value), flip(cell.high), flip(cell.low), cell.num_defined, cell.num_total)


def _compare(reference: Run, run: Run, columns: Sequence[Column]) -> dict[str, Cell]:
    result = {}
    for column in columns:
        values = [_per_problem(r, column.key) for r in (reference, run)]
        if all(values):
            ids = list(values[0])
            result[column.key] = read_cell(
                paired_difference([values[0][i] for i in ids], [values[1][i] for i in ids]).as_cell()
            )
    return result


def _per_problem(run: Run, key: str) -> dict[str, float]:
    return {p["id"]: _value(p, key) for p in run.problems if _value(p, key) is not None}


def _value(problem: Mapping[str, Any], key: str) -> float | None:
    if key.startswith("pass@"):
        return float(pass_at_k(problem["num_samples"], problem["num_correct"], int(key[5:])))
    if key == "distinct_correct":
        return problem["num_distinct_correct"]
    if key == "solution_coverage":
        return problem["num_distinct_correct"] / problem["num_solutions"] if problem.get("num_solutions") else math.nan
    return problem.get(key)
