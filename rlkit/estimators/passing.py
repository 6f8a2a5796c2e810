"""pass@k: the probability that at least one of k samples of a problem is correct, estimated without bias.

Everything here is a function of three integers: n samples, c of them correct, k drawn. All values come from one running
sum in log space, so that neither tiny nor near-one probabilities lose digits (relative error < 1e-12 up to n = 8192).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CHUNK_ENTRIES = 1 << 21


def pass_at_k(num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike) -> float | FloatArray:
    """Return the unbiased estimate of pass@k, `1 - C(n-c, k) / C(n, k)`.

    Args:
        num_samples: n, scored samples per problem, integers >= 0.
        num_correct: c, correct ones among them, integers 0..n.
        k: budget, integers >= 1. The three broadcast against each other.

    Returns:
        A float for three scalars, else float64 of the broadcast shape. Range [0, 1]; NaN where k > n (also n = 0): with
        fewer than k samples the estimate does not exist, and an unsolved problem must not pass for a solved one.

    Raises:
        ConfigError: a count is not an integer, c < 0, c > n, n < 0 or k < 1.

    Source: Chen et al. 2021, https://arxiv.org/abs/2107.03374, section 2.1; their code returns 1.0 where k > n.
    """
    n, c, ks = _checked_counts(num_samples, num_correct, k)
    passed = -np.expm1(_log_failure(n, c, ks)) + 0.0
    return float(passed) if passed.ndim == 0 else passed


def pass_at_k_curve(num_samples: int, num_correct: ArrayLike) -> FloatArray:
    """Return pass@k for every k = 1..n at once.

    Args:
        num_samples: n, the same for all problems, an integer >= 1.
        num_correct: c per problem, integers 0..n, any shape S.

    Returns:
        float64 of shape S + (n,); entry `[..., k - 1]` is pass@k. Non-decreasing along the last axis.

    Raises:
        ConfigError: as `pass_at_k`, or n < 1.
    """
    n, c, _ = _checked_counts(num_samples, num_correct, 1)
    if n.ndim and not np.all(n == n.flat[0]):
        raise ConfigError("pass_at_k_curve takes one number of samples for all problems; use pass_at_k for several.")
    size = int(n.flat[0]) if n.size else 0
    if size < 1:
        raise ConfigError("pass_at_k_curve needs at least one sample a problem; num_samples was 0.")
    unique_c, index = np.unique(c, return_inverse=True)
    table = np.concatenate([block for _, block in _log_failure_rows(size, unique_c, size)])
    return (-np.expm1(table) + 0.0)[index.reshape(c.shape)]


def pass_at_k_variance(num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike) -> float | FloatArray:
    """Return an unbiased estimate of the sampling variance of `pass_at_k` on one problem.

    With f(k) = C(n-c, k) / C(n, k) the estimate is `f(k)**2 - f(2k)`, as f(2k) estimates the square of f(k)'s mean.

    Args:
        num_samples, num_correct, k: as for `pass_at_k`.

    Returns:
        Same shape as `pass_at_k`, >= 0; zero at c = 0 and c = n; NaN where 2k > n, where it does not exist.

    Raises:
        ConfigError: as `pass_at_k`.

    Source: Hoeffding 1948, "A class of statistics with asymptotically normal distribution", for the U-statistic of max.
    """
    n, c, ks = _checked_counts(num_samples, num_correct, k)
    variance = np.exp(2.0 * _log_failure(n, c, ks)) - np.exp(_log_failure(n, c, 2 * ks))
    variance = np.where(2 * ks > n, np.nan, np.maximum(variance, 0.0))
    return float(variance) if variance.ndim == 0 else variance


def _checked_counts(
    num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike
) -> tuple[IntArray, IntArray, IntArray]:
    named = {"num_samples": num_samples, "num_correct": num_correct, "k": k}
    n, c, ks = np.broadcast_arrays(*(_as_integers(word, value) for word, value in named.items()))
    if np.any(ks < 1):
        raise ConfigError(f"k must be at least 1, but {int(ks.min())} was given.")
    if np.any(c < 0) or np.any(n < 0):
        raise ConfigError("num_samples and num_correct are counts and cannot be negative.")
    if np.any(c > n):
        at = np.unravel_index(int(np.argmax(c - n)), c.shape)
        raise ConfigError(f"num_correct ({int(c[at])}) is larger than num_samples ({int(n[at])}).")
    return n, c, ks


def _as_integers(word: str, value: ArrayLike) -> IntArray:
    array = np.asarray(value)
    if array.dtype.kind not in "iubf" and array.size:
        raise ConfigError(f"{word} must be integers, but values of type {array.dtype} were given.")
    if array.dtype.kind == "f" and not np.all(np.isfinite(array) & (array == np.floor(array))):
        raise ConfigError(
            f"{word} must be whole numbers; count unscored samples apart instead of passing NaN or fractions."
        )
    return array.astype(np.int64)


def _log_failure(n: IntArray, c: IntArray, ks: IntArray) -> FloatArray:
    """Return log C(n-c, k) / C(n, k) elementwise, NaN where k > n, by one table for each distinct n."""
    result = np.full(n.shape, np.nan)
    for size in np.unique(n):
        chosen = (n == size) & (ks <= size)
        if chosen.any():
            result[chosen] = _log_failure_same_n(int(size), c[chosen], ks[chosen])
    return result


def _log_failure_same_n(n: int, c: IntArray, ks: IntArray) -> FloatArray:
    unique_c, row = np.unique(c, return_inverse=True)
    unique_k, column = np.unique(ks, return_inverse=True)
    table = np.empty((len(unique_c), len(unique_k)))
    for start, block in _log_failure_rows(n, unique_c, int(unique_k[-1])):
        table[start : start + len(block)] = block[:, unique_k - 1]
    return table[row.reshape(c.shape), column.reshape(c.shape)]


def _log_failure_rows(n: int, c: IntArray, k_max: int) -> Iterator[tuple[int, FloatArray]]:
    """Yield (first row, rows of log-failure for k = 1..k_max), so that memory stays bounded for large n.

    Drawing one by one without replacement, draw j + 1 misses with probability 1 - c / (n - j); the logs add up. Once
    the wrong ones are used up a miss is impossible: log1p(-1) = -inf, and it stays there.
    """
    remaining = n - np.arange(k_max)
    rows = max(1, _CHUNK_ENTRIES // max(1, k_max))
    for start in range(0, len(c), rows):
        hit = np.minimum(c[start : start + rows, None] / remaining, 1.0)
        with np.errstate(divide="ignore"):
            yield start, np.cumsum(np.log1p(-hit), axis=1)
