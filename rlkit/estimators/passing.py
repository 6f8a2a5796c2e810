"""pass@k: the probability that at least one of k samples of a problem is correct, estimated without bias.

Everything here is a function of three integers: n samples, c of them correct, k drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.estimators.draws import checked_counts, log_failure, log_miss_rows

FloatArray = NDArray[np.float64]


def pass_at_k(num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike) -> float | FloatArray:
    """Return the unbiased estimate of pass@k, `1 - C(n-c, k) / C(n, k)`.

    Args:
        num_samples: n, scored samples per problem, integers >= 0.
        num_correct: c, correct ones among them, integers 0..n.
        k: budget, integers >= 1. The three broadcast against each other.

    Returns:
        A float for three scalars, else float64 of the broadcast shape. Range [0, 1]; NaN where k > n (also n = 0): with
        fewer than k samples the estimate does not exist, and an unsolved problem must not pass for a solved one.

    Raises:
        ConfigError: a count is not an integer, c < 0, c > n, n < 0 or k < 1.

    Source: Chen et al. 2021, https://arxiv.org/abs/2107.03374, section 2.1; their code returns 1.0 where k > n.
    """
    n, c, ks = checked_counts(num_samples, num_correct, k)
    passed = -np.expm1(log_failure(n, c, ks)) + 0.0
    return float(passed) if passed.ndim == 0 else passed


def pass_at_k_curve(num_samples: int, num_correct: ArrayLike) -> FloatArray:
    """Return pass@k for every k = 1..n at once.

    Args:
        num_samples: n, the same for all problems, an integer >= 1.
        num_correct: c per problem, integers 0..n, any shape S.

    Returns:
        float64 of shape S + (n,); entry `[..., k - 1]` is pass@k. Non-decreasing along the last axis.

    Raises:
        ConfigError: as `pass_at_k`, or n < 1.
    """
    n, c, _ = checked_counts(num_samples, num_correct, 1)
    if n.ndim and not np.all(n == n.flat[0]):
        raise ConfigError("pass_at_k_curve takes one number of samples for all problems; use pass_at_k for several.")
    size = int(n.flat[0]) if n.size else 0
    if size < 1:
        raise ConfigError("pass_at_k_curve needs at least one sample a problem; num_samples was 0.")
    unique_c, index = np.unique(c, return_inverse=True)
    table = np.concatenate([block for _, block in log_miss_rows(unique_c, size - np.arange(size))])
    return (-np.expm1(table) + 0.0)[index.reshape(c.shape)]


def pass_at_k_variance(num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike) -> float | FloatArray:
    """Return an unbiased estimate of the sampling variance of `pass_at_k` on one problem.

    With f(k) = C(n-c, k) / C(n, k) the estimate is `f(k)**2 - f(2k)`, as f(2k) estimates the square of f(k)'s mean.

    Args:
        num_samples, num_correct, k: as for `pass_at_k`.

    Returns:
        Same shape as `pass_at_k`, >= 0; zero at c = 0 and c = n; NaN where 2k > n, where it does not exist.

    Raises:
        ConfigError: as `pass_at_k`.

    Source: Hoeffding 1948, "A class of statistics with asymptotically normal distribution", for the U-statistic of max.
    """
    n, c, ks = checked_counts(num_samples, num_correct, k)
    variance = np.exp(2.0 * log_failure(n, c, ks)) - np.exp(log_failure(n, c, 2 * ks))
    variance = np.where(2 * ks > n, np.nan, np.maximum(variance, 0.0))
    return float(variance) if variance.ndim == 0 else variance


def pass_at_k_jackknife_variance(num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike) -> float | FloatArray:
    """Return the delete-one jackknife estimate of the sampling variance of `pass_at_k` on one problem.

    For 2k > n, where `pass_at_k_variance` does not exist; a little too large on average (1.7 % at n = 32, k = 4, p =
    0.1). Leaving a sample out only ever gives one of two values, of c correct ones among n - 1 or c - 1:
    `(n-1)/n * c (n-c)/n * (pass@k(n-1, c) - pass@k(n-1, c-1))**2`.

    Args:
        num_samples, num_correct, k: as for `pass_at_k`.

    Returns:
        Same shape as `pass_at_k`, >= 0; zero at c = 0 and c = n; NaN where k > n - 1.

    Raises:
        ConfigError: as `pass_at_k`.

    Source: Efron & Stein 1981, "The jackknife estimate of variance", Annals of Statistics 9.
    """
    n, c, ks = checked_counts(num_samples, num_correct, k)
    # Where none or all are correct one of the two values does not exist; the factor c (n-c) takes it out.
    fewer, left = np.maximum(n - 1, 0), np.maximum(c - 1, 0)
    difference = np.exp(log_failure(fewer, np.minimum(c, fewer), ks)) - np.exp(log_failure(fewer, left, ks))
    # k <= n - 1 wherever the difference is not NaN, so n is at least 2 there.
    variance = (fewer / np.maximum(n, 1)) * (c / np.maximum(n, 1)) * (n - c) * difference**2
    return float(variance) if variance.ndim == 0 else variance


def pass_at_k_sampling_errors(num_samples: ArrayLike, num_correct: ArrayLike, ks: ArrayLike) -> FloatArray:
    """Return the standard error of mean pass@k over these very problems: what drawing the samples anew would change.

    Always smaller than the interval over problems, which contains it: `sqrt(sum v_i) / M`, v_i from
    `pass_at_k_variance`, and from the jackknife where 2k > n.

    Args:
        num_samples, num_correct: n and c per problem, shape (M,).
        ks: budgets, shape (K,).

    Returns:
        float64 of shape (K,), over the problems with n >= k; NaN where there are none or one of them has n = k, which
        leaves a single subset to draw.

    Raises:
        ConfigError: as `pass_at_k`.
    """
    pairs = np.stack(np.broadcast_arrays(np.asarray(num_samples), np.asarray(num_correct)), axis=-1).reshape(-1, 2)
    groups, multiplicity = np.unique(pairs, axis=0, return_counts=True)
    n_M1, c_M1, ks_1K = groups[:, :1], groups[:, 1:], np.atleast_1d(np.asarray(ks))[None, :]
    variances_MK = np.asarray(pass_at_k_variance(n_M1, c_M1, ks_1K))
    jackknife_MK = np.asarray(pass_at_k_jackknife_variance(n_M1, c_M1, ks_1K))
    variances_MK = np.where(np.isnan(variances_MK), jackknife_MK, variances_MK)
    # Nothing varies where all are correct or wrong, also at k = n.
    variances_MK = np.where((c_M1 == 0) | (c_M1 == n_M1), 0.0, variances_MK)
    defined_MK = ks_1K <= n_M1
    num_defined_K = multiplicity @ defined_MK
    with np.errstate(invalid="ignore"):
        return np.sqrt(multiplicity @ np.where(defined_MK, variances_MK, 0.0)) / np.where(
            num_defined_K, num_defined_K, np.nan
        )
