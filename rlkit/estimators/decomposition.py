"""Where a loss of diversity comes from: fewer ways of being wrong, or fewer ways of being right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.estimators.intervals import Interval, mean_intervals
from rlkit.estimators.ratios import ratio_of_means

FloatArray = NDArray[np.float64]

_STANDARD_ERRORS = 2.0
"""A total closer to zero than this many of its standard errors has no share that could be told from noise."""


@dataclass(frozen=True)
class DiversityLoss:
    """A loss of diversity between a base model and a run, split in two; positive where the run has less."""

    total: Interval
    """Mean of `all_base - all_run`."""
    quality_control: Interval
    """Mean loss of the diversity that wrong answers add, `(all - correct)` of the base minus that of the run."""
    residual: Interval
    """Mean of `correct_base - correct_run`: narrowing among correct answers. With the above it adds up to the total."""
    rho: Interval
    """Residual over total, a ratio of means; may be negative or above 1. NaN, of 0 problems, where the total is within
    two standard errors of zero."""
    num_problems: int
    """Problems on which all four diversities exist; everything above is over these alone."""


def split_diversity_loss(
    all_base_M: ArrayLike,
    correct_base_M: ArrayLike,
    all_run_M: ArrayLike,
    correct_run_M: ArrayLike,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> DiversityLoss:
    """Split the loss of diversity from a base model to a run into quality control and narrowing.

    Args:
        all_base_M, all_run_M: diversity of all outputs of each problem, shape (M,), the same problems in one order.
        correct_base_M, correct_run_M: diversity of its correct outputs, NaN where it has too few (two, for a mean over
            pairs). A measure that grows with the number of outputs must be taken at one number everywhere.
        level: of the intervals.
        seed: of the resamples of problems, from 50 problems on; Student's t below.

    Returns:
        Four intervals over the problems on which all four values exist. Limits of rho are percentiles of the resamples'
        ratios, below 50 problems those of Fieller, NaN where they are not finite.

    Raises:
        ConfigError: shapes differ or are not (M,), a value is infinite, or the level is not between 0 and 1.

    Source: Karouzos, Tan & Aletras 2026, arXiv 2604.16027, who print the four diversities and report the share of the
    drop that persists among correct outputs; the ratio is our reading of that. They take each mean over its own
    problems; we take the common ones, as otherwise a run that solves more problems changes what its mean is over.
    """
    values_4M = _checked([all_base_M, correct_base_M, all_run_M, correct_run_M])
    num_total = values_4M.shape[1]
    all_base, correct_base, all_run, correct_run = values_4M[:, ~np.isnan(values_4M).any(axis=0)]
    total_D, residual_D = all_base - all_run, correct_base - correct_run
    parts_D3 = np.stack([total_D, total_D - residual_D, residual_D], axis=1)
    total, quality_control, residual = (
        Interval(part.value, part.low, part.high, part.num_defined, num_total)
        for part in mean_intervals(parts_D3, level, seed=seed)
    )
    rho = _ratio_of_means(residual_D, total_D, num_total, level, seed)
    return DiversityLoss(total, quality_control, residual, rho, len(total_D))


def _ratio_of_means(above_D: FloatArray, below_D: FloatArray, num_total: int, level: float, seed: int) -> Interval:
    num = len(below_D)
    error = below_D.std(ddof=1) / math.sqrt(num) if num >= 2 else math.nan
    if not abs(below_D.mean() if num else 0.0) > _STANDARD_ERRORS * error:
        return Interval(math.nan, math.nan, math.nan, 0, num_total)
    ratio = ratio_of_means(above_D, below_D, level, seed=seed)
    return Interval(ratio.value, ratio.low, ratio.high, num, num_total)


def _checked(vectors: list[ArrayLike]) -> FloatArray:
    arrays = [np.asarray(vector, dtype=np.float64) for vector in vectors]
    shapes = [array.shape for array in arrays]
    if len(shapes[0]) != 1 or len({*shapes}) != 1:
        raise ConfigError(f"Four vectors over the same problems are needed, but their shapes are {shapes}.")
    values_4M = np.stack(arrays)
    if np.isinf(values_4M).any():
        raise ConfigError("A diversity is infinite; write NaN where it does not exist.")
    return values_4M
