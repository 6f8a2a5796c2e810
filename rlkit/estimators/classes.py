"""Diversity of one problem's samples from how often each class (answer, canonical solution) occurred.

`counts` is always a vector with one entry a class. Plug-in entropy and Hill numbers grow with the number of samples:
compare them at equal sample sizes only. `rarefied_distinct` and `simpson_diversity` are free of that bias.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.estimators.draws import as_integers
from rlkit.estimators.passing import pass_at_k


def shannon_entropy(counts: ArrayLike) -> float:
    """Return the plug-in Shannon entropy of the class frequencies, in nats.

    Args:
        counts: shape (C,), numbers >= 0; zeros are ignored.

    Returns:
        Range [0, ln C]; NaN when all counts are zero.
    """
    shares = _shares(counts)
    return float(-np.sum(shares * np.log(shares))) + 0.0 if len(shares) else math.nan


def hill_number(counts: ArrayLike, order: float) -> float:
    """Return the effective number of classes of the given order.

    Args:
        counts: shape (C,), numbers >= 0; zeros are ignored.
        order: q >= 0. 0 counts classes, 1 is exp(entropy), 2 the inverse chance that two draws agree, inf sees only the
            largest class.

    Returns:
        Range [1, C], non-increasing in the order; NaN when all counts are zero.

    Raises:
        ConfigError: the order is negative or NaN.

    Source: Hill 1973, "Diversity and evenness: a unifying notation and its consequences", Ecology 54.
    """
    if not order >= 0:
        raise ConfigError(f"The order of a Hill number must be 0 or more, but {order} was given.")
    shares = _shares(counts)
    if not len(shares):
        return math.nan
    if order == 1:
        return math.exp(shannon_entropy(shares))
    if math.isinf(order):
        return float(1.0 / shares.max())
    return float(np.sum(shares**order) ** (1.0 / (1.0 - order)))


def rarefied_distinct(counts: ArrayLike, k: ArrayLike, num_samples: int | None = None) -> float | NDArray[np.float64]:
    """Return the expected number of distinct classes among k samples drawn without replacement.

    Unbiased for k fresh samples, hence comparable between runs with different numbers of samples.

    Args:
        counts: shape (C,), integers >= 0, samples of each class that counts.
        k: budget, integers >= 1, any shape.
        num_samples: all samples drawn, those of no class included (e.g. wrong ones, where classes are correct
            solutions); the sum of the counts when not given.

    Returns:
        Shape of k; range [0, min(C, k)]; NaN where k exceeds the number of samples.

    Raises:
        ConfigError: counts exceed `num_samples`, are no integers, or k < 1.

    Source: Hurlbert 1971, "The nonconcept of species diversity", Ecology 52, equation 7.
    """
    counts_C = np.asarray(counts)
    total = int(counts_C.sum()) if num_samples is None else num_samples
    if counts_C.sum() > total:
        raise ConfigError(f"The classes hold {int(counts_C.sum())} samples, more than num_samples ({total}).")
    ks = np.asarray(k)
    # Without any class the sum below is empty; the broadcast zero class keeps shape, checks and NaN where k > n.
    counts_C = np.append(counts_C, 0)
    distinct = np.sum(pass_at_k(total, counts_C, ks[..., None]), axis=-1)
    return float(distinct) if np.ndim(distinct) == 0 else distinct


def simpson_diversity(counts: ArrayLike) -> float:
    """Return the unbiased chance that two samples are of different classes, `1 - sum c (c-1) / (n (n-1))`.

    Free of the number of samples, and the mean distinctness of DARLING (arXiv 2509.02534).

    Args:
        counts: shape (C,), integers >= 0.

    Returns:
        Range [0, 1]; NaN for fewer than two samples.

    Source: Simpson 1949, "Measurement of diversity", Nature 163.
    """
    sizes = _sizes(counts)
    total = int(sizes.sum())
    return 1.0 - float(np.sum(sizes * (sizes - 1))) / (total * (total - 1)) if total > 1 else math.nan


def chao1(counts: ArrayLike) -> float:
    """Return a lower bound of the number of classes, the unseen ones included: C + f1 (f1 - 1) / (2 (f2 + 1)).

    f1 and f2 are the numbers of classes seen once and twice; this is the bias-corrected form, finite for f2 = 0.

    Args:
        counts: shape (C,), integers >= 0.

    Returns:
        Range [C, inf); NaN when all counts are zero.

    Source: Chao 1984, "Nonparametric estimation of the number of classes in a population".
    """
    sizes = _sizes(counts)
    once, twice = int((sizes == 1).sum()), int((sizes == 2).sum())
    return len(sizes) + once * (once - 1) / (2 * (twice + 1)) if len(sizes) else math.nan


def good_turing_coverage(counts: ArrayLike) -> float:
    """Return the estimated probability that the next sample is of a class already seen, `1 - f1 / n`.

    Args:
        counts: shape (C,), integers >= 0.

    Returns:
        Range [0, 1]; NaN when all counts are zero.

    Source: Good 1953, "The population frequencies of species and the estimation of population parameters".
    """
    sizes = _sizes(counts)
    return 1.0 - int((sizes == 1).sum()) / int(sizes.sum()) if len(sizes) else math.nan


def _sizes(counts: ArrayLike) -> NDArray[np.int64]:
    values = as_integers("counts", counts)
    if np.any(values < 0):
        raise ConfigError("Class counts must be finite and not negative.")
    return values[values > 0]


def _shares(counts: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(counts, dtype=np.float64)
    if np.any(~np.isfinite(values)) or np.any(values < 0):
        raise ConfigError("Class counts must be finite and not negative.")
    positive = values[values > 0]
    return positive / positive.sum() if len(positive) else positive
