"""How many dimensions a model's states fill: RankMe in its two published forms, and the slope alpha of the spectrum.

N counts states (one a prompt), D their width. All three depend on N below a few times D: compare at the same prompts.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

FloatArray = NDArray[np.float64]


def singular_spectrum(features_ND: ArrayLike, *, centred: bool = False) -> FloatArray:
    """Return the singular values of the features, largest first, shape (min(N, D),), in float64.

    Args:
        features_ND: shape (N, D), finite.
        centred: whether the mean state is subtracted first. A large common component is otherwise the first value.

    Raises:
        ConfigError: no matrix, or entries that are not finite.
    """
    features = np.asarray(features_ND, dtype=np.float64)
    if features.ndim != 2 or not np.isfinite(features).all():
        raise ConfigError(f"Features must be finite and of shape (N, D), but shape {features.shape} was given.")
    if centred and len(features):
        features = features - features.mean(axis=0)
    return np.asarray(np.linalg.svd(features, compute_uv=False)) if features.size else np.empty(0)


def rank_me(singular_values: ArrayLike) -> float:
    """Return RankMe as Garrido et al. define it: exp of the entropy of singular values over their sum.

    Args:
        singular_values: shape (D,), >= 0.

    Returns:
        Range [1, D] up to the paper's 1e-7 a share; NaN when all are zero.

    Source: Garrido et al. 2023, arXiv 2210.02885, equation 1.
    """
    values = np.asarray(singular_values, dtype=np.float64)
    if not values.sum() > 0:
        return math.nan
    shares = values / values.sum() + 1e-7
    return float(np.exp(-np.sum(shares * np.log(shares))))


def rank_me_covariance(singular_values: ArrayLike) -> float:
    """Return RankMe as Li et al. define it: the same of *eigenvalues of the covariance*, the squares.

    Squaring sharpens the spectrum: it is below `rank_me`, often by half, and the two are not to be compared.

    Source: Li et al. 2025, arXiv 2509.23024.
    """
    values = np.asarray(singular_values, dtype=np.float64) ** 2
    if not values.sum() > 0:
        return math.nan
    shares = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def alpha_req(singular_values: ArrayLike, first: int = 1, last: int | None = None) -> float:
    """Return alpha of lambda_j ~ j**-alpha: minus the least-squares slope of ln(eigenvalue) on ln(rank).

    Args:
        singular_values: largest first, shape (D,); the eigenvalues of the covariance are their squares.
        first, last: the window of ranks, from 1, both included; None goes to the last one. The ends of a spectrum bend
            (a common component at the head, too few states at the tail), so a window belongs to the number.

    Returns:
        A larger alpha is a more compressed representation. NaN with fewer than two positive values in the window.

    Raises:
        ConfigError: no such window.

    Source: Agrawal et al. 2022, alpha-ReQ; Li et al. 2025, arXiv 2509.23024.
    """
    values = np.asarray(singular_values, dtype=np.float64)
    last = len(values) if last is None else last
    if first < 1 or last < first:
        raise ConfigError(f"Ranks {first} to {last} were given as window; write 1 <= first <= last.")
    # A rank-deficient matrix ends in zeros that rounding made 1e-16; they are no part of a power law.
    floor = values.max(initial=0.0) * len(values) * np.finfo(np.float64).eps
    ranks = np.arange(1, len(values) + 1)
    inside = (ranks >= first) & (ranks <= last) & (values > floor)
    if inside.sum() < 2:
        return math.nan
    return float(-np.polyfit(np.log(ranks[inside]), 2.0 * np.log(values[inside]), 1)[0])
