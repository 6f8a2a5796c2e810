"""Which problems each of two models can solve at all: the table of both, gained, lost and neither."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

BoolArray = NDArray[np.bool_]

SURELY_SOLVABLE = 4
"""Correct samples of the other model from which a problem without any counts as lost or gained beyond doubt: at a true
success rate of 4 / n, n samples without a success have a chance below exp(-4) = 1.8 %."""


@dataclass(frozen=True)
class SupportTable:
    """Problems by who solves them in n samples: P = both, E = gained, S = lost, O = neither, in the paper's letters.

    Source: Wu et al. 2025, "The Invisible Leash", arXiv 2507.14843. They count correct completions above a probability;
    we count problems.
    """

    both: int
    gained: int
    """Solved by the run alone."""
    lost: int
    """Solved by the base alone."""
    neither: int

    @property
    def srr(self) -> float:
        """Support retention rate, P / (P + S): share of what the base solves that the run solves too; may be NaN."""
        return _ratio(self.both, self.both + self.lost)

    @property
    def ndr(self) -> float:
        """Net discovery rate, E / (P + E): of what the run solves, the share that is new; may be NaN."""
        return _ratio(self.gained, self.both + self.gained)

    @property
    def sds(self) -> float:
        """Support dynamic score, the harmonic mean of the two above, 2 P E / (P² + 2 P E + E S); may be NaN."""
        p, e, s = self.both, self.gained, self.lost
        return _ratio(2 * p * e, p * p + 2 * p * e + e * s)

    @property
    def nscr(self) -> float:
        """Net support change rate, (E - S) / (P + E + S); below 0 where support shrank; may be NaN."""
        return _ratio(self.gained - self.lost, self.both + self.gained + self.lost)

    @property
    def jaccard(self) -> float:
        """Overlap of the two solved sets, P / (P + E + S); 1 where they are the same, NaN where both are empty."""
        return _ratio(self.both, self.both + self.gained + self.lost)

    @property
    def mcnemar_p(self) -> float:
        """Two-sided exact p-value of "gained and lost problems are equally likely"; 1 where there are none."""
        return mcnemar_p_value(self.gained, self.lost)


def support_table(is_solved_base_M: ArrayLike, is_solved_run_M: ArrayLike) -> SupportTable:
    """Count problems by who solves them.

    Args:
        is_solved_base_M, is_solved_run_M: booleans, shape (M,), the same problems in one order. Take both from equally
            many samples: more of them solve more.

    Raises:
        ConfigError: the two differ in shape.
    """
    base_M, run_M = np.asarray(is_solved_base_M, dtype=bool), np.asarray(is_solved_run_M, dtype=bool)
    if base_M.shape != run_M.shape or base_M.ndim != 1:
        raise ConfigError(
            f"A support table needs the same problems twice, but shapes are {base_M.shape}, {run_M.shape}."
        )
    pairs = (base_M & run_M, ~base_M & run_M, base_M & ~run_M, ~base_M & ~run_M)
    return SupportTable(*(int(pair.sum()) for pair in pairs))


def mcnemar_p_value(num_gained: int, num_lost: int) -> float:
    """Return the two-sided exact p-value of McNemar's test, a fair coin over the problems that only one side solves.

    Args:
        num_gained, num_lost: discordant problems of either kind.

    Returns:
        Range (0, 1]; 1 where there is no discordant problem.

    Source: McNemar 1947, Psychometrika 12; exact by the binomial distribution.
    """
    if num_gained < 0 or num_lost < 0:
        raise ConfigError(f"Counts of problems cannot be negative, but {num_gained} and {num_lost} were given.")
    from scipy.special import bdtr

    return min(1.0, 2.0 * float(bdtr(min(num_gained, num_lost), num_gained + num_lost, 0.5)))


def thin_counts(
    num_samples_M: ArrayLike, num_correct_M: ArrayLike, size_M: ArrayLike, seed: int = 0
) -> NDArray[np.int64]:
    """Return how many are correct when only some of each problem's samples are kept, drawn without replacement.

    A sample of `size` samples of n is what `size` samples would have been, so two runs of unequal n can be compared by
    what they solve. Exact where size equals n; random, by the seed, where it does not.

    Args:
        num_samples_M, num_correct_M: n and c of each problem, shape (M,).
        size_M: samples to keep, at most n, shape (M,).
    """
    n, c, size = (np.asarray(values, dtype=np.int64) for values in (num_samples_M, num_correct_M, size_M))
    if np.any(size > n):
        raise ConfigError("No more samples can be kept of a problem than were drawn.")
    return np.random.default_rng(seed).hypergeometric(c, n - c, size)


@dataclass(frozen=True)
class Sharpening:
    """How the success rates of a run depend on those of the base, problem by problem, on the logit scale."""

    correlation: float
    slope: float
    """Above 1: easy problems got easier and hard ones harder, relative to each other."""
    intercept: float
    """Log odds of the run where the base is at even odds."""
    num_problems: int


def sharpening_index(
    num_samples_base_M: ArrayLike,
    num_correct_base_M: ArrayLike,
    num_samples_run_M: ArrayLike,
    num_correct_run_M: ArrayLike,
) -> Sharpening:
    """Return correlation and least-squares line of logit p_run on logit p_base.

    p is `(c + 1/2) / (n + 1)`, so that its logit is finite at c = 0 and c = n (Haldane 1956). Noise in the base's rates
    pulls the slope towards 0 ("regression dilution"), the more so the smaller n is: compare slopes at equal n only.

    Returns:
        NaN where fewer than three problems have samples on both sides, or the base's rates are all equal.
    """
    columns = (num_samples_base_M, num_correct_base_M, num_samples_run_M, num_correct_run_M)
    counts_4M = np.stack([np.asarray(column, dtype=np.float64) for column in columns])
    counts_4M = counts_4M[:, (counts_4M[0] > 0) & (counts_4M[2] > 0)]
    n_base, c_base, n_run, c_run = counts_4M
    x, y = (np.log((c + 0.5) / (n - c + 0.5)) for n, c in ((n_base, c_base), (n_run, c_run)))
    num = len(x)
    if num < 3 or np.ptp(x) == 0:
        return Sharpening(math.nan, math.nan, math.nan, num)
    (xx, xy), (_, yy) = np.cov(x, y)
    slope = float(xy / xx)
    correlation = float(xy / math.sqrt(xx * yy)) if yy > 0 else math.nan
    return Sharpening(correlation, slope, float(y.mean() - slope * x.mean()), num)


def _ratio(above: int, below: int) -> float:
    return above / below if below else math.nan
