"""The three questions that decide a verdict: right at the first try, solved in k samples, and the diversity kept."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.errors import ConfigError, suggest
from rlkit.estimators import Interval, widen
from rlkit.estimators.student_t import critical_value
from rlkit.evaluation.comparing.margins import Answer, answer
from rlkit.evaluation.comparing.paired_columns import Columns, PairedStatistics
from rlkit.evaluation.diversity.measuring import HEADLINE

FloatArray = NDArray[np.float64]

KNOWN_SETS = ("solution_coverage", "distinct_correct")
"""Measures of diversity that need no text: the share of all solutions found, and how many different ones."""


@dataclass(frozen=True)
class Question:
    """One change from base to run, and the margin beyond which it matters."""

    name: str
    """`pass@1`, `pass@k` or `diversity`: whose margin it has."""
    quantity: str
    """What is measured: `pass@64`, `solution_coverage`, ..."""
    base: float | None
    run: float | None
    change: Interval
    """Run minus base; of diversity as a share of the base's."""
    margin: float
    resamples_R: FloatArray
    """The change in resampled problems."""
    p_value: float = 0.0
    """Of a sign-flip test of no change, which holds for few problems too; 0 where no test is needed."""
    level: float = 0.95

    @property
    def is_relative(self) -> bool:
        """Whether the change is a share of the base's value."""
        return self.name == "diversity"

    @property
    def answer(self) -> Answer:
        """What the interval is sure of; a direction needs the sign-flip test as well, as few problems may all agree."""
        found = answer(self.change.low, self.change.high, self.margin)
        if self.p_value < 1.0 - self.level:
            return found
        return {Answer.BETTER: Answer.NOT_WORSE, Answer.WORSE: Answer.NOT_BETTER}.get(found, found)

    def widened(self, factor: float) -> Question:
        """Return the question with an interval that allows for the others that are asked beside it."""
        return replace(self, change=widen(self.change, factor)) if math.isfinite(self.change.value) else self

    def as_json(self) -> dict[str, Any]:
        """Return the row of the verdict's table."""
        cell: dict[str, Any] = {
            name: value if not isinstance(value, float) or math.isfinite(value) else None
            for name, value in self.change.as_cell().items()
        }
        return {
            "name": self.name,
            "quantity": self.quantity,
            "base": self.base,
            "run": self.run,
            "change": cell.pop("value"),
            **cell,
            "is_relative": self.is_relative,
            "margin": self.margin,
            "answer": str(self.answer),
        }


def ask_questions(
    found: PairedStatistics, k: int, measure: str | None, margins: Mapping[str, float]
) -> dict[str, Question]:
    """Return the questions by name, each looked at alone; no pass@k where k is 1, no diversity without a measure."""
    asked = {"pass@1": _absolute(found, "pass@1", "pass@1", margins)}
    if k > 1:
        asked["pass@k"] = _absolute(found, "pass@k", f"pass@{k}", margins)
    if measure is not None:
        asked["diversity"] = _relative(found, measure, margins)
    return asked


def choose_measure(base: Columns, run: Columns, wanted: str | None) -> str | None:
    """Return the measure of diversity that decides: the one asked for, else the best that both evaluations have.

    Coverage of the set of solutions where it is known; else how many different correct solutions there are, where some
    problem has two; else the first of the well-known measures over correct outputs; None where there is none.

    Raises:
        ConfigError: the one asked for is not measured in both.
    """
    known = [name for name in base if name in KNOWN_SETS or "/" in name]
    if wanted is not None:
        found = next((name for name in (wanted, f"correct/{wanted}") if name in known), None)
        if found is None:
            raise ConfigError(f"--diversity was given as {wanted!r}.{suggest(wanted, known)}")
        return found
    if _is_defined(base, run, "solution_coverage"):
        return "solution_coverage"
    if any(np.nanmax(side["distinct_correct"], initial=0.0) > 1.0 for side in (base, run)):
        return "distinct_correct"
    return next((f"correct/{name}" for name in HEADLINE if _is_defined(base, run, f"correct/{name}")), None)


def _is_defined(base: Columns, run: Columns, name: str) -> bool:
    return name in base and not np.isnan(base[name] + run[name]).all()


def _absolute(found: PairedStatistics, name: str, quantity: str, margins: Mapping[str, float]) -> Question:
    at = found.names.index(quantity)
    cell = found.cell(quantity)
    change = at_least_one_problem(found.intervals[at])
    sides, margin, resamples_R = (cell["a"], cell["b"]), margins[name], found.resamples_RK[:, at]
    return Question(name, quantity, *sides, change, margin, resamples_R, float(found.test.p_values_K[at]), found.level)


def _relative(found: PairedStatistics, quantity: str, margins: Mapping[str, float]) -> Question:
    at = found.names.index(quantity)
    cell, kept = found.cell(quantity), found.retained(quantity)
    with np.errstate(invalid="ignore", divide="ignore"):
        resamples_R = found.resamples_RK[:, at] / found.base_resamples_RK[:, at]
    change = Interval(kept.value - 1.0, kept.low - 1.0, kept.high - 1.0, kept.num_defined, kept.num_total)
    change = at_least_one_problem(change)
    sides, margin, p_value = (cell["a"], cell["b"]), margins["diversity"], float(found.test.p_values_K[at])
    return Question("diversity", quantity, *sides, change, margin, resamples_R, p_value, found.level)


def at_least_one_problem(change: Interval) -> Interval:
    """Return the interval, at least as wide to either side as what the change of one whole problem would move.

    Where few problems differ, or none does, resamples claim a certainty that so many problems cannot give.
    """
    step = 1.0 / change.num_defined if change.num_defined else math.nan
    low, high = min(change.low, change.value - step), max(change.high, change.value + step)
    return replace(change, low=low, high=high)


def widen_for_few(interval: Interval, level: float) -> Interval:
    """Return an interval of percentiles, wider as Student's t is: of few problems it would be too narrow."""
    num = interval.num_defined
    if num < 2 or not math.isfinite(interval.value):
        return interval
    normal = statistics.NormalDist().inv_cdf(0.5 + level / 2)
    return widen(interval, critical_value(level, num - 1) * math.sqrt(num / (num - 1)) / normal)


def standard_error(question: Question) -> float:
    """Return the standard error of a change over problems, NaN where it is not known."""
    finite_R = question.resamples_R[np.isfinite(question.resamples_R)]
    num = question.change.num_defined
    # Resamples of M problems vary as if M - 1 were known.
    return float(finite_R.std() * math.sqrt(num / (num - 1))) if num > 1 and len(finite_R) else math.nan


def stack_resamples(questions: Sequence[Question]) -> FloatArray:
    """Return the resamples of several questions as columns, shape (R, Q)."""
    columns = [np.where(np.isfinite(question.resamples_R), question.resamples_R, np.nan) for question in questions]
    return np.stack(columns, axis=1)
