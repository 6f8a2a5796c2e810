"""Intervals that hold for several columns at once: whoever looks at a whole curve may see every budget of it.

An interval for each of ten budgets at 95 % leaves out the truth somewhere on the curve far more often than in one case
of twenty. Simultaneous ones leave it out anywhere in one of twenty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.estimators.intervals import Interval

FloatArray = NDArray[np.float64]


def widening_factors(resamples_RK: FloatArray, level: float = 0.95) -> FloatArray:
    """Return by which factor each column's interval must grow to hold for all columns at once.

    With t the deviation of a resampled mean in its column's standard errors, the factor is the quantile of the largest
    |t| of all columns over the quantile of the column's own |t|: the max-t interval, which keeps the shape of
    the interval that it widens (skewed percentiles, Student's t of small benchmarks).

    Args:
        resamples_RK: joint resamples of the means, shape (R, K), of `bootstrap_means`.
        level: of the intervals.

    Returns:
        shape (K,), >= 1; 1 for a column that does not vary.

    Source: Westfall & Young 1993, "Resampling-Based Multiple Testing"; Montiel Olea & Plagborg-Moller 2019,
    "Simultaneous confidence bands", Journal of Applied Econometrics 34, for the band of the largest t ("sup-t").
    """
    num_columns = resamples_RK.shape[1]
    known_K = ~np.isnan(resamples_RK).all(axis=0)
    factors_K: FloatArray = np.ones(num_columns)
    known_RK = resamples_RK[:, known_K]
    if not known_RK.size:
        return factors_K
    spread_K = np.nanstd(known_RK, axis=0)
    varies_K = spread_K > 1e-12 * np.nanmax(np.abs(known_RK), axis=0)
    if not varies_K.any():
        return factors_K
    varying_RK = known_RK[:, varies_K]
    t_RK = np.abs(varying_RK - np.nanmean(varying_RK, axis=0)) / spread_K[varies_K]
    # A resample without a defined row says nothing about that column, and the largest is over the others.
    largest = np.quantile(np.nan_to_num(t_RK, nan=0.0).max(axis=1), level)
    own_K = np.nanquantile(t_RK, level, axis=0)
    factors_K[np.flatnonzero(known_K)[varies_K]] = np.maximum(largest / own_K, 1.0)
    return factors_K


def holm_p_values(p_values: ArrayLike) -> FloatArray:
    """Return p-values adjusted for asking several questions, whatever their dependence.

    The chance of even one adjusted p-value <= a among questions whose answer is "no difference" is at most a.

    Args:
        p_values: shape (Q,), NaN for a question that was not asked.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    values_Q = np.asarray(p_values, dtype=np.float64)
    adjusted_Q = np.full(values_Q.shape, np.nan)
    order = [at for at in np.argsort(values_Q) if not np.isnan(values_Q[at])]
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * float(values_Q[at])))
        adjusted_Q[at] = largest
    return adjusted_Q


def widen(interval: Interval, factor: float) -> Interval:
    """Return the interval with both limits moved away from its value by a factor."""
    value = interval.value
    low, high = value - factor * (value - interval.low), value + factor * (interval.high - value)
    return Interval(value, low, high, interval.num_defined, interval.num_total)
