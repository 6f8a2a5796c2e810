"""Intervals of one problem's success rate from its own samples: c correct ones among n."""

from __future__ import annotations

import statistics

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.estimators.beta import beta_quantile
from rlkit.estimators.draws import checked_counts

FloatArray = NDArray[np.float64]


def jeffreys_interval(
    num_samples: ArrayLike, num_correct: ArrayLike, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper limits of the success rate: quantiles of Beta(c + 1/2, n - c + 1/2).

    Args:
        num_samples: n, integers >= 0.
        num_correct: c, integers 0..n. The two broadcast against each other.
        level: between 0 and 1.

    Returns:
        Two float64 arrays of the broadcast shape, range [0, 1]; the lower limit is 0 at c = 0 and the upper one 1 at
        c = n; NaN at n = 0, where nothing was seen.

    Raises:
        ConfigError: counts are impossible, or the level is not between 0 and 1.

    Source: Brown, Cai & DasGupta 2001, "Interval estimation for a binomial proportion", Statistical Science 16.
    """
    n, c = _checked(num_samples, num_correct, level)
    low = np.asarray(beta_quantile(0.5 - level / 2, c + 0.5, n - c + 0.5))
    high = np.asarray(beta_quantile(0.5 + level / 2, c + 0.5, n - c + 0.5))
    return np.where(n == 0, np.nan, np.where(c == 0, 0.0, low)), np.where(n == 0, np.nan, np.where(c == n, 1.0, high))


def wilson_interval(
    num_samples: ArrayLike, num_correct: ArrayLike, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper limits of the success rate by inverting the score test.

    Args, returns, raises: as `jeffreys_interval`.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    n, c = _checked(num_samples, num_correct, level)
    z = statistics.NormalDist().inv_cdf(0.5 + level / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = c / n
        centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
        reach = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    # At c = 0 and c = n the two terms are equal; their difference is rounding, never below 0 or above 1.
    return np.where(c == 0, 0.0, centre - reach) + 0.0 * rate, np.where(c == n, 1.0, centre + reach) + 0.0 * rate


def _checked(num_samples: ArrayLike, num_correct: ArrayLike, level: float) -> tuple[FloatArray, FloatArray]:
    if not 0.0 < level < 1.0:
        raise ConfigError(f"A confidence level lies between 0 and 1, but {level} was given; write 0.95 for 95 %.")
    n, c, _ = checked_counts(num_samples, num_correct, 1)
    return n.astype(np.float64), c.astype(np.float64)
