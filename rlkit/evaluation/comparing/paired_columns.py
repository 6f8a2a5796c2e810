"""Per-problem values of two evaluations side by side, and paired statistics of all of them from one resampling."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlkit.estimators import (
    Interval,
    SignFlipTest,
    bootstrap_means,
    mean_intervals,
    pass_at_k,
    pass_hat_k,
    ratio_of_means,
    sign_flip_test,
    widen,
    widening_factors,
)
from rlkit.evaluation.comparing.pairing import Pairing
from rlkit.evaluation.metrics.cells import METRICS, CellJson, Problem, distinct_at_k_columns
from rlkit.evaluation.metrics.curves import maj_at_k_columns

FloatArray = NDArray[np.float64]

Columns = Mapping[str, FloatArray]
"""Name of a quantity -> its value for every problem, NaN where undefined."""

# Means over tokens or samples, comparable whatever the number of samples; the others grow with it.
_METRICS_FREE_OF_N = ("token_entropy", "surprisal", "num_tokens", "truncated")
_METRICS_AT_EQUAL_N = ("auc_log2", "answer_entropy")

_SHARES = ("pass@", "pass^", "maj@", "solution_coverage", "truncated", "auc_log2")
"""How the names of quantities begin that lie between 0 and 1 and reach both."""

_MOST_VOTES = 1000

DIVERSITY_PARTS = ("all", "correct")
"""The two sets of outputs whose diversity a report can hold: all of a problem's, and its correct ones."""


def paired_columns(
    pairing: Pairing, ks: Collection[int], votes: Sequence[int], diversity: Sequence[str]
) -> tuple[Columns, Columns]:
    """Return every quantity of the base and of the run, under the same names in the same order.

    Args:
        pairing: the shared problems.
        ks: budgets of pass@k and pass^k.
        votes: budgets of maj@k.
        diversity: metrics of diversity to compare; they become `all/NAME` and `correct/NAME`.
    """
    n, has_same_n = pairing.n, pairing.has_same_n
    base, run = (dict(_columns(side, ks, votes, n, has_same_n, diversity)) for side in (pairing.base, pairing.run))
    return base, run


def measure_columns(problems: Sequence[Problem], quantities: Sequence[str], n: int) -> Columns:
    """Return some quantities of one evaluation, `pass@K` and measures of diversity, those that grow with n at n."""
    ks = [int(name.removeprefix("pass@")) for name in quantities if name.startswith("pass@")]
    measures = [name.rpartition("/")[2] for name in quantities if "/" in name]
    columns = dict(_columns(problems, ks, (), n, False, measures))
    return {name: columns[name] for name in quantities}


def _columns(
    problems: Sequence[Problem],
    ks: Collection[int],
    votes: Sequence[int],
    n: int,
    has_same_n: bool,
    diversity: Sequence[str],
) -> Iterator[tuple[str, FloatArray]]:
    num_samples = np.array([problem["num_samples"] for problem in problems])
    num_correct = np.array([problem["num_correct"] for problem in problems])
    for k in ks:
        yield f"pass@{k}", np.asarray(pass_at_k(num_samples, num_correct, k))
        yield f"pass^{k}", np.asarray(pass_hat_k(num_samples, num_correct, k))
    if votes:
        found_MK = maj_at_k_columns(problems, votes)
        for at, k in enumerate(votes):
            yield f"maj@{k}", found_MK[:, at]
    # Where some samples went ungraded, what is left is still compared at one number on both sides.
    distinct = distinct_at_k_columns(problems, [n])[:, 0]
    yield "distinct_correct", distinct
    yield "solution_coverage", distinct / np.array([problem["num_solutions"] or math.nan for problem in problems])
    for name in (*_METRICS_FREE_OF_N, *(_METRICS_AT_EQUAL_N if has_same_n else ())):
        yield name, METRICS[name].column(problems)
    for part in DIVERSITY_PARTS:
        for name in diversity:
            yield f"{part}/{name}", _diversity_column(problems, part, name)


def vote_budgets(pairing: Pairing) -> list[int]:
    """Return the budgets at which majority votes are compared: 8 and n; none where a report lacks the answers.

    A vote of few samples among many answers takes milliseconds a problem, so beyond 1000 problems only n is left.
    """
    if not all("answers" in problem for problem in (*pairing.base, *pairing.run)):
        return []
    return [*([8] if pairing.n > 8 and len(pairing.base) <= _MOST_VOTES else []), pairing.n]


def _diversity_column(problems: Sequence[Problem], part: str, name: str) -> FloatArray:
    values = [((problem.get("diversity") or {}).get(part) or {}).get(name) for problem in problems]
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


@dataclass(frozen=True)
class PairedStatistics:
    """Paired differences of many quantities, all from the same resamples of problems and the same flips of signs."""

    names: list[str]
    base_MK: FloatArray
    run_MK: FloatArray
    resamples_RK: FloatArray
    """Mean differences in resampled problems."""
    base_resamples_RK: FloatArray
    """Means of the base in the same resamples, over the problems where both are defined."""
    intervals: list[Interval]
    test: SignFlipTest
    factors_K: FloatArray
    """What widens each interval of the family so that all hold at once."""
    level: float

    @property
    def errors_K(self) -> FloatArray:
        """Standard errors of the mean differences; NaN below two defined problems."""
        differences_MK = self.run_MK - self.base_MK
        num_K = (~np.isnan(differences_MK)).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            means_K = np.nansum(differences_MK, axis=0) / num_K
            return np.asarray(np.sqrt(np.nansum((differences_MK - means_K) ** 2, axis=0) / (num_K - 1) / num_K))

    def index(self, names: Sequence[str]) -> list[int]:
        """Return the positions of quantities."""
        return [self.names.index(name) for name in names]

    def cell(self, name: str) -> CellJson:
        """Return both means, their difference, its interval and the p-value of this quantity alone."""
        at = self.names.index(name)
        both = ~np.isnan(self.base_MK[:, at] + self.run_MK[:, at])
        cell = self.intervals[at].as_cell()
        return {
            "a": float(self.base_MK[both, at].mean()) if both.any() else None,
            "b": float(self.run_MK[both, at].mean()) if both.any() else None,
            "difference": cell.pop("value"),
            "low": cell.pop("low"),
            "high": cell.pop("high"),
            "p_value": _or_none(self.test.p_values_K[at]),
            **cell,
        }

    def family_cell(self, name: str) -> CellJson:
        """Return `cell` with the interval and the p-value that hold for the whole family at once."""
        at = self.names.index(name)
        together = widen(self.intervals[at], float(self.factors_K[at])).as_cell()
        return self.cell(name) | {
            "low_simultaneous": together["low"],
            "high_simultaneous": together["high"],
            "p_adjusted": _or_none(self.test.adjusted_K[at]),
        }

    def retained(self, name: str) -> Interval:
        """Return which share of the base's mean the run has."""
        at = self.names.index(name)
        base_R, difference_R = self.base_resamples_RK[:, at], self.resamples_RK[:, at]
        resamples_R2 = np.stack([base_R + difference_R, base_R], axis=1)
        return ratio_of_means(self.run_MK[:, at], self.base_MK[:, at], self.level, resamples_R2=resamples_R2)


def compare_columns(base: Columns, run: Columns, family: Collection[str], level: float, seed: int) -> PairedStatistics:
    """Compare all quantities at once; those of `family` also together."""
    names = list(base)
    base_MK, run_MK = (np.stack([columns[name] for name in names], axis=1) for columns in (base, run))
    differences_MK = run_MK - base_MK
    shared_base_MK = np.where(np.isnan(differences_MK), np.nan, base_MK)
    both_RK = bootstrap_means(np.hstack([differences_MK, shared_base_MK]), seed=seed)
    resamples_RK, base_resamples_RK = both_RK[:, : len(names)], both_RK[:, len(names) :]
    family_K = np.array([name in family for name in names])
    factors_K: FloatArray = np.ones(len(names))
    factors_K[family_K] = widening_factors(resamples_RK[:, family_K], level)
    return PairedStatistics(
        names,
        base_MK,
        run_MK,
        resamples_RK,
        base_resamples_RK,
        _difference_intervals(names, differences_MK, level),
        sign_flip_test(differences_MK, seed=seed, family_K=family_K),
        factors_K,
        level,
    )


def _difference_intervals(names: Sequence[str], differences_MK: FloatArray, level: float) -> list[Interval]:
    # One problem shows no spread, whatever its difference.
    several_K = (~np.isnan(differences_MK)).sum(axis=0) > 1
    is_share_K = several_K & [name.startswith(_SHARES) for name in names]
    shares = iter(mean_intervals(differences_MK[:, is_share_K], level, bounds=(-1.0, 1.0)))
    others = iter(mean_intervals(differences_MK[:, ~is_share_K], level))
    return [next(shares) if is_share else next(others) for is_share in is_share_K]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
