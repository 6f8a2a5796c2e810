"""pass@k under a Beta posterior of each problem's success rate: defined for any k, also beyond the samples drawn.

p | c ~ Beta(a, b) with a = a0 + c, b = b0 + n - c, so that 1 - pass@k = (1 - p)**k has all moments in closed form,
`E (1-p)**k = B(a, b+k) / B(a, b)`: k draws that all miss in an urn that grows by one a draw (`log_miss_rows`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError, suggest
from rlkit.estimators.beta import beta_cdf
from rlkit.estimators.draws import checked_counts, log_miss_rows

FloatArray = NDArray[np.float64]
Prior = str | tuple[float, float]
"""`jeffreys`, `uniform`, or the two shapes of a Beta distribution, > 0."""

PRIORS: Mapping[str, tuple[float, float]] = MappingProxyType({"jeffreys": (0.5, 0.5), "uniform": (1.0, 1.0)})


@dataclass(frozen=True)
class PosteriorMean:
    """The posterior of a benchmark's mean pass@k, its problems held fixed."""

    value: float
    """Mean of the problems' posterior means; NaN without problems."""
    sd: float
    """Posterior standard deviation of the mean: problems independent, no other problems imagined."""
    low: float
    """Normal limits, cut at 0 and 1."""
    high: float


def bayes_pass_at_k(
    num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike, prior: Prior = "jeffreys"
) -> float | FloatArray:
    """Return the posterior mean of pass@k, `1 - B(a, b+k) / B(a, b)`.

    Args:
        num_samples: n, integers >= 0; 0 gives the prior's pass@k.
        num_correct: c, integers 0..n.
        k: budget, integers >= 1, also beyond n. The three broadcast against each other.
        prior: of each problem's success rate. Jeffreys' by default: the uniform one counts one success and one failure
            that nobody saw, and gives an unsolved problem 0.32 at k = 8, n = 16, where Jeffreys' gives 0.18.

    Returns:
        As `pass_at_k`, but never NaN. Range (0, 1): biased towards the prior, and pass@k for n much larger than k.

    Raises:
        ConfigError: counts are impossible or the prior is none.

    Source: Hariri et al. 2025, "Don't Pass@k", https://arxiv.org/abs/2510.04265, who take the uniform prior.
    """
    n, c, ks = checked_counts(num_samples, num_correct, k)
    mean = -np.expm1(_log_miss(n, c, ks, prior))
    return float(mean) if mean.ndim == 0 else mean


def bayes_pass_at_k_sd(
    num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike, prior: Prior = "jeffreys"
) -> float | FloatArray:
    """Return the posterior standard deviation of one problem's pass@k; arguments as for `bayes_pass_at_k`."""
    n, c, ks = checked_counts(num_samples, num_correct, k)
    log_mean, log_square = _log_miss(n, c, ks, prior), _log_miss(n, c, 2 * ks, prior)
    # E x**2 - (E x)**2 = E x**2 (1 - ratio), where the difference itself would cancel.
    variance = np.exp(log_square) * -np.expm1(np.minimum(2 * log_mean - log_square, 0.0))
    deviation = np.sqrt(variance)
    return float(deviation) if deviation.ndim == 0 else deviation


def bayes_benchmark_pass_at_k(
    num_samples: ArrayLike, num_correct: ArrayLike, k: int, level: float = 0.95, prior: Prior = "jeffreys"
) -> PosteriorMean:
    """Return the posterior of the mean pass@k over these very problems.

    What is uncertain is each problem's rate, given its samples: the width shrinks with more samples and does not say
    what other problems would give, as `mean_interval` of the posterior means does.

    Args:
        num_samples, num_correct: shape (M,).
        k, prior: as for `bayes_pass_at_k`.
        level: of the normal limits.

    Raises:
        ConfigError: as `bayes_pass_at_k`, or the level is not between 0 and 1.
    """
    _check_level(level)
    means = np.atleast_1d(bayes_pass_at_k(num_samples, num_correct, k, prior))
    if not means.size:
        return PosteriorMean(math.nan, math.nan, math.nan, math.nan)
    deviations = np.atleast_1d(bayes_pass_at_k_sd(num_samples, num_correct, k, prior))
    value, sd = float(means.mean()), float(np.sqrt(np.sum(deviations**2)) / means.size)
    reach = statistics.NormalDist().inv_cdf(0.5 + level / 2) * sd
    return PosteriorMean(value, sd, max(0.0, value - reach), min(1.0, value + reach))


def probability_at_least(
    num_samples: ArrayLike, num_correct: ArrayLike, threshold: ArrayLike, prior: Prior = "jeffreys"
) -> float | FloatArray:
    """Return the posterior probability that a problem's success rate is at least a threshold in [0, 1].

    Args:
        num_samples, num_correct: n and c, broadcast against the threshold.
        threshold: in [0, 1].
        prior: as for `bayes_pass_at_k`.

    Raises:
        ConfigError: counts are impossible, the threshold is outside [0, 1], or the prior is none.
    """
    n, c, _ = checked_counts(num_samples, num_correct, 1)
    a0, b0 = _shapes(prior)
    # P(p >= t) = P(1-p <= 1-t): the tail itself, not one minus it, which would lose the digits of small ones.
    tail = np.asarray(beta_cdf(1.0 - np.asarray(threshold, dtype=np.float64), b0 + n - c, a0 + c))
    return float(tail) if tail.ndim == 0 else tail


def _log_miss(n: NDArray[np.int64], c: NDArray[np.int64], ks: NDArray[np.int64], prior: Prior) -> FloatArray:
    """Return log E (1-p)**k elementwise, by one table for each distinct n."""
    a0, b0 = _shapes(prior)
    result = np.empty(n.shape)
    for size in np.unique(n):
        chosen = n == size
        unique_c, row = np.unique(c[chosen], return_inverse=True)
        unique_k, column = np.unique(ks[chosen], return_inverse=True)
        pool_K = a0 + b0 + int(size) + np.arange(int(unique_k[-1]))
        rows = [block[:, unique_k - 1] for _, block in log_miss_rows(a0 + unique_c, pool_K)]
        result[chosen] = np.concatenate(rows)[row.reshape(-1), column.reshape(-1)]
    return result


def _shapes(prior: Prior) -> tuple[float, float]:
    if isinstance(prior, str):
        if prior not in PRIORS:
            raise ConfigError(f"No prior is called {prior!r}.{suggest(prior, PRIORS)}")
        return PRIORS[prior]
    a0, b0 = prior
    if not (0 < a0 < math.inf and 0 < b0 < math.inf):
        raise ConfigError(f"A Beta prior has two positive shapes, but {prior!r} was given; write (0.5, 0.5) or a name.")
    return float(a0), float(b0)


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ConfigError(f"A credible level lies between 0 and 1, but {level} was given; write 0.95 for 95 %.")
