"""Report cells from per-problem counts: no model, no texts, only numbers; every mean with its interval over problems.

A metric is a function of one problem that returns NaN where it does not exist. The same functions serve reports and
paired comparisons, so the two can never disagree about a definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.estimators import (
    auc_log2,
    chao1,
    good_turing_coverage,
    hill_number,
    mean_interval,
    mean_intervals,
    pass_at_k,
    pass_at_k_intervals,
    pass_at_k_sampling_errors,
    shannon_entropy,
    simpson_diversity,
)
from rlkit.evaluation.metrics.problems import UNANSWERED

_FEWEST_VARYING = 20
"""Problems that pass sometimes, from which on the error of drawing samples can be told from those samples."""

Problem = Mapping[str, Any]
"""One entry of `problems` in report.json."""

CellJson = dict[str, Any]
"""`{"value", "low", "high", "num_defined", "num_total"}`; undefined numbers are None."""


@dataclass(frozen=True)
class Metric:
    """A number of one problem, and the range it can take."""

    compute: Callable[[Problem], float | None]
    """None or NaN where the problem has no such number."""
    low: float = -math.inf
    high: float = math.inf

    def column(self, problems: Sequence[Problem]) -> NDArray[np.float64]:
        """Return the value of each problem, NaN where undefined, shape (M,)."""
        values = [self.compute(problem) for problem in problems]
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)

    def cell(self, problems: Sequence[Problem], seed: int = 0) -> CellJson:
        """Return the mean over problems with its interval."""
        return mean_interval(self.column(problems), bounds=(self.low, self.high), seed=seed).as_cell()


def k_grid(n: int) -> list[int]:
    """Return 1, 2, 4, ... up to n, and n itself: the budgets that curves are summarised and compared at."""
    powers = [2**power for power in range(n.bit_length()) if 2**power < n]
    return [*powers, n] if n >= 1 else []


def pass_at_k_cells(problems: Sequence[Problem], ks: Sequence[int], seed: int = 0) -> dict[str, CellJson]:
    """Return the cell of mean pass@k for each k; problems with fewer than k scored samples are undefined at that k.

    `se_samples` beside the interval over problems is the standard error of the mean with these problems fixed; None
    where fewer than 20 of them pass sometimes: what their samples did not show is then most of the error. (Near the
    ceiling two of these errors held the truth in 31 of 100 simulated evaluations, from 20 on in 91 or more.)
    """
    num_samples = [problem["num_samples"] for problem in problems]
    num_correct = [problem["num_correct"] for problem in problems]
    intervals = pass_at_k_intervals(num_samples, num_correct, ks, seed=seed)
    errors = pass_at_k_sampling_errors(num_samples, num_correct, ks)
    passed_MK = np.asarray(pass_at_k(np.array([num_samples]).T, np.array([num_correct]).T, np.asarray(ks)))
    num_varying_K = ((passed_MK > 0) & (passed_MK < 1.0 - 1e-9)).sum(axis=0)
    errors = np.where(num_varying_K < _FEWEST_VARYING, np.nan, errors)
    columns = zip(ks, intervals, errors, strict=True)
    return {str(k): {**each.as_cell(), "se_samples": None if np.isnan(se) else float(se)} for k, each, se in columns}


def distinct_at_k_columns(problems: Sequence[Problem], ks: Sequence[int]) -> NDArray[np.float64]:
    """Return the expected number of distinct correct solutions among k samples, shape (M, K); NaN for k above n."""
    # `rarefied_distinct` of all problems in one call; its zero class stands for those without a correct sample.
    classes = [[0, *problem["classes"].values()] for problem in problems]
    sizes = [len(counts) for counts in classes]
    num_samples = np.repeat([problem["num_samples"] for problem in problems], sizes)
    found_CK = pass_at_k(num_samples[:, None], np.concatenate([[], *classes])[:, None], np.asarray(ks)[None, :])
    distinct_MK = np.zeros((len(problems), len(ks)))
    np.add.at(distinct_MK, np.repeat(np.arange(len(problems)), sizes), found_CK)
    return distinct_MK


def distinct_at_k_cells(problems: Sequence[Problem], ks: Sequence[int], seed: int = 0) -> dict[str, CellJson]:
    """Return the cell of distinct correct solutions among k samples, for each k."""
    intervals = mean_intervals(distinct_at_k_columns(problems, ks), bounds=(0.0, math.inf), seed=seed)
    return {str(k): interval.as_cell() for k, interval in zip(ks, intervals, strict=True)}


def label_cells(problems: Sequence[Problem], seed: int = 0) -> dict[str, CellJson]:
    """Return, for each label that occurs, the mean share of a problem's samples that got it; most frequent first."""
    labels = {label for problem in problems for label in problem["labels"]}
    metrics = {label: Metric(_label_share(label), 0.0, 1.0) for label in sorted(labels)}
    cells = {label: metric.cell(problems, seed) for label, metric in metrics.items()}
    return dict(sorted(cells.items(), key=lambda item: -item[1]["value"]))


def _label_share(label: str) -> Callable[[Problem], float | None]:
    return lambda problem: _share(problem["labels"].get(label, 0), _num_drawn(problem))


def _coverage(problem: Problem) -> float | None:
    return _share(problem["num_distinct_correct"], problem["num_solutions"]) if problem["num_samples"] else None


def _distinct_correct(problem: Problem) -> float | None:
    return problem["num_distinct_correct"] if problem["num_samples"] else None


def _auc_log2(problem: Problem) -> float | None:
    if not problem["num_samples"]:
        return None
    return _area(problem["num_samples"], problem["num_correct"])


@lru_cache(maxsize=1 << 14)
def _area(num_samples: int, num_correct: int) -> float:
    """Return the area under one problem's curve; problems with equal counts are many."""
    ks = k_grid(num_samples)
    return float(auc_log2(ks, pass_at_k(num_samples, num_correct, ks)))


def class_flags(problem: Problem) -> list[bool]:
    """Return for each answer whether it counts as correct: most of its samples were graded so.

    Equal answers should be graded equally; `mixed_answers` counts where they were not.
    """
    return [2 * correct > count for key, (count, correct) in problem["answers"].items() if key != UNANSWERED]


def _answer_counts(problem: Problem) -> list[int]:
    return [count for key, (count, _) in problem["answers"].items() if key != UNANSWERED]


def _num_pickable(problem: Problem) -> int:
    """Return how many samples have an answer, or were found correct without one."""
    count, correct = problem["answers"].get(UNANSWERED, (0, 0))
    return int(problem["num_samples"] - count + correct)


def _has_keyless_answers(problem: Problem) -> bool:
    return problem["answers"].get(UNANSWERED, (0, 0))[1] > 0


def _mode_correct(problem: Problem) -> float | None:
    if _has_keyless_answers(problem) or not problem["num_samples"]:
        return None
    counts, flags = _answer_counts(problem), class_flags(problem)
    winners = [flag for count, flag in zip(counts, flags, strict=True) if count == max(counts)]
    return sum(winners) / len(winners) if winners else 0.0


def _minus(one: Callable[[Problem], float | None], other: Callable[[Problem], float | None]) -> Callable[..., Any]:
    def difference(problem: Problem) -> float | None:
        values = one(problem), other(problem)
        return None if values[0] is None or values[1] is None else values[0] - values[1]

    return difference


def _pass_rate(problem: Problem) -> float | None:
    return _share(problem["num_correct"], problem["num_samples"])


def _random_pick(problem: Problem) -> float | None:
    return _share(problem["num_correct"], _num_pickable(problem))


def _parsed(problem: Problem) -> float | None:
    return None if _has_keyless_answers(problem) else _share(_num_pickable(problem), problem["num_samples"])


def _mixed_answers(problem: Problem) -> float | None:
    mixed = [0 < correct < count for key, (count, correct) in problem["answers"].items() if key != UNANSWERED]
    return sum(mixed) if problem["num_samples"] else None


def _of_answers(measure: Callable[[list[int]], float]) -> Callable[[Problem], float]:
    return lambda problem: measure([count for count, _ in problem["answers"].values()])


def _of_solutions(measure: Callable[[list[int]], float]) -> Callable[[Problem], float]:
    return lambda problem: measure(list(problem["classes"].values()))


def _field(name: str) -> Callable[[Problem], float | None]:
    def read(problem: Problem) -> float | None:
        value: float | None = problem[name]
        return value

    return read


def _num_drawn(problem: Problem) -> int:
    return int(problem["num_samples"] + problem["num_unscored"])


def _share(count: float | None, total: int | None) -> float | None:
    return count / total if total and count is not None else None


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "distinct_correct": Metric(_distinct_correct, low=0.0),
        "solution_coverage": Metric(_coverage, 0.0, 1.0),
        "auc_log2": Metric(_auc_log2, 0.0, 1.0),
        "mode_correct": Metric(_mode_correct, 0.0, 1.0),
        "majority_gain": Metric(_minus(_mode_correct, _pass_rate), -1.0, 1.0),
        "answer_entropy": Metric(_field("answer_entropy"), low=0.0),
        "answer_entropy_parsed": Metric(lambda problem: shannon_entropy(_answer_counts(problem)), low=0.0),
        "hill_1": Metric(_of_answers(lambda counts: hill_number(counts, 1)), low=1.0),
        "simpson": Metric(_of_answers(simpson_diversity), 0.0, 1.0),
        "hill_1_correct": Metric(_of_solutions(lambda counts: hill_number(counts, 1)), low=1.0),
        "simpson_correct": Metric(_of_solutions(simpson_diversity), 0.0, 1.0),
        "chao1_correct": Metric(_of_solutions(chao1), low=1.0),
        "good_turing_correct": Metric(_of_solutions(good_turing_coverage), 0.0, 1.0),
        "token_entropy": Metric(_field("token_entropy"), low=0.0),
        "surprisal": Metric(_field("surprisal"), low=0.0),
        "confident_pick": Metric(_field("confident_pick"), 0.0, 1.0),
        "surprising_pick": Metric(_field("surprising_pick"), 0.0, 1.0),
        "random_pick": Metric(_random_pick, 0.0, 1.0),
        "surprising_pick_gain": Metric(_minus(_field("surprising_pick"), _random_pick), -1.0, 1.0),
        "logp_auroc": Metric(_field("logp_auroc"), 0.0, 1.0),
        "num_tokens": Metric(_field("num_tokens"), low=0.0),
        "num_tokens_correct": Metric(_field("num_tokens_correct"), low=0.0),
        "num_tokens_wrong": Metric(_field("num_tokens_wrong"), low=0.0),
        "parsed": Metric(_parsed, 0.0, 1.0),
        "mixed_answers": Metric(_mixed_answers, low=0.0),
        "truncated": Metric(lambda problem: _share(problem["num_truncated"], _num_drawn(problem)), 0.0, 1.0),
        "unscored": Metric(lambda problem: _share(problem["num_unscored"], _num_drawn(problem)), 0.0, 1.0),
    }
)
"""What `metrics` of report.json holds, each a mean over problems. Answers are those of all scored samples, having none
being one of them; solutions are classes of correct samples:

- `distinct_correct`: distinct correct solutions among all samples (grows with n; `distinct_at_k` does not);
- `solution_coverage`: that number over the size of the problem's solution set; undefined where the set is not known;
- `auc_log2`: mean height of the problem's pass@k curve over log2 k;
- `mode_correct`: whether the most frequent answer of all n is correct, maj@n; `majority_gain`: minus pass@1;
- `answer_entropy`: Shannon entropy in nats of the answers; `_parsed` of the samples that have one;
- `hill_1`: exp of it, the effective number of answers; `simpson`: unbiased chance that two answers differ;
- `hill_1_correct`, `simpson_correct`: the same of correct solutions;
- `chao1_correct`: lower bound of the number of correct solutions that the model can find, unseen ones included;
  `good_turing_correct`: chance that another correct sample is a solution already seen;
- `token_entropy`: mean over tokens of the next-token entropy in nats, at temperature 1 without truncation;
- `surprisal`: mean over tokens of -log p of the drawn token in nats, at temperature 1 without truncation;
- `confident_pick`, `surprising_pick`, `random_pick`: success of picking, among all samples with an answer, the one of
  highest or lowest log-probability a token, or any; `surprising_pick_gain`: the second minus the third;
- `logp_auroc`: chance that a correct sample is likelier, token for token, than a wrong one;
- `num_tokens`: tokens of a sample, `_correct` and `_wrong` of those; `parsed`: share of samples with an answer;
- `mixed_answers`: answers of which equal ones were graded differently, which a verifier should not do;
- `truncated`: share of samples cut at the limit; `unscored`: share without a grade.
"""
