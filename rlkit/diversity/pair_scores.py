"""How well judgements of pairs agree with labels, and where to put the threshold."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rlkit.diversity.closure import false_merge_chance
from rlkit.diversity.contract import judge_pairs
from rlkit.diversity.pair_data import Pair
from rlkit.diversity.partitions import Partition
from rlkit.estimators import wilson_interval

Scores = dict[str, Any]
"""See `score_pairs`."""


def judge_each(partition: Partition, pairs: Sequence[Pair], progress: Callable[[str, int, int], None]) -> list[bool]:
    """Return what a partition says of each pair; every text is boiled down once."""
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.a, pair.b)))
    features: dict[str, Any] = {}
    for start in range(0, len(texts), 2048):
        progress("Reading texts", start, len(texts))
        block = texts[start : start + 2048]
        features |= zip(block, partition.features(block), strict=True)
    judged = []
    for number, pair in enumerate(pairs):
        if number % 100 == 0:
            progress("Judging pairs", number, len(pairs))
        judged.append(bool(judge_pairs(partition, [features[pair.a], features[pair.b]])[0, 1]))
    progress("Judging pairs", len(pairs), len(pairs))
    return judged


def score_pairs(judged_N: ArrayLike, same_N: ArrayLike, group_size: int = 8) -> Scores:
    """Compare judgements of pairs with their labels; "positive" means judged the same.

    Args:
        judged_N: bool, what the partition says.
        same_N: bool, the labels.
        group_size: G of `false_merge_chance`.

    Returns:
        The counts `num_pairs`, `true_same`, `false_same`, `true_different`, `false_different`; `share_same` of the
        labels; `accuracy`, `precision`, `recall` and `false_positive_rate`, each `{"value", "low", "high"}` with its
        95 % Wilson interval over pairs; and `false_merge`, likewise, the chance that a group of `group_size` answers
        that are all different loses any to a merge, from the false-positive rate and its limits. Undefined is None.
    """
    judged_N, same_N = np.asarray(judged_N, dtype=bool), np.asarray(same_N, dtype=bool)
    true_same, false_same = int((judged_N & same_N).sum()), int((judged_N & ~same_N).sum())
    false_different, true_different = int((~judged_N & same_N).sum()), int((~judged_N & ~same_N).sum())
    rate = _share_cell(false_same, false_same + true_different)
    return {
        "num_pairs": len(same_N),
        "true_same": true_same,
        "false_same": false_same,
        "true_different": true_different,
        "false_different": false_different,
        "share_same": float(same_N.mean()) if len(same_N) else None,
        "accuracy": _share_cell(true_same + true_different, len(same_N)),
        "precision": _share_cell(true_same, true_same + false_same),
        "recall": _share_cell(true_same, true_same + false_different),
        "false_positive_rate": rate,
        "false_merge": merge_cell(rate, group_size),
    }


def merge_cell(rate: Mapping[str, float | None], group_size: int) -> dict[str, float | None]:
    """Return the chance of a false merge for a false-positive rate and for its limits."""
    return {name: None if share is None else false_merge_chance(share, group_size) for name, share in rate.items()}


def _share_cell(count: int, total: int) -> dict[str, float | None]:
    if not total:
        return {"value": None, "low": None, "high": None}
    low, high = wilson_interval(total, count)
    return {"value": count / total, "low": float(low), "high": float(high)}


def calibrate_threshold(
    probabilities_N: ArrayLike, same_N: ArrayLike, group_size: int, max_false_merge: float
) -> float:
    """Return the threshold with the best accuracy among those that keep false merges rare.

    Candidates lie half-way between neighbouring probabilities, and half-way from 0 to the lowest and from the highest
    to 1. Of those whose false-positive rate on these pairs keeps `false_merge_chance` at or below `max_false_merge`,
    the most accurate is taken, of equally accurate ones the highest. There always is one below 1, unless a different
    pair has a probability of exactly 1; then it is 1. With `max_false_merge` of 1 it is the most accurate of all.

    Args:
        probabilities_N: P(same) of each pair.
        same_N: labels, bool, with both classes.
        group_size: G of the groups that will be partitioned.
        max_false_merge: in [0, 1].
    """
    probabilities_N, same_N = np.asarray(probabilities_N, dtype=np.float64), np.asarray(same_N, dtype=bool)
    values_U = np.unique(probabilities_N)
    candidates_U = (np.append(0.0, values_U) + np.append(values_U, 1.0)) / 2
    candidates_U = candidates_U[candidates_U > 0]
    same_below_U = np.searchsorted(np.sort(probabilities_N[same_N]), candidates_U)
    different_below_U = np.searchsorted(np.sort(probabilities_N[~same_N]), candidates_U)
    num_different = int((~same_N).sum())
    hits_U = different_below_U + same_N.sum() - same_below_U
    rates_U = (num_different - different_below_U) / num_different
    chances_U = np.array([false_merge_chance(rate, group_size) for rate in rates_U.tolist()])
    allowed_U = np.flatnonzero(chances_U <= max_false_merge)
    if not len(allowed_U):
        return 1.0
    # The last of the best: `argmax` gives the first.
    best = allowed_U[::-1][np.argmax(hits_U[allowed_U][::-1])]
    return float(candidates_U[best])


def calibration_error(probabilities_N: ArrayLike, same_N: ArrayLike, num_bins: int = 10) -> float:
    """Return the expected calibration error in [0, 1]: mean over pairs of |P(same) - share same| of their bin.

    Bins are of equal width (Guo et al. 2017, arXiv 1706.04599, eq. 5, there for the top class, here for "same").
    NaN without pairs.
    """
    probabilities_N, same_N = np.asarray(probabilities_N, dtype=np.float64), np.asarray(same_N, dtype=np.float64)
    if not len(probabilities_N):
        return math.nan
    bins_N = np.minimum((probabilities_N * num_bins).astype(int), num_bins - 1)
    gaps_C = np.bincount(bins_N, probabilities_N - same_N, num_bins)
    return float(np.abs(gaps_C).sum() / len(probabilities_N))


def pairs_needed(group_size: int, max_false_merge: float) -> int | None:
    """Return how many different pairs without one mistake put the upper limit of the false merges under the bound.

    From Wilson's upper limit at a count of 0, z^2 / (n + z^2). None where no number does, at a bound of 0, or where
    none is needed, for a single answer or a bound of 1.
    """
    num_links = group_size * (group_size - 1) / 2
    if not 0 < max_false_merge < 1 or num_links == 0:
        return None
    rate = 1.0 - (1.0 - max_false_merge) ** (1.0 / num_links)
    return math.ceil(statistics.NormalDist().inv_cdf(0.975) ** 2 * (1.0 / rate - 1.0))
