"""Confidence intervals of benchmark means, over problems: what would another draw of problems of this kind have given?

Samples within a problem are not resampled: the spread between problems already contains their noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError, suggest
from rlkit.estimators.passing import pass_at_k
from rlkit.estimators.resampling import bootstrap_means
from rlkit.estimators.student_t import critical_value

FloatArray = NDArray[np.float64]

_METHODS = ("auto", "bootstrap", "analytic")

_TWO_MORE = {(0.0, 1.0): (0.0, 1.0), (-1.0, 1.0): (-0.25, 0.25)}
"""Bounds of shares, and of differences of shares -> the values of two problems that are added before their interval.

Where nearly all problems sit at a bound, or nearly all differences at 0, the few exceptions are often not among the
problems, and the spread that is seen is too small. The two stand for what was not seen, as in Agresti & Coull 1998 for
a proportion. They weigh 1 / M; elsewhere the limits hardly move. benchmarks/interval_coverage.py measures what holds.
"""


@dataclass(frozen=True)
class Interval:
    """A mean over problems with its confidence interval, and over how many problems it is defined."""

    value: float
    """Mean over the defined problems; NaN when there are none."""
    low: float
    """Lower limit; NaN when fewer than two problems are defined (unless all sit at a known bound)."""
    high: float
    """Upper limit, likewise."""
    num_defined: int
    """Problems for which the quantity exists."""
    num_total: int
    """All problems."""

    def as_cell(self) -> dict[str, float | int | None]:
        """Return the five fields for JSON, which has no NaN: undefined numbers become None."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        cell: dict[str, float | int | None] = {name: None if math.isnan(v) else v for name, v in numbers.items()}
        return cell | {"num_defined": self.num_defined, "num_total": self.num_total}


def mean_interval(
    values: ArrayLike,
    level: float = 0.95,
    *,
    method: str = "auto",
    bounds: tuple[float, float] | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the mean over problems with its confidence interval.

    Args:
        values: shape (M,), one value a problem, NaN where undefined.
        level: confidence level, between 0 and 1.
        method: `bootstrap` (percentiles over resampled problems), `analytic` (Student's t), or `auto`, which is the
            latter, of the problems and two more where the bounds are those of shares or of differences of shares.
        bounds: smallest and largest possible value, where known, e.g. (0, 1). Limits stay within; where every problem
            sits at one of two finite bounds the binomial limit is used, where it reaches further.
        num_resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ConfigError: the level is not between 0 and 1, the method is unknown, or values is not one-dimensional.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ConfigError(f"mean_interval takes one value a problem, but values have shape {array.shape}.")
    return mean_intervals(array[:, None], level, method=method, bounds=bounds, num_resamples=num_resamples, seed=seed)[
        0
    ]


def mean_intervals(
    values_MK: ArrayLike,
    level: float = 0.95,
    *,
    method: str = "auto",
    bounds: tuple[float, float] | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
    multiplicity_M: ArrayLike | None = None,
    resamples_RK: FloatArray | None = None,
) -> list[Interval]:
    """Return `mean_interval` of every column, from the same resamples.

    Args:
        values_MK: shape (M, K), NaN where undefined.
        multiplicity_M: how many problems each row stands for; 1 each by default. The others as for `mean_interval`.
        resamples_RK: what `bootstrap_means` gave for these values, where it is at hand; else it is drawn when needed.
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(f"A confidence level lies between 0 and 1, but {level} was given; write 0.95 for 95 %.")
    if method not in _METHODS:
        raise ConfigError(f"No interval method is called {method!r}.{suggest(str(method), _METHODS)}")
    values_MK = np.asarray(values_MK, dtype=np.float64)
    multiplicity = np.ones(len(values_MK)) if multiplicity_M is None else np.asarray(multiplicity_M, dtype=np.float64)
    defined_MK = ~np.isnan(values_MK)
    num_defined_K = (multiplicity @ defined_MK).astype(int)
    with np.errstate(invalid="ignore"):
        means_K = (multiplicity @ np.where(defined_MK, values_MK, 0.0)) / num_defined_K
    if method == "bootstrap":
        if resamples_RK is None:
            resamples_RK = bootstrap_means(values_MK, num_resamples, seed, multiplicity_M)
        limits_2K = _bootstrap_limits(resamples_RK, level)
    else:
        added = _TWO_MORE.get(bounds, ()) if method == "auto" and bounds is not None else ()
        limits_2K = _analytic_limits(*_add_problems(values_MK, multiplicity, added), level)
    limits_2K[:, num_defined_K < 2] = np.nan
    if bounds is not None:
        limits_2K = _within_bounds(limits_2K, values_MK, num_defined_K, bounds, level)
    num_total = int(multiplicity.sum())
    columns = zip(means_K, limits_2K[0], limits_2K[1], num_defined_K, strict=True)
    return [Interval(float(mean), float(low), float(high), int(num), num_total) for mean, low, high, num in columns]


def pass_at_k_intervals(
    num_samples: ArrayLike,
    num_correct: ArrayLike,
    ks: Sequence[int],
    level: float = 0.95,
    *,
    method: str = "auto",
    num_resamples: int = 2000,
    seed: int = 0,
) -> list[Interval]:
    """Return mean pass@k over problems with its interval, for each k.

    Args:
        num_samples: n per problem, shape (M,).
        num_correct: c per problem, shape (M,).
        ks: budgets, each >= 1. Problems with n < k are undefined at that k and left out of it, and counted as such.
        level, method, num_resamples, seed: as for `mean_interval`.

    Equal (n, c) are merged before resampling, so cost depends on n rather than on the number of problems.
    """
    pairs = np.stack(np.broadcast_arrays(np.asarray(num_samples), np.asarray(num_correct)), axis=-1).reshape(-1, 2)
    groups, multiplicity = np.unique(pairs, axis=0, return_counts=True)
    values_MK = np.asarray(pass_at_k(groups[:, :1], groups[:, 1:], np.asarray(ks)[None, :]))
    return mean_intervals(
        values_MK,
        level,
        method=method,
        bounds=(0.0, 1.0),
        num_resamples=num_resamples,
        seed=seed,
        multiplicity_M=multiplicity,
    )


def auc_log2(ks: ArrayLike, values: ArrayLike) -> float | FloatArray:
    """Return the mean height of a curve over log2 k, by the trapezoid rule.

    Args:
        ks: budgets, strictly increasing, shape (K,).
        values: shape (..., K).

    Returns:
        shape (...); within the range of the values; the value itself when there is a single k.

    Raises:
        ConfigError: the budgets do not increase, or shapes do not fit.
    """
    ks_K, values_K = np.asarray(ks, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if (
        ks_K.ndim != 1
        or values_K.shape[-1:] != ks_K.shape
        or not len(ks_K)
        or np.any(np.diff(ks_K) <= 0)
        or ks_K[0] < 1
    ):
        raise ConfigError("auc_log2 needs increasing budgets k >= 1 and one value for each of them.")
    if len(ks_K) == 1:
        area = values_K[..., 0]
    else:
        log_ks_K = np.log2(ks_K)
        area = np.trapezoid(values_K, log_ks_K, axis=-1) / (log_ks_K[-1] - log_ks_K[0])
    return float(area) if np.ndim(area) == 0 else area


def _bootstrap_limits(means_RK: FloatArray, level: float) -> FloatArray:
    quantile = np.nanquantile if np.isnan(means_RK).any() else np.quantile
    return np.asarray(quantile(means_RK, [0.5 - level / 2, 0.5 + level / 2], axis=0))


def _add_problems(
    values_MK: FloatArray, multiplicity: FloatArray, added: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    rows = np.repeat(np.asarray(added, dtype=np.float64)[:, None], values_MK.shape[1], axis=1)
    return np.vstack([values_MK, rows]), np.append(multiplicity, np.ones(len(added)))


def _analytic_limits(values_MK: FloatArray, multiplicity: FloatArray, level: float) -> FloatArray:
    defined_MK = ~np.isnan(values_MK)
    num_K = multiplicity @ defined_MK
    with np.errstate(invalid="ignore"):
        means_K = (multiplicity @ np.where(defined_MK, values_MK, 0.0)) / num_K
    squares_K = multiplicity @ np.where(defined_MK, values_MK - means_K, 0.0) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        errors_K = np.sqrt(squares_K / (num_K - 1) / num_K)
    critical_K = np.array([critical_value(level, int(num) - 1) if num >= 2 else np.nan for num in num_K])
    return np.stack([means_K - critical_K * errors_K, means_K + critical_K * errors_K])


def _within_bounds(
    limits_2K: FloatArray,
    values_MK: FloatArray,
    num_defined_K: NDArray[np.int64],
    bounds: tuple[float, float],
    level: float,
) -> FloatArray:
    """Clip to the bounds; where all problems sit at one, put the limit of Clopper & Pearson 1934 on the other side.

    The mean of values within the bounds is at least the share of problems at the upper one, so the limit holds for it.
    """
    lowest, highest = bounds
    limits_2K = np.clip(limits_2K, lowest, highest)
    if math.isinf(highest - lowest):
        return limits_2K
    with np.errstate(divide="ignore"):
        reach_K = (highest - lowest) * (0.5 - level / 2) ** (1.0 / num_defined_K)
    undefined_MK = np.isnan(values_MK)
    for at, limits in ((highest, (lowest + reach_K, highest)), (lowest, (lowest, highest - reach_K))):
        stuck_K = ((values_MK == at) | undefined_MK).all(axis=0) & (num_defined_K > 0)
        low_K, high_K = np.broadcast_arrays(*limits)
        further_2K = np.stack([np.fmin(low_K, limits_2K[0]), np.fmax(high_K, limits_2K[1])])
        limits_2K = np.where(stuck_K, further_2K, limits_2K)
    return limits_2K
