"""A run against the base's front over temperature: what would the base have, sampled so that its pass@1 is the run's?

Sampling at a lower temperature raises pass@1 without any training, so a gain counts only where no temperature of the
base has it. Everything is paired by problem, and the whole interpolation is inside every resample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.estimators import Interval, bootstrap_means
from rlkit.estimators.fronts import locate_on_front, read_front
from rlkit.evaluation.comparing.margins import Answer
from rlkit.evaluation.comparing.models import Model
from rlkit.evaluation.comparing.paired_columns import measure_columns
from rlkit.evaluation.comparing.questions import Question, widen_for_few
from rlkit.evaluation.directory import EvaluationReport
from rlkit.evaluation.metrics.cells import Problem

FloatArray = NDArray[np.float64]

GREEDY = 0.1
"""At or below this temperature sampling is all but greedy, and a front has no further end."""


@dataclass(frozen=True)
class FrontPoint:
    """One evaluation of a run, and what the base has at the temperature at which its pass@1 is the same.

    Where the run's pass@1 is below the base's at its highest temperature, it is compared with that one.
    """

    temperature: float
    """Of the run."""
    base_temperature: float | None
    """Of the base at equal pass@1; None where no temperature that was sampled reaches it."""
    share_unreached: float
    """Share of resamples in which no temperature of the base reaches the run's pass@1."""
    is_front_complete: bool
    """Whether the base was sampled down to where sampling is all but greedy."""
    questions: Mapping[str, Question]
    """`pass@1` (a shortfall, where there is one), `pass@k` and `diversity`, at equal pass@1."""
    at_equal_diversity: Question
    """Difference in pass@1 where the base has the run's diversity."""

    @property
    def is_reached(self) -> bool:
        """Whether some temperature of the base has the run's pass@1, in nearly every resample."""
        return self.base_temperature is not None and self.share_unreached <= 0.05

    @property
    def is_beyond(self) -> bool:
        """Whether no temperature of the base does as well, beyond doubt and by more than the margins."""
        if self.base_temperature is None:
            return self.is_front_complete and self.share_unreached >= 0.975
        answers = {name: question.answer for name, question in self.questions.items()}
        gains = [answers[name] for name in ("pass@k", "diversity") if name in answers]
        is_ahead = Answer.BETTER in gains and Answer.WORSE not in gains
        return is_ahead and answers["pass@1"].rules_out_worse

    @property
    def is_matched(self) -> bool:
        """Whether the base at some temperature is shown to do as well, within the margins, or better."""
        return self.is_reached and all(question.answer.rules_out_better for question in self.questions.values())

    def widened(self, factors: Mapping[str, float]) -> FrontPoint:
        """Return the point with intervals that allow for all questions asked."""
        widened = {name: question.widened(factors[name]) for name, question in self.questions.items()}
        return replace(self, questions=widened)

    def as_json(self) -> dict[str, Any]:
        """Return the point for JSON."""
        return {
            "temperature": _or_none(self.temperature),
            "base_temperature": self.base_temperature,
            "share_unreached": self.share_unreached,
            "is_beyond": self.is_beyond,
            "is_matched": self.is_matched,
            "questions": {name: question.as_json() for name, question in self.questions.items()},
            "at_equal_diversity": self.at_equal_diversity.as_json(),
        }


def compare_with_front(
    base: Model, run: Model, k: int, measure: str | None, margins: Mapping[str, float], level: float, seed: int
) -> list[FrontPoint]:
    """Return each of a run's evaluations against the base's front; empty where the base has one temperature.

    Args:
        base, run: the evaluations; problems that not all of them have are left out.
        k: budget of pass@k; 1 for none.
        measure: of diversity, as `choose_measure` gives it; None for none.
        margins: as `read_margins` gives them.
        level: of the intervals, each looked at alone.
        seed: of the resamples.
    """
    if len(base.reports) < 2 or any(math.isnan(t) for t in (*base.temperatures, *run.temperatures)):
        return []
    quantities = ["pass@1", *([f"pass@{k}"] if k > 1 else []), *([measure] if measure else [])]
    values_MSQ = _values([*base.reports, *run.reports], quantities)
    num_problems, num_sides, num_quantities = values_MSQ.shape
    flat_MK = values_MSQ.reshape(num_problems, -1)
    # The first row is what was seen, the others are resamples of it.
    rows_RK = np.vstack([np.nanmean(flat_MK, axis=0), bootstrap_means(flat_MK, seed=seed)])
    rows_RSQ = rows_RK.reshape(-1, num_sides, num_quantities)
    num_temperatures = len(base.reports)
    base_RTQ, temperatures_T = rows_RSQ[:, :num_temperatures], np.array(base.temperatures)
    names = ["pass@1", *(["pass@k"] if k > 1 else []), *(["diversity"] if measure else [])]
    return [
        _point(
            temperature,
            temperatures_T,
            base_RTQ,
            rows_RSQ[:, num_temperatures + at],
            dict(zip(names, quantities, strict=True)),
            margins,
            level,
            num_problems,
        )
        for at, temperature in enumerate(run.temperatures)
    ]


def _values(reports: Sequence[EvaluationReport], quantities: Sequence[str]) -> FloatArray:
    """Return every quantity of every report on the problems that all have, shape (M, S, Q); NaN in all where in one."""
    problems = [{problem["id"]: problem for problem in report["problems"]} for report in reports]
    shared = [identity for identity in problems[0] if all(identity in others for others in problems[1:])]
    n = int(min(report["n"] for report in reports))
    sides: list[list[Problem]] = [[of_one[identity] for identity in shared] for of_one in problems]
    columns = [measure_columns(side, quantities, n) for side in sides]
    values_MSQ = np.stack([np.stack([each[q] for q in quantities], axis=1) for each in columns], axis=1)
    return np.where(np.isnan(values_MSQ).any(axis=1, keepdims=True), math.nan, values_MSQ)


def _point(
    temperature: float,
    temperatures_T: FloatArray,
    base_RTQ: FloatArray,
    run_RQ: FloatArray,
    quantities: Mapping[str, str],
    margins: Mapping[str, float],
    level: float,
    num_problems: int,
) -> FrontPoint:
    passes_RT, passes_R = base_RTQ[:, :, 0], run_RQ[:, 0]
    places_R = locate_on_front(passes_RT, passes_R)
    # Below what the base has at its highest temperature there is nothing to buy: the comparison is with that.
    places_R = np.where(passes_R <= passes_RT[:, 0], 0.0, places_R)
    is_unreached_R = np.isnan(places_R)
    questions = {}
    for at, (name, quantity) in enumerate(quantities.items()):
        base_R = read_front(base_RTQ[:, :, at], places_R)
        change_R = _change(name, run_RQ[:, at], base_R)
        # Beyond the front's end a run is ahead of it, by an amount that nobody knows.
        change_R = np.where(is_unreached_R, math.inf, change_R)
        questions[name] = _question(name, quantity, base_R, run_RQ[:, at], change_R, margins, level, num_problems)
    last = len(quantities) - 1
    there_R = locate_on_front(base_RTQ[:, :, last], run_RQ[:, last])
    base_R = read_front(passes_RT, there_R)
    equal = _question("pass@1", "pass@1", base_R, passes_R, passes_R - base_R, margins, level, num_problems)
    at_R = read_front(np.broadcast_to(temperatures_T, passes_RT.shape), places_R)
    return FrontPoint(
        temperature,
        None if is_unreached_R[0] else float(at_R[0]),
        float(is_unreached_R[1:].mean()),
        bool(temperatures_T.min() <= GREEDY),
        questions,
        equal,
    )


def _change(name: str, run_R: FloatArray, base_R: FloatArray) -> FloatArray:
    if name != "diversity":
        return run_R - base_R
    with np.errstate(invalid="ignore", divide="ignore"):
        return run_R / base_R - 1.0


def _question(
    name: str,
    quantity: str,
    base_R: FloatArray,
    run_R: FloatArray,
    change_R: FloatArray,
    margins: Mapping[str, float],
    level: float,
    num_problems: int,
) -> Question:
    resamples_R = change_R[1:]
    low, high = math.nan, math.nan
    if num_problems > 1 and not np.isnan(resamples_R).mean() > 0.5:
        known_R = resamples_R[~np.isnan(resamples_R)]
        low, high = np.quantile(known_R, [0.5 - level / 2, 0.5 + level / 2], method="inverted_cdf")
    value = float(change_R[0]) if math.isfinite(change_R[0]) else math.nan
    interval = Interval(value, float(low), float(high), num_problems, num_problems)
    base, run = (None if math.isnan(side[0]) else float(side[0]) for side in (base_R, run_R))
    return Question(name, quantity, base, run, widen_for_few(interval, level), margins[name], resamples_R)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
