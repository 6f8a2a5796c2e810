"""What a comparison shows, in one word by stated rules, and what it would take to know where it shows too little."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.estimators import pass_at_k_variance, plan_for_difference, widening_factors
from rlkit.evaluation.comparing.front import FrontPoint
from rlkit.evaluation.comparing.margins import Answer
from rlkit.evaluation.comparing.pairing import Pairing
from rlkit.evaluation.comparing.questions import Question, stack_resamples, standard_error
from rlkit.evaluation.comparing.sentences import describe_at, describe_front, describe_run
from rlkit.evaluation.comparing.verdict_rules import NOT_SETTLED, Evidence, Front, apply_rules

Verdict = dict[str, Any]

_OPEN_FRONT = "Whether the base at a lower temperature does as well is open; this answers it:"


@dataclass(frozen=True)
class Asked:
    """Everything that a verdict on one run rests on, each question looked at alone."""

    pairing: Pairing
    k: int
    questions: Mapping[str, Question]
    points: Sequence[FrontPoint]
    """The run against the base's front, its main temperature first; empty where there is no front."""
    collapse: float
    """Share of the base's diversity whose loss is large."""
    level: float
    command: str
    """What would sample the base at other temperatures."""

    @property
    def front_questions(self) -> list[Question]:
        """Those of the run's evaluations that the base's front reaches; of the others no interval is closed."""
        reached = [point for point in self.points if point.is_reached]
        return [each for point in reached for each in point.questions.values()]


def solved_budget(n: int) -> int:
    """Return the k of pass@k that decides where none is asked for: n/2, beyond which pass@k is too noisy to lean on."""
    return max(1, n // 2)


def judge_all(asked: Sequence[Asked]) -> list[Verdict]:
    """Return the verdict on each run; intervals hold for the questions of all runs at once, and so for those of fronts.

    Returns:
        `word`; `sentence`, without the name of a statistic; `k` and `diversity`, what decided; `level`; `questions`,
        the table; `front`, `{"stands", "says", "command", "points"}`; `needed`,
        what would settle it, empty where it is settled.
    """
    factors = _widening([each.questions.values() for each in asked], asked)
    front_factors = _widening([each.front_questions for each in asked], asked)
    return [_judge(*each) for each in zip(asked, factors, front_factors, strict=True)]


def _widening(groups: Sequence[Collection[Question]], asked: Sequence[Asked]) -> list[list[float]]:
    """Return for every question of every run the factor with which all their intervals hold at once."""
    together = [question for group in groups for question in group]
    if not together:
        return [[] for _ in groups]
    # Comparisons of other problems have other resamples; as columns they only make the widening more careful.
    factors = iter(widening_factors(stack_resamples(together), asked[0].level).tolist())
    return [[next(factors) for _ in group] for group in groups]


def _judge(asked: Asked, factors: Sequence[float], front_factors: Sequence[float]) -> Verdict:
    widened = zip(asked.questions.items(), factors, strict=True)
    questions = {name: question.widened(factor) for (name, question), factor in widened}
    left = iter(front_factors)
    points = [
        point.widened({name: next(left) for name in point.questions}) if point.is_reached else point
        for point in asked.points
    ]
    front = _stand(points)
    answers = {name: question.answer for name, question in questions.items()}
    high = questions["diversity"].change.high if "diversity" in questions else math.nan
    evidence = Evidence(
        answers["pass@1"],
        answers.get("pass@k", Answer.UNKNOWN),
        answers.get("diversity", Answer.UNKNOWN),
        bool(high < -asked.collapse),
        front,
    )
    word = apply_rules(evidence)
    said = [*([describe_front(points[0])] if points else []), describe_run(word, questions)]
    return {
        "word": word,
        "sentence": " ".join(said),
        "k": asked.k,
        "diversity": questions["diversity"].quantity if "diversity" in questions else None,
        "level": asked.level,
        "questions": [question.as_json() for question in questions.values()],
        "front": {
            "stands": str(front),
            "says": [describe_at(point) for point in points[1:]] if points else [_OPEN_FRONT],
            "command": "" if points else asked.command,
            "points": [point.as_json() for point in points],
        },
        "needed": plan_needed(asked, questions, factors) if word == NOT_SETTLED else {},
    }


def _stand(points: Sequence[FrontPoint]) -> Front:
    if not points:
        return Front.UNKNOWN
    if any(point.is_beyond for point in points):
        return Front.BEYOND
    return Front.MATCHED if points[0].is_matched else Front.OPEN


def plan_needed(
    asked: Asked, questions: Mapping[str, Question], factors: Sequence[float], power: float = 0.8
) -> dict[str, Any]:
    """Return what would settle the open question that is nearest to being settled.

    A question is settled once its interval lies on one side of a margin. So what is planned for is the distance from
    the estimate to the nearer margin, at the level that all questions together have.

    Returns:
        `{"quantity", "more_problems", "more_samples", "says", ...}` with the fields of `Needed`: problems and samples
        beyond the present ones, None where no number would, or it is not known; empty where nothing is known.
    """
    plans = {}
    for (name, question), factor in zip(questions.items(), factors, strict=False):
        error = standard_error(question)
        if question.answer.is_settled or not math.isfinite(error) or not math.isfinite(question.change.value):
            continue
        distance = min(abs(question.change.value - question.margin), abs(question.change.value + question.margin))
        # An interval that is wider by the factor is one of a level this much closer to 1.
        level = math.erf(factor * _inverse_normal(asked.level) / math.sqrt(2.0))
        plan = plan_for_difference(
            distance,
            error,
            question.change.num_defined,
            asked.pairing.n,
            _within(asked, question),
            level=level,
            power=power,
        )
        plans[name] = (question, plan)
    if not plans:
        return {}
    name = min(plans, key=lambda each: plans[each][1].num_problems)
    question, plan = plans[name]
    more = [plan.num_problems - question.change.num_defined, plan.num_samples - asked.pairing.n]
    problems, samples = (max(1, int(value)) if math.isfinite(value) else None for value in more)
    if problems is not None:
        # Of fewer than this, one problem alone moves the mean by more than the margin.
        problems = max(problems, math.ceil(1.0 / max(question.margin, 1e-9)) - question.change.num_defined)
    says = _say_needed(question, problems, samples)
    return {"quantity": question.quantity, "more_problems": problems, "more_samples": samples, "says": says} | {
        **plan.as_json()
    }


def _within(asked: Asked, question: Question) -> float:
    if question.name == "diversity":
        return math.nan
    k = int(question.quantity.removeprefix("pass@"))
    n_base, c_base, n_run, c_run = asked.pairing.counts()
    within_M = np.asarray(pass_at_k_variance(n_base, c_base, k)) + np.asarray(pass_at_k_variance(n_run, c_run, k))
    return float(np.nanmean(within_M)) if not np.isnan(within_M).all() else math.nan


def _say_needed(question: Question, problems: int | None, samples: int | None) -> str:
    what = {"pass@1": "the first try", "diversity": "diversity"}.get(question.name, question.quantity)
    margin = f"{100 * question.margin:g} {'%' if question.is_relative else 'of 100 problems'}"
    if problems is None:
        return (
            f"The change in {what} lies so close to its margin of {margin} that no number of problems would settle it."
        )
    said = f"About {problems:,} more problems"
    if samples is not None:
        said += f", or {samples:,} more samples a problem on these,"
    return f"{said} would settle whether {what} changes by more than {margin}, if the change is as large as it seems."


def _inverse_normal(level: float) -> float:
    return statistics.NormalDist().inv_cdf(0.5 + level / 2)
