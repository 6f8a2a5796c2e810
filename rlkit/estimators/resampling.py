"""Resampling over problems: bootstrap means of many columns by one matrix product, and sign-flip tests.

M counts problems, K columns (budgets k, metrics) and R resamples. The problem is the unit: samples of one problem stay
together. NaN marks "undefined for this problem" and is left out of that column alone.
"""

from __future__ import annotations

from dataclasses import dataclass
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
        weights_RM = (
            _count_draws(rng, size, num_rows)
            if multiplicity_M is None
            else rng.multinomial(num_problems, multiplicity / num_problems, size=size).astype(np.float64)
        )
        counts_RK = num_problems if everywhere else weights_RM @ defined_MK.astype(np.float64)
        means_RK[start : start + size] = _weighted_means(weights_RM, filled_MK, counts_RK)
    return means_RK


@lru_cache(maxsize=2)
def _equal_weights(num_resamples: int, num_problems: int, seed: int) -> FloatArray:
    """Return the weights of resampled problems: a report asks for the same ones for every quantity."""
    weights_RM = _count_draws(np.random.default_rng(seed), num_resamples, num_problems)
    weights_RM.flags.writeable = False
    return weights_RM


def _weighted_means(weights_RM: FloatArray, filled_MK: FloatArray, counts_RK: FloatArray | int) -> FloatArray:
    with np.errstate(invalid="ignore"):
        return np.asarray((weights_RM @ filled_MK) / counts_RK)


@dataclass(frozen=True)
class SignFlipTest:
    """Two-sided p-values of "the mean difference is zero" for several columns, from the same sign patterns."""

    p_values_K: FloatArray
    """Of each column alone; range (0, 1], NaN for a column without a defined difference."""
    adjusted_K: FloatArray
    """Adjusted for all columns of the family being looked at; at least as large, NaN outside the family."""


def sign_flip_test(
    differences_MK: ArrayLike, num_flips: int = 10_000, seed: int = 0, family_K: ArrayLike | None = None
) -> SignFlipTest:
    """Test "the mean difference is zero" in each column, and in a family of columns together, by flipping signs.

    All 2**M sign patterns are tried where they are no more than `num_flips`; else random ones, the observed pattern
    counted in, `(1 + hits) / (1 + num_flips)`, so that a p-value is never zero.

    Args:
        differences_MK: paired differences, shape (M, K) or (M,), NaN where undefined.
        num_flips: random sign patterns.
        seed: of the random patterns.
        family_K: which columns are adjusted for each other, booleans; all by default.

    The adjusted p-value of a column is the share of patterns in which the largest |t| of the family reaches the |t| of
    that column, t being the sum of the differences over the root of their sum of squares, which no flip changes. The
    chance of even one adjusted p-value <= a among columns without a difference is at most a.

    Source: Fisher 1935, "The Design of Experiments", section 21; Phipson & Smyth 2010 for the added one; Westfall &
    Young 1993, "Resampling-Based Multiple Testing", section 2.3, for the largest statistic (single step).
    """
    differences_MK = _as_columns(differences_MK)
    defined_K = (~np.isnan(differences_MK)).any(axis=0)
    family = defined_K & (True if family_K is None else np.asarray(family_K, dtype=bool))
    filled_MK = np.nan_to_num(differences_MK, nan=0.0)
    filled_MK = filled_MK[(filled_MK != 0).any(axis=1)]
    scales_K = np.sqrt((filled_MK**2).sum(axis=0))
    scaled_MK = filled_MK / np.where(scales_K > 0, scales_K, 1.0)
    # Flips that tie with the observed sum count as hits, also when rounding puts them a hair below it.
    threshold_K = np.abs(scaled_MK.sum(axis=0)) - 1e-9 * np.abs(scaled_MK).sum(axis=0)
    num_rows = len(filled_MK)
    exact = 2**num_rows <= num_flips
    total = 2**num_rows if exact else num_flips
    hits_2K: FloatArray = np.zeros((2, filled_MK.shape[1]))
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_ENTRIES // max(1, num_rows))
    for start in range(0, total, chunk):
        size = min(chunk, total - start)
        signs_RM = _all_signs(start, size, num_rows) if exact else _random_signs(rng, size, num_rows)
        flipped_RK = np.abs(signs_RM @ scaled_MK)
        hits_2K[0] += (flipped_RK >= threshold_K).sum(axis=0)
        largest_R = flipped_RK[:, family].max(axis=1, initial=0.0)
        hits_2K[1] += (largest_R[:, None] >= threshold_K).sum(axis=0)
    p_values_2K = np.asarray(hits_2K / total if exact else (hits_2K + 1.0) / (total + 1.0), dtype=np.float64)
    p_values_2K[0, ~defined_K] = np.nan
    p_values_2K[1, ~family] = np.nan
    return SignFlipTest(p_values_2K[0], p_values_2K[1])


def _count_draws(rng: np.random.Generator, size: int, num_rows: int) -> FloatArray:
    """Return how often each row is drawn in `size` resamples of all rows, shape (R, M).

    Counting drawn indices takes a fifth of the time of multinomial draws.
    """
    drawn_RM = rng.integers(0, num_rows, (size, num_rows), dtype=np.uint32) + (np.arange(size) * num_rows)[:, None]
    counts = np.bincount(drawn_RM.ravel(), minlength=size * num_rows)
    return counts.reshape(size, num_rows).astype(np.float64)


def _random_signs(rng: np.random.Generator, size: int, num_rows: int) -> FloatArray:
    """Return random signs, shape (R, M), one random bit each."""
    # Whole words, as the generator drops the rest of one: so chunks of any size see the same bits.
    num_bytes = 4 * -(-num_rows // 32)
    bytes_RB = np.frombuffer(rng.bytes(size * num_bytes), dtype=np.uint8).reshape(size, num_bytes)
    return np.unpackbits(bytes_RB, axis=1, count=num_rows).astype(np.float64) * 2.0 - 1.0


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
