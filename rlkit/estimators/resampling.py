"""Resampling over problems: bootstrap means of many columns by one matrix product, and the sign-flip test.

M counts problems, K columns (budgets k, metrics) and R resamples. The problem is the unit: samples of one problem stay
together. NaN marks "undefined for this problem" and is left out of that column alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

FloatArray = NDArray[np.float64]

_CHUNK_ENTRIES = 1 << 22


def bootstrap_means(
    values_MK: ArrayLike, num_resamples: int = 2000, seed: int = 0, multiplicity_M: ArrayLike | None = None
) -> FloatArray:
    """Return the column means of bootstrap resamples of the rows.

    Every column sees the same resamples, so rows of the result are joint draws (fit for differences, areas, crossings).

    Args:
        values_MK: shape (M, K), NaN where undefined.
        num_resamples: R.
        seed: of the resamples; equal seeds and shapes give equal resamples.
        multiplicity_M: how many problems each row stands for, when equal problems were merged; 1 each by default.

    Returns:
        shape (R, K); NaN where a resample holds no defined row.

    Source: Efron 1979; rows are multinomial weights, so that all columns are one matrix product.
    """
    values_MK = _as_columns(values_MK)
    num_rows, num_columns = values_MK.shape
    multiplicity = np.ones(num_rows) if multiplicity_M is None else np.asarray(multiplicity_M, dtype=np.float64)
    num_problems = int(multiplicity.sum())
    if num_problems == 0:
        return np.full((num_resamples, num_columns), np.nan)
    defined_MK = ~np.isnan(values_MK)
    filled_MK = np.where(defined_MK, values_MK, 0.0)
    everywhere = bool(defined_MK.all())
    if multiplicity_M is None and num_resamples * num_rows <= _CHUNK_ENTRIES:
        weights_RM = _equal_weights(num_resamples, num_rows, seed)
        return _weighted_means(weights_RM, filled_MK, num_problems if everywhere else weights_RM @ defined_MK)
    rng = np.random.default_rng(seed)
    means_RK = np.empty((num_resamples, num_columns))
    chunk = max(1, _CHUNK_ENTRIES // num_rows)
    for start in range(0, num_resamples, chunk):
        size = min(chunk, num_resamples - start)
        weights_RM = rng.multinomial(num_problems, multiplicity / num_problems, size=size).astype(np.float64)
        counts_RK = num_problems if everywhere else weights_RM @ defined_MK.astype(np.float64)
        means_RK[start : start + size] = _weighted_means(weights_RM, filled_MK, counts_RK)
    return means_RK


@lru_cache(maxsize=2)
def _equal_weights(num_resamples: int, num_problems: int, seed: int) -> FloatArray:
    """Return the weights of resampled problems: a report asks for the same ones for every quantity."""
    rng = np.random.default_rng(seed)
    shares = np.ones(num_problems) / num_problems
    weights_RM = rng.multinomial(num_problems, shares, size=num_resamples).astype(np.float64)
    weights_RM.flags.writeable = False
    return weights_RM


def _weighted_means(weights_RM: FloatArray, filled_MK: FloatArray, counts_RK: FloatArray | int) -> FloatArray:
    with np.errstate(invalid="ignore"):
        return np.asarray((weights_RM @ filled_MK) / counts_RK)


def sign_flip_p_values(differences_MK: ArrayLike, num_flips: int = 10_000, seed: int = 0) -> FloatArray:
    """Return the two-sided p-value of "the mean difference is zero" for each column, by flipping signs of problems.

    All 2**M sign patterns are tried where they are no more than `num_flips`; else random ones, the observed pattern
    counted in, `(1 + hits) / (1 + num_flips)`, so that a p-value is never zero.

    Args:
        differences_MK: paired differences, shape (M, K) or (M,), NaN where undefined.
        num_flips: random sign patterns.
        seed: of the random patterns.

    Returns:
        shape (K,), range (0, 1]; NaN for a column without a defined difference.

    Source: Fisher 1935, "The Design of Experiments", section 21; Phipson & Smyth 2010 for the added one.
    """
    differences_MK = _as_columns(differences_MK)
    defined_K = (~np.isnan(differences_MK)).any(axis=0)
    filled_MK = np.nan_to_num(differences_MK, nan=0.0)
    filled_MK = filled_MK[(filled_MK != 0).any(axis=1)]
    observed_K = np.abs(filled_MK.sum(axis=0))
    # Flips that tie with the observed sum count as hits, also when rounding puts them a hair below it.
    threshold_K = observed_K - 1e-9 * np.abs(filled_MK).sum(axis=0)
    num_rows = len(filled_MK)
    exact = 2**num_rows <= num_flips
    total = 2**num_rows if exact else num_flips
    hits_K: FloatArray = np.zeros(filled_MK.shape[1])
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_ENTRIES // max(1, num_rows))
    for start in range(0, total, chunk):
        size = min(chunk, total - start)
        signs_RM = _all_signs(start, size, num_rows) if exact else rng.integers(0, 2, (size, num_rows)) * 2.0 - 1.0
        hits_K += (np.abs(signs_RM @ filled_MK) >= threshold_K).sum(axis=0)
    p_values_K = hits_K / total if exact else (hits_K + 1.0) / (total + 1.0)
    return np.asarray(np.where(defined_K, p_values_K, np.nan), dtype=np.float64)


def _all_signs(start: int, size: int, num_rows: int) -> FloatArray:
    patterns = np.arange(start, start + size)[:, None] >> np.arange(num_rows)[None, :]
    return np.where(patterns & 1, 1.0, -1.0)


def _as_columns(values: ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ConfigError(
            f"Values must have one row a problem and one column a quantity, but have shape {array.shape}."
        )
    return array
