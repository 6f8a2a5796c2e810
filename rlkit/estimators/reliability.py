"""How often a model succeeds, not only whether it can: pass^k, G-Pass@k, majorities of flags and cover@tau.

Of k samples drawn without replacement from n with c correct ones, J are correct, J hypergeometric. Every measure here
is the mean of a credit for J, hence an unbiased estimate for k fresh samples; NaN where k > n.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.estimators.bayesian import Prior, probability_at_least
from rlkit.estimators.draws import checked_counts, log_failure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Threshold = float | Fraction | Decimal
"""A share in [0, 1]. A float means the fraction of smallest terms it was rounded from: 0.07 is 7/100, 5/7 is 5/7."""

_LARGEST_DENOMINATOR = 1_000_000
_CHUNK_ENTRIES = 1 << 21


def pass_hat_k(num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike) -> float | FloatArray:
    """Return the unbiased estimate of pass^k, that all k samples are correct: `C(c, k) / C(n, k)`.

    Args:
        num_samples, num_correct, k: as for `pass_at_k`.

    Returns:
        As `pass_at_k`; non-increasing in k; its expectation is p**k.

    Raises:
        ConfigError: as `pass_at_k`.

    Source: Yao et al. 2024, tau-bench, https://arxiv.org/abs/2406.12045.
    """
    n, c, ks = checked_counts(num_samples, num_correct, k)
    # All correct is none wrong: the failure of the wrong ones to show up.
    every = np.exp(log_failure(n, n - c, ks))
    return float(every) if every.ndim == 0 else every


def g_pass_at_k(
    num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike, threshold: Threshold
) -> float | FloatArray:
    """Return the unbiased estimate of G-Pass@k_tau, that at least max(ceil(tau k), 1) of k samples are correct.

    Args:
        num_samples, num_correct, k: as for `pass_at_k`.
        threshold: tau in [0, 1]. 0 is pass@k, 1 is pass^k.

    Returns:
        As `pass_at_k`; non-increasing in tau.

    Raises:
        ConfigError: as `pass_at_k`, or tau is outside [0, 1].

    Source: Liu et al. 2024, https://arxiv.org/abs/2412.13147. Their code takes ceil of a float product,
    which for tau = 0.07, k = 100 asks for 8 successes, and gives 0 where k > n.
    """
    share = as_share(threshold)
    return _mean_credit(num_samples, num_correct, k, lambda j, k: j >= max(math.ceil(share * k), 1))


def mg_pass_at_k(num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike) -> float | FloatArray:
    """Return mG-Pass@k, twice the area under G-Pass@k_tau for tau in (0.5, 1]: `(2/k) E max(J - ceil(k/2), 0)`.

    Args:
        num_samples, num_correct, k: as for `pass_at_k`.

    Returns:
        As `pass_at_k`, but at most 1 for even k and 1 - 1/k for odd k, hence 0 at k = 1: compare at one k only.

    Raises:
        ConfigError: as `pass_at_k`.

    Source: Liu et al. 2024, https://arxiv.org/abs/2412.13147.
    """
    return _mean_credit(num_samples, num_correct, k, lambda j, k: 2.0 / k * np.maximum(j - (k + 1) // 2, 0))


def cover_at_tau(num_samples: ArrayLike, num_correct: ArrayLike, threshold: Threshold) -> float | FloatArray:
    """Return 1 where a problem's success rate c/n reaches tau, else 0; its mean over problems is cover@tau.

    Args:
        num_samples: n, integers >= 0.
        num_correct: c, integers 0..n. The two broadcast against each other.
        threshold: tau in [0, 1]. At 0 every problem would count, so there tau stands for "above 0": 1 where c > 0.

    Returns:
        A float for two scalars, else float64 of the broadcast shape; NaN where n = 0.

    Raises:
        ConfigError: counts are impossible, or tau is outside [0, 1].

    Source: Cover@tau, https://arxiv.org/abs/2510.08325; compared in whole numbers, c >= ceil(tau n).
    """
    share = as_share(threshold)
    n, c, _ = checked_counts(num_samples, num_correct, 1)
    needed = {int(size): max(math.ceil(share * int(size)), 1) for size in np.unique(n)}
    reached = c >= np.array([needed[int(size)] for size in n.ravel()]).reshape(n.shape)
    values = np.where(n == 0, np.nan, reached.astype(np.float64))
    return float(values) if values.ndim == 0 else values


def cover_posterior_at_tau(
    num_samples: ArrayLike, num_correct: ArrayLike, threshold: Threshold, prior: Prior = "jeffreys"
) -> float | FloatArray:
    """Return the posterior probability that a problem's success rate is at least tau.

    The smooth sibling of `cover_at_tau`, which flips at tau with a single sample; shrunk towards the prior instead.
    At 0 it is 1 and at 1 it is 0, whatever was seen.

    Args:
        num_samples, num_correct, threshold: as for `cover_at_tau`.
        prior: as for `bayes_pass_at_k`.

    Returns:
        As `cover_at_tau`; NaN where n = 0 as well, where it would be the prior's.

    Raises:
        ConfigError: as `cover_at_tau`, or the prior is none.
    """
    share = as_share(threshold)
    n, c, _ = checked_counts(num_samples, num_correct, 1)
    values = np.where(n == 0, np.nan, probability_at_least(n, c, float(share), prior))
    return float(values) if values.ndim == 0 else values


def as_share(threshold: Threshold) -> Fraction:
    """Return a threshold as an exact fraction in [0, 1]; ConfigError for anything else."""
    known = isinstance(threshold, int | float | Fraction | Decimal) and not isinstance(threshold, bool)
    if not known or not math.isfinite(threshold) or not 0 <= threshold <= 1:
        raise ConfigError(f"A threshold is a share in [0, 1], but {threshold!r} was given; write 0.5 for a half.")
    exact = Fraction(threshold)
    return exact.limit_denominator(_LARGEST_DENOMINATOR) if isinstance(threshold, float) else exact


def _mean_credit(
    num_samples: ArrayLike,
    num_correct: ArrayLike,
    k: ArrayLike,
    credit: Callable[[IntArray, int], NDArray[np.generic]],
) -> float | FloatArray:
    """Return E credit(J, k), credit a function of all j = 0..k at once, by one table for each distinct n and k."""
    n, c, ks = checked_counts(num_samples, num_correct, k)
    result = np.full(n.shape, np.nan)
    for size, budget in {(int(size), int(budget)) for size, budget in zip(n.ravel(), ks.ravel(), strict=True)}:
        if budget > size:
            continue
        chosen = (n == size) & (ks == budget)
        unique_c, row = np.unique(c[chosen], return_inverse=True)
        credits_J = np.asarray(credit(np.arange(budget + 1), budget), dtype=np.float64)
        result[chosen] = _means_of(credits_J, size, unique_c)[row.reshape(-1)]
    return float(result) if result.ndim == 0 else result


def _means_of(credits_J: FloatArray, n: int, c: IntArray) -> FloatArray:
    rows = max(1, _CHUNK_ENTRIES // len(credits_J))
    parts = [
        _hypergeometric(n, c[start : start + rows], len(credits_J) - 1) @ credits_J for start in range(0, len(c), rows)
    ]
    # Every credit is a share; a sum of probabilities can pass 1 by its rounding.
    return np.clip(np.concatenate(parts), 0.0, 1.0)


def _hypergeometric(n: int, c: IntArray, k: int) -> FloatArray:
    """Return P(J = j) for j = 0..k, one row a c, shape (N, k + 1)."""
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    hits, misses = np.arange(k + 1), k - np.arange(k + 1)
    c_N1 = c[:, None]
    possible = (hits <= c_N1) & (misses <= n - c_N1)
    left_hits, left_misses = np.maximum(c_N1 - hits, 0), np.maximum(n - c_N1 - misses, 0)
    # What is the same for all j falls out when the row is brought to sum 1, and its rounding with it.
    logs = -(log_factorials[hits] + log_factorials[misses] + log_factorials[left_hits] + log_factorials[left_misses])
    logs = np.where(possible, logs, -np.inf)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
