"""Token values of many completions (entropies, log-probs) summed up: by token, by completion, by position, by size.

A profile is one array a completion, of its own length. Means over tokens and over completions differ as soon as lengths
do: long completions decide the first, and count like any other in the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

FloatArray = NDArray[np.float64]

FORKING_NATS = 1.0
"""Above this entropy a token counts as a fork: the model chooses between at least e equally likely ways on."""


def token_mean(profiles: Sequence[ArrayLike]) -> float:
    """Return the mean over all tokens of all completions; NaN when there is no token."""
    values_N = _joined(profiles)
    return float(values_N.mean()) if len(values_N) else math.nan


def sequence_mean(profiles: Sequence[ArrayLike]) -> float:
    """Return the mean over completions of each one's mean; completions without tokens are left out, NaN if all are."""
    return token_mean([[token_mean([profile])] for profile in profiles if np.size(profile)])


def share_above(profiles: Sequence[ArrayLike], threshold: float = FORKING_NATS) -> float:
    """Return the share of tokens above a threshold, range [0, 1]: with entropies in nats, the forking tokens.

    Source of the notion: Wang et al. 2025, "Beyond the 80/20 rule", arXiv 2506.01939, which takes the top 20 % instead
    of a fixed threshold; a fixed one can be compared between checkpoints.
    """
    return token_mean([np.asarray(profile, dtype=np.float64) > threshold for profile in profiles])


def token_quantiles(profiles: Sequence[ArrayLike], levels: Sequence[float]) -> FloatArray:
    """Return quantiles over all tokens, shape of `levels` (each in [0, 1]); NaN when there is no token."""
    values_N = _joined(profiles)
    return np.asarray(np.quantile(values_N, levels)) if len(values_N) else np.full(len(levels), math.nan)


def position_means(profiles: Sequence[ArrayLike], edges: Sequence[int]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return the mean over tokens in each bucket of positions, and how many tokens that is.

    Args:
        profiles: one array a completion.
        edges: increasing positions, the first token being 0; bucket i holds edges[i] <= position < edges[i + 1].

    Returns:
        means of shape (len(edges) - 1,), NaN for an empty bucket, and counts of the same shape. Late buckets hold long
        completions only, so a trend over buckets is also a trend over kinds of completions.

    Raises:
        ConfigError: the edges do not increase.
    """
    if len(edges) < 2 or any(high <= low for low, high in pairwise(edges)):
        raise ConfigError(
            f"Positions {list(edges)} make no buckets; write at least two increasing edges, such as 0, 16."
        )
    values_N = _joined(profiles)
    positions_N = _joined([np.arange(np.size(profile)) for profile in profiles])
    inside_N = (positions_N >= edges[0]) & (positions_N < edges[-1])
    bucket_N = np.searchsorted(edges, positions_N[inside_N], side="right") - 1
    counts = np.bincount(bucket_N, minlength=len(edges) - 1)
    with np.errstate(invalid="ignore"):
        return np.bincount(bucket_N, weights=values_N[inside_N], minlength=len(edges) - 1) / counts, counts


def _joined(profiles: Sequence[ArrayLike]) -> FloatArray:
    arrays = [np.asarray(profile, dtype=np.float64).reshape(-1) for profile in profiles]
    return np.concatenate(arrays) if arrays else np.empty(0)
