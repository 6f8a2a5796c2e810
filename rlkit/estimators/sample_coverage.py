"""What a few samples say about the classes of the whole: corrections for classes that were not drawn.

`counts` is a vector with one entry a class. Plug-in entropy and the number of classes fall short of the truth, the more
so the fewer the samples; Simpson's index in its unbiased form does not.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError
from rlkit.estimators.classes import shannon_entropy


def simpson_index(counts: ArrayLike) -> float:
    """Return the chance that two different samples are of different classes, `1 - sum c (c - 1) / (n (n - 1))`.

    Unbiased for two fresh samples, so it compares runs with any numbers of samples. It is also the mean of DARLING's
    distinctness over the samples.

    Args:
        counts: shape (C,), integers >= 0.

    Returns:
        Range [0, 1]; NaN below two samples.

    Raises:
        ConfigError: a count is negative or no integer.

    Source: Simpson 1949, "Measurement of diversity", Nature 163.
    """
    counts_C = _checked(counts)
    pairs = int(counts_C.sum()) * (int(counts_C.sum()) - 1)
    return 1.0 - float((counts_C * (counts_C - 1)).sum()) / pairs if pairs else math.nan


def miller_madow_entropy(counts: ArrayLike) -> float:
    """Return the Shannon entropy in nats with the first-order correction of its bias, `H + (r - 1) / 2n`.

    NaN without samples; arguments and errors as for `simpson_index`.

    Source: Miller 1955, "Note on the bias of information estimates".
    """
    counts_C = _checked(counts)
    num_samples = int(counts_C.sum())
    return shannon_entropy(counts_C) + (int((counts_C > 0).sum()) - 1) / (2 * num_samples) if num_samples else math.nan


def chao1_classes(counts: ArrayLike) -> float:
    """Return a lower estimate of the number of classes there are, `r + f1 (f1 - 1) / (2 (f2 + 1))`.

    f1 and f2 count the classes drawn once and twice. NaN without samples; arguments and errors as for `simpson_index`.

    Source: Chao 1984, "Nonparametric estimation of the number of classes", in its bias-corrected form.
    """
    counts_C = _checked(counts)
    once, twice = int((counts_C == 1).sum()), int((counts_C == 2).sum())
    return int((counts_C > 0).sum()) + once * (once - 1) / (2 * (twice + 1)) if counts_C.sum() else math.nan


def good_turing_coverage(counts: ArrayLike) -> float:
    """Return the estimated probability of the classes that were drawn, `1 - f1 / n`; below 1, more samples find more.

    NaN without samples; arguments and errors as for `simpson_index`.

    Source: Good 1953, "The population frequencies of species", Biometrika 40.
    """
    counts_C = _checked(counts)
    return 1.0 - float((counts_C == 1).sum() / counts_C.sum()) if counts_C.sum() else math.nan


def _checked(counts: ArrayLike) -> NDArray[np.int64]:
    counts_C = np.asarray(counts, dtype=np.float64)
    if not np.all((counts_C >= 0) & (counts_C == np.floor(counts_C)) & np.isfinite(counts_C)):
        raise ConfigError("Class counts must be whole numbers and not negative.")
    return counts_C.astype(np.int64)
