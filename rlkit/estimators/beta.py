"""The Beta distribution: its cumulative distribution function and quantiles, checked and on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

FloatArray = NDArray[np.float64]


def beta_cdf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> float | FloatArray:
    """Return P(p <= x) for p ~ Beta(a, b), the regularised incomplete beta function I_x(a, b).

    Args:
        x: in [0, 1].
        a, b: shapes, > 0. The three broadcast against each other.

    Returns:
        A float for three scalars, else float64 of the broadcast shape.

    Raises:
        ConfigError: a shape is not positive and finite, or x is outside [0, 1].
    """
    from scipy.special import betainc

    xs, a_s, b_s = _checked(x, a, b, "x")
    lower = betainc(a_s, b_s, xs)
    return float(lower) if np.ndim(lower) == 0 else lower


def beta_quantile(probability: ArrayLike, a: ArrayLike, b: ArrayLike) -> float | FloatArray:
    """Return x with P(p <= x) = probability for p ~ Beta(a, b); arguments, result and errors as of `beta_cdf`."""
    from scipy.special import betaincinv

    wanted, a_s, b_s = _checked(probability, a, b, "probability")
    found = betaincinv(a_s, b_s, wanted)
    return float(found) if np.ndim(found) == 0 else found


def _checked(x: ArrayLike, a: ArrayLike, b: ArrayLike, word: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    xs, a_s, b_s = np.broadcast_arrays(*(np.asarray(each, dtype=np.float64) for each in (x, a, b)))
    if not np.all((xs >= 0) & (xs <= 1)):
        raise ConfigError(f"{word} of a Beta distribution lies in [0, 1], but {xs.min()} to {xs.max()} was given.")
    if not np.all((a_s > 0) & (b_s > 0) & np.isfinite(a_s) & np.isfinite(b_s)):
        raise ConfigError("The shapes of a Beta distribution are positive and finite numbers.")
    return xs, a_s, b_s
