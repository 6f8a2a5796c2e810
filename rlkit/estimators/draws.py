"""Draws from urns: checked counts, and the log-probability that every one of k draws misses.

Without replacement (samples of a problem) the pool shrinks by one a draw; under a Beta posterior it grows by one a draw
(Polya's urn). Either way a draw misses with probability 1 - hits / pool, and the logs add up: one running sum gives all
k, and neither tiny nor near-one probabilities lose digits (relative error < 1e-12 up to n = 8192).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CHUNK_ENTRIES = 1 << 21


def checked_counts(num_samples: ArrayLike, num_correct: ArrayLike, k: ArrayLike) -> tuple[IntArray, IntArray, IntArray]:
    """Return n, c and k as integer arrays broadcast against each other.

    Raises:
        ConfigError: a count is not an integer, c < 0, c > n, n < 0 or k < 1.
    """
    named = {"num_samples": num_samples, "num_correct": num_correct, "k": k}
    n, c, ks = np.broadcast_arrays(*(as_integers(word, value) for word, value in named.items()))
    if np.any(ks < 1):
        raise ConfigError(f"k must be at least 1, but {int(ks.min())} was given.")
    if np.any(c < 0) or np.any(n < 0):
        raise ConfigError("num_samples and num_correct are counts and cannot be negative.")
    if np.any(c > n):
        at = np.unravel_index(int(np.argmax(c - n)), c.shape)
        raise ConfigError(f"num_correct ({int(c[at])}) is larger than num_samples ({int(n[at])}).")
    return n, c, ks


def as_integers(word: str, value: ArrayLike) -> IntArray:
    """Return whole numbers as int64; raises ConfigError for fractions, NaN and what is no number."""
    array = np.asarray(value)
    if array.dtype.kind not in "iubf" and array.size:
        raise ConfigError(f"{word} must be integers, but values of type {array.dtype} were given.")
    if array.dtype.kind == "f" and not np.all(np.isfinite(array) & (array == np.floor(array))):
        raise ConfigError(
            f"{word} must be whole numbers; count unscored samples apart instead of passing NaN or fractions."
        )
    return array.astype(np.int64)


def log_failure(n: IntArray, c: IntArray, ks: IntArray) -> FloatArray:
    """Return log C(n-c, k) / C(n, k), that k of n samples miss all c, elementwise; NaN where k > n.

    One table for each distinct n; the arrays are of one shape and have been checked.
    """
    result = np.full(n.shape, np.nan)
    for size in np.unique(n):
        chosen = (n == size) & (ks <= size)
        if chosen.any():
            result[chosen] = _log_failure_same_n(int(size), c[chosen], ks[chosen])
    return result


def log_miss_rows(hits: NDArray[Any], pool_K: NDArray[Any]) -> Iterator[tuple[int, FloatArray]]:
    """Yield (first row, log-probabilities that draws 1..k all miss, k = 1..K), a bounded block of rows at a time.

    Args:
        hits: what a draw may hit, one a row, shape (N,).
        pool_K: all that a draw may take, draw by draw. Once only hits are left a miss is impossible: log1p(-1) = -inf,
            and it stays there.
    """
    rows = max(1, _CHUNK_ENTRIES // max(1, len(pool_K)))
    for start in range(0, len(hits), rows):
        hit = np.minimum(hits[start : start + rows, None] / pool_K, 1.0)
        with np.errstate(divide="ignore"):
            yield start, np.cumsum(np.log1p(-hit), axis=1)


def _log_failure_same_n(n: int, c: IntArray, ks: IntArray) -> FloatArray:
    unique_c, row = np.unique(c, return_inverse=True)
    unique_k, column = np.unique(ks, return_inverse=True)
    table = np.empty((len(unique_c), len(unique_k)))
    for start, block in log_miss_rows(unique_c, n - np.arange(unique_k[-1])):
        table[start : start + len(block)] = block[:, unique_k - 1]
    return table[row.reshape(c.shape), column.reshape(c.shape)]
