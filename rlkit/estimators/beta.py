"""The Beta distribution: its cumulative distribution function and quantiles, on arrays, with numpy alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

FloatArray = NDArray[np.float64]

_TINY = 1e-300
_MOST_TERMS = 20_000


def beta_cdf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> float | FloatArray:
    """Return P(p <= x) for p ~ Beta(a, b), the regularised incomplete beta function I_x(a, b).

    Args:
        x: in [0, 1].
        a, b: shapes, > 0. The three broadcast against each other.

    Returns:
        A float for three scalars, else float64 of the broadcast shape; absolute error below 1e-10 for shapes up to 1e4.

    Raises:
        ConfigError: a shape is not positive and finite, or x is outside [0, 1].

    Source: the continued fraction of Abramowitz & Stegun 26.5.8, evaluated by the method of Lentz 1976.
    """
    xs, a_s, b_s = _checked(x, a, b, "x")
    lower = _lower_tail(xs.ravel(), a_s.ravel(), b_s.ravel()).reshape(xs.shape)
    return float(lower) if lower.ndim == 0 else lower


def beta_quantile(probability: ArrayLike, a: ArrayLike, b: ArrayLike) -> float | FloatArray:
    """Return x with P(p <= x) = probability for p ~ Beta(a, b), by bisection.

    Args:
        probability: in [0, 1].
        a, b: shapes, > 0. The three broadcast against each other.

    Returns:
        As `beta_cdf`; range [0, 1].

    Raises:
        ConfigError: as `beta_cdf`.
    """
    wanted, a_s, b_s = _checked(probability, a, b, "probability")
    shape = wanted.shape
    wanted, a_s, b_s = wanted.ravel(), a_s.ravel(), b_s.ravel()
    low, high = np.zeros_like(wanted), np.ones_like(wanted)
    for _ in range(60):
        middle = (low + high) / 2
        below = _lower_tail(middle, a_s, b_s) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    found = np.where(wanted == 0.0, 0.0, np.where(wanted == 1.0, 1.0, (low + high) / 2)).reshape(shape)
    return float(found) if found.ndim == 0 else found


def _checked(x: ArrayLike, a: ArrayLike, b: ArrayLike, word: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    xs, a_s, b_s = np.broadcast_arrays(*(np.asarray(each, dtype=np.float64) for each in (x, a, b)))
    if not np.all((xs >= 0) & (xs <= 1)):
        raise ConfigError(f"{word} of a Beta distribution lies in [0, 1], but {xs.min()} to {xs.max()} was given.")
    if not np.all((a_s > 0) & (b_s > 0) & np.isfinite(a_s) & np.isfinite(b_s)):
        raise ConfigError("The shapes of a Beta distribution are positive and finite numbers.")
    return xs, a_s, b_s


def _lower_tail(x: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    # The fraction converges fast on the near side of the mean only; the far side is one minus the mirror image.
    mirrored = x > (a + 1) / (a + b + 2)
    a, b, x = np.where(mirrored, b, a), np.where(mirrored, a, b), np.where(mirrored, 1 - x, x)
    inside = x > 0
    tail = np.zeros_like(x)
    if inside.any():
        near_x, near_a, near_b = x[inside], a[inside], b[inside]
        log_front = near_a * np.log(near_x) + near_b * np.log1p(-near_x) - _log_beta(near_a, near_b)
        tail[inside] = np.exp(log_front) * _fraction(near_x, near_a, near_b) / near_a
    return np.clip(np.where(mirrored, 1.0 - tail, tail), 0.0, 1.0)


def _fraction(x: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the continued fraction of I_x(a, b), for x below the mean."""
    value = upper = np.ones_like(x)
    lower = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = lower
    for term in range(1, _MOST_TERMS):
        even = term * (b - term) * x / ((a + 2 * term - 1) * (a + 2 * term))
        odd = -(a + term) * (a + b + term) * x / ((a + 2 * term) * (a + 2 * term + 1))
        for numerator in (even, odd):
            lower = 1.0 / _away_from_zero(1.0 + numerator * lower)
            upper = _away_from_zero(1.0 + numerator / upper)
            step = lower * upper
            value = value * step
        if np.all(np.abs(step - 1.0) < 1e-15):
            break
    return value


def _away_from_zero(values: FloatArray) -> FloatArray:
    return np.where(np.abs(values) < _TINY, _TINY, values)


def _log_beta(a: FloatArray, b: FloatArray) -> FloatArray:
    pairs, index = np.unique(np.stack([a, b]), axis=1, return_inverse=True)
    values = [math.lgamma(p) + math.lgamma(q) - math.lgamma(p + q) for p, q in pairs.T]
    return np.asarray(values)[index.reshape(-1)]
