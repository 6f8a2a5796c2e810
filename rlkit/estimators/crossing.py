"""Where a base model's pass@k curve overtakes a run's: the budget from which the base solves more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Crossing:
    """The budget k* from which the base is ahead, with its interval over resampled problems."""

    k_star: float
    """NaN where the curves do not cross within the budgets."""
    low: float
    """Lower limit; NaN where even that is beyond the largest budget."""
    high: float
    """Upper limit; NaN where it is beyond the largest budget: k* is censored there."""
    share_crossing: float
    """Share of the resamples in which the base overtakes."""
    num_resamples: int

    def as_json(self) -> dict[str, Any]:
        """Return the fields for JSON; undefined numbers are None."""
        numbers = {"k_star": self.k_star, "low": self.low, "high": self.high, "share_crossing": self.share_crossing}
        found: dict[str, Any] = {name: None if math.isnan(value) else value for name, value in numbers.items()}
        return found | {"num_resamples": self.num_resamples}


def crossing_budget(ks: ArrayLike, differences: ArrayLike, errors: ArrayLike = 0.0) -> float | FloatArray:
    """Return the budget k* at which the base overtakes the run, interpolated on log2 k.

    A budget counts for the side that is ahead by at least one standard error. k* exists where the last change of sides
    is from the run to the base; it is where the straight line through the two budgets around it meets zero.

    Args:
        ks: budgets, increasing, shape (K,).
        differences: pass@k of the run minus that of the base, shape (..., K), NaN where undefined.
        errors: standard errors of the differences, shape (K,) or a scalar.

    Returns:
        shape (...), within the range of the budgets; inf where the base does not overtake, the smallest budget where it
        is ahead from the start and the run never is.

    Raises:
        ConfigError: the budgets do not increase, or shapes do not fit.

    Source: Yue et al. 2025, arXiv 2504.13837, who read the crossing off the curves; interpolation and the disregard of
    changes within noise are ours.
    """
    ks_K, values_RK = np.asarray(ks, dtype=np.float64), np.asarray(differences, dtype=np.float64)
    if ks_K.ndim != 1 or values_RK.shape[-1:] != ks_K.shape or not len(ks_K) or np.any(np.diff(ks_K) <= 0):
        raise ConfigError("A crossing needs increasing budgets k and one difference for each of them.")
    rows_RK = values_RK.reshape(-1, len(ks_K))
    decided_RK = np.where(np.abs(rows_RK) >= errors, np.sign(rows_RK), 0.0)
    decided_RK[np.isnan(rows_RK)] = 0.0
    crossings_R = _interpolate(np.log2(ks_K), rows_RK, decided_RK)
    return float(crossings_R[0]) if values_RK.ndim == 1 else crossings_R.reshape(values_RK.shape[:-1])


def estimate_crossing(
    ks: ArrayLike, differences_K: ArrayLike, resamples_RK: ArrayLike, errors_K: ArrayLike, level: float = 0.95
) -> Crossing:
    """Return k* with the interval that resampled problems give it.

    Args:
        ks: budgets, increasing, shape (K,).
        differences_K: mean pass@k of the run minus that of the base.
        resamples_RK: the same of resampled problems, shape (R, K), of `bootstrap_means`.
        errors_K: standard errors of the differences; smaller ones do not count as being ahead, in a resample either.
        level: of the interval, by percentiles. A resample in which the base does not overtake has its k* beyond the
            largest budget, one in which it leads from the start at the smallest.
    """
    k_star = crossing_budget(ks, differences_K, errors_K)
    k_star_R = np.atleast_1d(crossing_budget(ks, resamples_RK, errors_K))
    leads_R = k_star_R <= float(np.asarray(ks)[0])
    # Of limits between two resamples, one of them without a crossing, neither end may be made up.
    low = np.quantile(k_star_R, 0.5 - level / 2, method="lower")
    high = np.quantile(k_star_R, 0.5 + level / 2, method="higher")
    return Crossing(
        k_star=_nan_unless_crossing(float(k_star), float(np.asarray(ks)[0])),
        low=_nan_if_infinite(float(low)),
        high=_nan_if_infinite(float(high)),
        share_crossing=float(np.mean(np.isfinite(k_star_R) & ~leads_R)),
        num_resamples=len(k_star_R),
    )


def _interpolate(log_ks_K: FloatArray, rows_RK: FloatArray, decided_RK: FloatArray) -> FloatArray:
    """Walk up the budgets, for all rows at once, and keep the last place where the base overtook."""
    num_rows, num_budgets = rows_RK.shape
    side_R = np.zeros(num_rows)
    crossing_R = np.full(num_rows, np.inf)
    # Where the raw difference last fell below zero; the decided change may lie some budgets further.
    fell_R = np.full(num_rows, np.nan)
    for at in range(num_budgets):
        if at:
            before_R, now_R = rows_RK[:, at - 1], rows_RK[:, at]
            falls_R = (before_R >= 0) & (now_R < 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                share_R = before_R / (before_R - now_R)
            between_R = log_ks_K[at - 1] + share_R * (log_ks_K[at] - log_ks_K[at - 1])
            fell_R = np.where(falls_R, between_R, fell_R)
        overtakes_R = (decided_RK[:, at] < 0) & (side_R > 0)
        leads_R = (decided_RK[:, at] < 0) & (side_R == 0)
        crossing_R = np.where(overtakes_R, 2.0**fell_R, crossing_R)
        crossing_R = np.where(leads_R, 2.0 ** log_ks_K[0], crossing_R)
        crossing_R = np.where(decided_RK[:, at] > 0, np.inf, crossing_R)
        side_R = np.where(decided_RK[:, at] != 0, decided_RK[:, at], side_R)
    return crossing_R


def _nan_unless_crossing(k_star: float, smallest: float) -> float:
    return math.nan if math.isinf(k_star) or k_star <= smallest else k_star


def _nan_if_infinite(value: float) -> float:
    return math.nan if math.isinf(value) else value
