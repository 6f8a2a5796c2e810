"""A ratio of two means over the same problems: which share of a base model's diversity a run retains."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.estimators.intervals import Interval
from rlkit.estimators.resampling import bootstrap_means
from rlkit.estimators.student_t import critical_value

FloatArray = NDArray[np.float64]

_SMALL_BENCHMARK = 50
"""Below this many problems percentiles of resamples are too narrow."""


def ratio_of_means(
    above_M: ArrayLike,
    below_M: ArrayLike,
    level: float = 0.95,
    *,
    seed: int = 0,
    resamples_R2: FloatArray | None = None,
) -> Interval:
    """Return mean(above) / mean(below) over the problems where both are defined, with its interval.

    Args:
        above_M, below_M: shape (M,), the same problems in one order, NaN where undefined.
        level: of the interval.
        seed: of the resamples of problems.
        resamples_R2: joint resamples of the two means over those problems, where they are at hand.

    Returns:
        The ratio of means, not a mean of ratios, which one problem near zero would rule. Limits are percentiles of the
        resamples' ratios, below 50 problems those of Fieller; NaN where they are not finite, the value NaN where the
        mean below is 0.

    Raises:
        ConfigError: the two differ in shape.
    """
    above, below = np.asarray(above_M, dtype=np.float64), np.asarray(below_M, dtype=np.float64)
    if above.shape != below.shape or above.ndim != 1:
        raise ConfigError(f"A ratio needs the same problems twice, but shapes are {above.shape} and {below.shape}.")
    is_defined = ~(np.isnan(above) | np.isnan(below))
    above_D, below_D, num = above[is_defined], below[is_defined], int(is_defined.sum())
    if not num or below_D.mean() == 0:
        return Interval(math.nan, math.nan, math.nan, 0, len(above))
    low, high = math.nan, math.nan
    if num >= _SMALL_BENCHMARK:
        if resamples_R2 is None:
            resamples_R2 = bootstrap_means(np.stack([above_D, below_D], axis=1), seed=seed)
        low, high = _percentile_limits(resamples_R2, level)
    elif num >= 2:
        low, high = _fieller_limits(above_D, below_D, level)
    return Interval(float(above_D.mean() / below_D.mean()), low, high, num, len(above))


def _percentile_limits(means_R2: FloatArray, level: float) -> tuple[float, float]:
    # Where a resample has nothing below, its ratio is beyond every limit, on the side of its sign.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios_R = means_R2[:, 0] / means_R2[:, 1]
    low, high = np.nanquantile(ratios_R, [0.5 - level / 2, 0.5 + level / 2])
    return (float(low), float(high)) if math.isfinite(high - low) else (math.nan, math.nan)


def _fieller_limits(above_D: FloatArray, below_D: FloatArray, level: float) -> tuple[float, float]:
    """Return the ratios r at which the mean of `above - r * below` is within Student's t of zero (Fieller 1954)."""
    means_2 = np.array([above_D.mean(), below_D.mean()])
    covariance_22 = np.cov(above_D, below_D) / len(above_D)
    critical = critical_value(level, len(above_D) - 1)
    (c, b), (_, a) = np.outer(means_2, means_2) - critical**2 * covariance_22
    if a <= 0:
        # What is below is not told from zero at this level, so no ratio is ruled out on at least one side.
        return math.nan, math.nan
    reach = math.sqrt(max(b * b - a * c, 0.0))
    return float((b - reach) / a), float((b + reach) / a)
