"""Picking one of k samples by a score: what the pick is worth, exactly, over all draws of k from n.

Sorted by score, samples at ranks lo+1..hi (from below) have one score. The highest score among k drawn is theirs when
none is drawn above and not all are drawn below, with probability [C(hi, k) - C(lo, k)] / C(n, k); among equals the pick
is random, so their mean value counts.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.estimators.draws import as_integers, log_failure

FloatArray = NDArray[np.float64]


def best_of_k(scores: ArrayLike, values: ArrayLike, k: ArrayLike) -> float | FloatArray:
    """Return the expected value of the highest-scored of k samples drawn without replacement.

    Args:
        scores: of a verifier, a reward model or the policy itself, shape (n,); NaN ranks lowest, below -inf.
        values: what a sample is really worth, 1 where correct and else 0, or any finite number; shape (n,).
        k: budget, integers >= 1, any shape.

    Returns:
        Shape of k; within the range of the values; NaN where k > n. With the values as scores this is max@k, with
        correctness as both pass@k, with equal scores the mean. Unbiased for k fresh samples.

    Raises:
        ConfigError: the shapes differ, a value is not finite, or a k is not an integer of at least 1.
    """
    scores_N, values_N = np.asarray(scores, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if scores_N.shape != values_N.shape or scores_N.ndim != 1:
        raise ConfigError(
            f"best_of_k needs one score and one value a sample, but shapes are {scores_N.shape} and {values_N.shape}."
        )
    if not np.all(np.isfinite(values_N)):
        raise ConfigError("best_of_k needs finite values; leave samples of unknown value out and count them.")
    ks = as_integers("k", k)
    if np.any(ks < 1):
        raise ConfigError(f"k must be at least 1, but {int(ks.min())} was given.")
    ranked_G, means_G = _tie_groups(scores_N, values_N)
    # The same for all problems of one size: worked out once.
    within_KN = _chance_within(len(scores_N), tuple(ks.ravel().tolist()))
    weights_KG = np.diff(within_KN[:, np.append(0, ranked_G)], axis=-1)
    expected = (weights_KG @ means_G).reshape(ks.shape)
    expected = np.where(ks > len(scores_N), np.nan, expected)
    return float(expected) if expected.ndim == 0 else expected


def best_of_eligible(
    scores: ArrayLike, values: ArrayLike, k: ArrayLike, is_eligible: ArrayLike | None = None
) -> float | FloatArray:
    """Return `best_of_k` among the eligible samples drawn, 0 where none of the k drawn is eligible.

    With log-probabilities as scores it is the most confident pick; with their opposite surprisal-guided selection, the
    sample that passes a cheap check (has an answer, compiles) and that the model found least likely.

    Source of the latter: "Surprisal-guided selection", https://arxiv.org/abs/2602.07670; the exact expectation is ours.
    """
    if is_eligible is None:
        return best_of_k(scores, values, k)
    eligible_N = np.asarray(is_eligible, dtype=bool)
    scores_N, values_N = np.asarray(scores, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if eligible_N.shape != scores_N.shape:
        raise ConfigError(f"is_eligible has shape {eligible_N.shape}, but there are scores of shape {scores_N.shape}.")
    # Order of scores is all that matters: ranks leave room below for those that may not be picked.
    ranks_N = 1.0 + np.unique(np.where(np.isnan(scores_N), -np.inf, scores_N), return_inverse=True)[1].reshape(-1)
    ranks_N = np.where(np.isnan(scores_N), 0.5, ranks_N)
    return best_of_k(np.where(eligible_N, ranks_N, 0.0), np.where(eligible_N, values_N, 0.0), k)


def selection_auroc(scores: ArrayLike, is_correct: ArrayLike) -> float:
    """Return the chance that a correct sample outscores a wrong one of the same problem, equal scores counting half.

    Args:
        scores: shape (n,); NaN ranks lowest.
        is_correct: shape (n,).

    Returns:
        Range [0, 1], 0.5 for scores that know nothing; NaN unless there are both correct and wrong samples.

    Source: Mann & Whitney 1947, "On a test of whether one of two random variables is stochastically larger".
    """
    scores_N, correct_N = np.asarray(scores, dtype=np.float64), np.asarray(is_correct, dtype=bool)
    num_correct, num_wrong = int(correct_N.sum()), int((~correct_N).sum())
    if not num_correct or not num_wrong:
        return math.nan
    starts_G, groups_N = _rank_groups(scores_N)
    correct_G = np.bincount(groups_N, weights=correct_N, minlength=len(starts_G))
    wrong_G = np.bincount(groups_N, weights=~correct_N, minlength=len(starts_G))
    below_G = np.cumsum(wrong_G) - wrong_G
    return float(correct_G @ (below_G + wrong_G / 2)) / (num_correct * num_wrong)


def _tie_groups(scores_N: FloatArray, values_N: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Return for each distinct score, from below, how many samples score at most that, and their mean value."""
    sizes_G, groups_N = _rank_groups(scores_N)
    sums_G = np.bincount(groups_N, weights=values_N, minlength=len(sizes_G))
    return np.cumsum(sizes_G), sums_G / sizes_G


def _rank_groups(scores_N: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the size of each group of equal scores, from below with NaN first, and the group of each sample."""
    unscored_N = np.isnan(scores_N)
    distinct, groups = np.unique(scores_N[~unscored_N], return_inverse=True)
    groups_N = np.zeros(len(scores_N), dtype=np.int64)
    groups_N[~unscored_N] = groups + int(unscored_N.any())
    return np.bincount(groups_N, minlength=len(distinct) + int(unscored_N.any())), groups_N


@lru_cache(maxsize=8)
def _chance_within(n: int, ks: tuple[int, ...]) -> FloatArray:
    """Return C(rank, k) / C(n, k), the chance that all k are drawn at or below each rank 0..n, shape (K, n + 1)."""
    shape = (len(ks), n + 1)
    missed, budgets = np.broadcast_to(n - np.arange(n + 1), shape), np.broadcast_to(np.array(ks)[:, None], shape)
    return np.exp(log_failure(np.full(shape, n), missed, budgets))
