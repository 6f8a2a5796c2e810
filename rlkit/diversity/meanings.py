"""Semantic entropy: how uncertain a model is about what it means, whatever the words."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from rlkit.errors import ConfigError
from rlkit.estimators import shannon_entropy


def semantic_entropy(labels_N: ArrayLike, mean_logps_N: ArrayLike | None = None) -> float:
    """Return the entropy in nats of the classes of one prompt's texts.

    Args:
        labels_N: the class of each text, from any partition, shape (N,).
        mean_logps_N: log-probability of each text over its number of tokens. With them a class weighs the sum of
            exp(mean log-prob) of its texts; without, their number (discrete semantic entropy).

    Returns:
        Range [0, ln C]; grows with the number of texts. NaN without texts, and where a log-prob is NaN or all are -inf.

    Raises:
        ConfigError: not one label and one log-prob a text, or a log-prob above 0.

    Source: Kuhn et al. 2023, arXiv 2302.09664; discrete and normalised: Farquhar et al. 2024, Nature 630. Their code
    exponentiates before it sums, which long texts with the sum of log-probs underflow; we sum in log space.
    """
    labels = np.asarray(labels_N)
    if labels.ndim != 1:
        raise ConfigError(f"Labels have shape {labels.shape}; write one a text.")
    _, numbers_N, counts_C = np.unique(labels, return_inverse=True, return_counts=True)
    if mean_logps_N is None:
        return shannon_entropy(counts_C)
    logps_N = np.asarray(mean_logps_N, dtype=np.float64)
    if logps_N.shape != labels.shape or np.any(logps_N > 0):
        raise ConfigError("Semantic entropy takes one mean log-prob, 0 or less, for each label.")
    # NaN fails the comparison, so one missing log-prob leaves the whole undefined.
    largest = logps_N.max() if len(logps_N) else math.nan
    if not largest > -math.inf:
        return math.nan
    return shannon_entropy(np.bincount(numbers_N, weights=np.exp(logps_N - largest), minlength=len(counts_C)))
