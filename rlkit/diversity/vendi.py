"""The Vendi score: an effective number of texts, from how alike they are.

The Hill number of the spectrum of a similarity matrix: of N texts that share nothing it is N, of copies 1, and where
texts are either equal or unlike it is the Hill number of their classes. It grows with N: compare at one N. Friedman &
Dieng 2023, arXiv 2210.02410; orders: Pasarkar & Dieng 2023, arXiv 2310.12952.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlkit.diversity.cosine import place_on_sphere
from rlkit.errors import ConfigError

_SMALLEST_SHARE = 1e-12
"""Eigenvalues below this are rounding: 1e-16 of them would add 1e-8 each at order 0.5."""
_RANK_TOLERANCE = 1e-8
"""Of the largest eigenvalue: what counts as none at order 0."""


def vendi_score(embeddings_NE: np.ndarray, order: float = 1.0) -> float:
    """Return the Vendi score of texts under the cosine of their embeddings.

    Args:
        embeddings_NE: shape (N, E); blank texts may be rows of NaN, see `rlkit.diversity.cosine`.
        order: q >= 0. Small ones count rare kinds of texts, large ones the dominant kinds only; 0 is the rank, 1 the
            original score, inf one over the largest eigenvalue.

    Returns:
        Range [1, N], non-increasing in the order; NaN below two texts.

    Raises:
        ConfigError: the order is negative or NaN, or not one row a text.
    """
    unit_NE = place_on_sphere(embeddings_NE)
    # Both products have the same non-zero eigenvalues.
    product = unit_NE @ unit_NE.T if unit_NE.shape[0] <= unit_NE.shape[1] else unit_NE.T @ unit_NE
    return float(_scores(product, len(unit_NE), [order])[0])


def vendi_scores_of_kernels(
    kernels_BNN: np.ndarray, orders: Sequence[float], *, are_checked: bool = False
) -> np.ndarray:
    """Return the Vendi scores of similarity matrices of one size, float64 of shape (..., len(orders)).

    Args:
        kernels_BNN: shape (..., N, N), positive semi-definite with ones on the diagonal.
        orders: as for `vendi_score`. Where 2 is the only one, nothing is decomposed: it is `N^2 / |K|_F^2`.
        are_checked: whether the matrices are known to be as above, which takes as long to find out as the rest.

    Raises:
        ConfigError: an order is negative or NaN, or matrices are not square, not symmetric or of another diagonal.
    """
    kernels_BNN = np.asarray(kernels_BNN, dtype=np.float64)
    if not are_checked:
        _check_kernels(kernels_BNN)
    return _scores(kernels_BNN, kernels_BNN.shape[-1], orders)


def _check_kernels(kernels_BNN: np.ndarray) -> None:
    if kernels_BNN.ndim < 2 or kernels_BNN.shape[-1] != kernels_BNN.shape[-2]:
        raise ConfigError(f"Similarities have shape {kernels_BNN.shape}; write square matrices, shape (..., N, N).")
    diagonals = np.diagonal(kernels_BNN, axis1=-2, axis2=-1)
    if not np.allclose(diagonals, 1.0, atol=1e-6) or not np.allclose(kernels_BNN, kernels_BNN.swapaxes(-1, -2)):
        raise ConfigError(
            "Similarities must be symmetric and 1 on the diagonal; divide them by those of a text itself."
        )


def _scores(products: np.ndarray, num_texts: int, orders: Sequence[float]) -> np.ndarray:
    for order in orders:
        if not order >= 0:
            raise ConfigError(f"The order of a Vendi score must be 0 or more, but {order} was given.")
    if num_texts < 2:
        return np.full((*products.shape[:-2], len(orders)), np.nan)
    decomposed = any(order != 2 for order in orders)
    shares = _spectrum(products / num_texts) if decomposed else np.empty(0)
    squares = np.sum((products / num_texts) ** 2, axis=(-2, -1))
    return np.stack([1.0 / squares if order == 2 else _hill(shares, order) for order in orders], axis=-1)


def _spectrum(densities: np.ndarray) -> np.ndarray:
    """Return eigenvalues >= 0 that sum to 1, those that are rounding set to 0."""
    eigenvalues = np.clip(np.linalg.eigvalsh(densities), 0.0, None)
    eigenvalues /= eigenvalues.sum(axis=-1, keepdims=True)
    return np.where(eigenvalues < _SMALLEST_SHARE, 0.0, eigenvalues)


def _hill(shares: np.ndarray, order: float) -> np.ndarray:
    largest = shares.max(axis=-1, keepdims=True)
    if order == 0:
        return np.asarray((shares > _RANK_TOLERANCE * largest).sum(axis=-1), dtype=np.float64)
    if order == 1:
        return np.exp(-np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=-1))
    if math.isinf(order):
        return 1.0 / largest[..., 0]
    # Relative to the largest share, so that a large order does not underflow.
    log_sums = order * np.log(largest[..., 0]) + np.log(np.sum((shares / largest) ** order, axis=-1))
    return np.exp(log_sums / (1.0 - order))
