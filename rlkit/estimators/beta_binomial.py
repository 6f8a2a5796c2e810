"""Success rates of problems as one Beta distribution: what pass@k would be beyond the samples drawn, if that holds.

Everything returned here is an extrapolation by a model; no sample has been seen at those k. 1 - pass@k falls like
k**-a, so the left edge of the fitted distribution, the hard problems, decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.estimators.draws import as_integers, checked_counts, log_miss_rows

FloatArray = NDArray[np.float64]

_LARGEST_LOG = math.log(1e4)


@dataclass(frozen=True)
class BetaBinomialFit:
    """Beta(a, b) of the problems' success rates, by maximum likelihood."""

    a: float
    """Left-edge shape; NaN where there is no fit."""
    b: float
    """Right-edge shape, likewise."""
    log_likelihood: float
    """Of the counts given the shapes, without the binomial coefficients."""
    num_problems: int
    """Problems with at least one sample."""

    def pass_at_k(self, k: ArrayLike) -> float | FloatArray:
        """Return the model's pass@k, 1 - B(a, b+k) / B(a, b), for any integers k >= 1; NaN without a fit."""
        ks = as_integers("k", k)
        if np.any(ks < 1):
            raise ConfigError(f"k must be at least 1, but {int(ks.min())} was given.")
        if math.isnan(self.a) or not ks.size:
            return math.nan if ks.ndim == 0 else np.full(ks.shape, math.nan)
        ((_, misses),) = log_miss_rows(np.array([self.a]), self.a + self.b + np.arange(int(ks.max())))
        passed = -np.expm1(misses[0, ks - 1])
        return float(passed) if passed.ndim == 0 else passed


def fit_beta_binomial(
    num_samples: ArrayLike, num_correct: ArrayLike, multiplicity: ArrayLike | None = None
) -> BetaBinomialFit:
    """Fit Beta(a, b) to the success rates behind (n_i, c_i) by maximum likelihood.

    With A_j the number of problems with c_i > j, B_j with n_i - c_i > j and N_j with
    n_i > j, the log-likelihood is `sum_j A_j ln(a+j) + B_j ln(b+j) - N_j ln(a+b+j)`: no gamma functions are needed.

    Args:
        num_samples: n, shape (M,) or one for all.
        num_correct: c, shape (M,).
        multiplicity: how many problems each pair stands for, shape (M,), numbers >= 0; 1 each by default.

    Returns:
        The fit. Its shapes are NaN where the likelihood has no maximum in (1e-4, 1e4): problems all solved always or
        never, no more spread between problems than chance gives, or rates of only 0 and 1.

    Raises:
        ConfigError: counts are impossible or shapes do not fit.

    Source: Griffiths 1973, "Maximum likelihood estimation for the beta-binomial distribution", Biometrics 29.
    """
    n, c, _ = checked_counts(num_samples, num_correct, 1)
    n, c = n.ravel(), c.ravel()
    weights = np.ones(len(n)) if multiplicity is None else np.asarray(multiplicity, dtype=np.float64)
    if weights.shape != n.shape:
        raise ConfigError(f"There are {len(n)} problems but multiplicities of shape {weights.shape}.")
    num_problems = int(weights[n > 0].sum())
    exceeding = tuple(_num_exceeding(counts, weights) for counts in (c, n - c, n))
    # Said, not found out: towards 0 the likelihood is so flat that an optimiser stops where its rounding does.
    is_split = bool(np.all((c == 0) | (c == n) | (weights == 0)))
    logs = _maximise(exceeding) if len(exceeding[0]) and len(exceeding[1]) and not is_split else None
    if logs is None:
        return BetaBinomialFit(math.nan, math.nan, math.nan, num_problems)
    loss, _ = _loss(logs, exceeding, num_problems)
    a, b = np.exp(logs)
    return BetaBinomialFit(float(a), float(b), -loss * num_problems, num_problems)


_Exceeding = tuple[FloatArray, ...]


def _num_exceeding(counts: NDArray[np.int64], weights: FloatArray) -> FloatArray:
    """Return for j = 0, 1, ... how many problems have a count above j, up to the last j with any."""
    at_N = np.bincount(counts, weights=weights)
    # Weights add up with rounding; what it leaves behind is no problem.
    return np.trim_zeros((at_N.sum() - np.cumsum(at_N)).round(9), "b")


def _maximise(exceeding: _Exceeding) -> FloatArray | None:
    from scipy.optimize import minimize

    bounds = [(-_LARGEST_LOG, _LARGEST_LOG)] * 2
    options = {"ftol": 1e-15, "gtol": 1e-9}
    # The mean over problems, so that the tolerances mean the same for ten problems and ten thousand.
    num_problems = exceeding[2][0]
    found = minimize(_loss, np.zeros(2), (exceeding, num_problems), "L-BFGS-B", True, bounds=bounds, options=options)
    return None if np.any(np.abs(found.x) > 0.999 * _LARGEST_LOG) else np.asarray(found.x)


def _loss(logs: FloatArray, exceeding: _Exceeding, num_problems: float) -> tuple[float, FloatArray]:
    """Return the negative mean log-likelihood at (ln a, ln b) and its gradient."""
    a, b = np.exp(logs)
    pools = [shape + np.arange(len(each)) for shape, each in zip((a, b, a + b), exceeding, strict=True)]
    value = sum(sign * each @ np.log(pool) for sign, each, pool in zip((1, 1, -1), exceeding, pools, strict=True))
    slope_a, slope_b, slope_both = (float(each @ (1 / pool)) for each, pool in zip(exceeding, pools, strict=True))
    slope = np.array([a * (slope_a - slope_both), b * (slope_b - slope_both)])
    return -float(value) / num_problems, -slope / num_problems
