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

from rlkit.estimators import auc_log2, mean_interval, mean_intervals, pass_at_k, pass_at_k_intervals

Problem = Mapping[str, Any]
"""One entry of `problems` in report.json."""

Cell = dict[str, Any]
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

    def cell(self, problems: Sequence[Problem], seed: int = 0) -> Cell:
        """Return the mean over problems with its interval."""
        return mean_interval(self.column(problems), bounds=(self.low, self.high), seed=seed).as_cell()


def k_grid(n: int) -> list[int]:
    """Return 1, 2, 4, ... up to n, and n itself: the budgets that curves are summarised and compared at."""
    powers = [2**power for power in range(n.bit_length()) if 2**power < n]
    return [*powers, n] if n >= 1 else []


def pass_at_k_cells(problems: Sequence[Problem], ks: Sequence[int], seed: int = 0) -> dict[str, Cell]:
    """Return the cell of mean pass@k for each k; problems with fewer than k scored samples are undefined at that k."""
    num_samples = [problem["num_samples"] for problem in problems]
    num_correct = [problem["num_correct"] for problem in problems]
    intervals = pass_at_k_intervals(num_samples, num_correct, ks, seed=seed)
    return {str(k): interval.as_cell() for k, interval in zip(ks, intervals, strict=True)}


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


def distinct_at_k_cells(problems: Sequence[Problem], ks: Sequence[int], seed: int = 0) -> dict[str, Cell]:
    """Return the cell of distinct correct solutions among k samples, for each k."""
    intervals = mean_intervals(distinct_at_k_columns(problems, ks), bounds=(0.0, math.inf), seed=seed)
    return {str(k): interval.as_cell() for k, interval in zip(ks, intervals, strict=True)}


def verdict_cells(problems: Sequence[Problem], seed: int = 0) -> dict[str, Cell]:
    """Return, for each verdict that occurs, the mean share of a problem's samples that got it; most frequent first."""
    verdicts = {verdict for problem in problems for verdict in problem["verdicts"]}
    metrics = {verdict: Metric(_verdict_share(verdict), 0.0, 1.0) for verdict in sorted(verdicts)}
    cells = {verdict: metric.cell(problems, seed) for verdict, metric in metrics.items()}
    return dict(sorted(cells.items(), key=lambda item: -item[1]["value"]))


def _verdict_share(verdict: str) -> Callable[[Problem], float | None]:
    return lambda problem: _share(problem["verdicts"].get(verdict, 0), _num_drawn(problem))


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


def _num_drawn(problem: Problem) -> int:
    return int(problem["num_samples"] + problem["num_unscored"])


def _share(count: int, total: int | None) -> float | None:
    return count / total if total else None


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "distinct_correct": Metric(_distinct_correct, low=0.0),
        "solution_coverage": Metric(_coverage, 0.0, 1.0),
        "auc_log2": Metric(_auc_log2, 0.0, 1.0),
        "answer_entropy": Metric(lambda problem: problem["answer_entropy"], low=0.0),
        "token_entropy": Metric(lambda problem: problem["token_entropy"], low=0.0),
        "surprisal": Metric(lambda problem: problem["surprisal"], low=0.0),
        "num_tokens": Metric(lambda problem: problem["num_tokens"], low=0.0),
        "truncated": Metric(lambda problem: _share(problem["num_truncated"], _num_drawn(problem)), 0.0, 1.0),
        "unscored": Metric(lambda problem: _share(problem["num_unscored"], _num_drawn(problem)), 0.0, 1.0),
    }
)
"""What `metrics` of report.json holds, each a mean over problems:

- `distinct_correct`: distinct correct solutions among all samples (grows with n; `distinct_at_k` does not);
- `solution_coverage`: that number over the size of the problem's solution set; undefined where the set is not known;
- `auc_log2`: mean height of the problem's pass@k curve over log2 k;
- `answer_entropy`: Shannon entropy in nats of the answers of scored samples, having none being one answer;
- `token_entropy`: mean over tokens of the next-token entropy in nats, at temperature 1 without truncation;
- `surprisal`: mean over tokens of -log p of the drawn token in nats, at temperature 1 without truncation;
- `num_tokens`: tokens of a sample; `truncated`: share of samples cut at the limit; `unscored`: share without a grade.
"""
