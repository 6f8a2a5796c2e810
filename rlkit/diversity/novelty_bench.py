"""Classes in the order of generation: NoveltyBench's distinct_k and utility_k, and DARLING's distinctness."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike

from rlkit.diversity.closure import label_by_first_seen
from rlkit.errors import ConfigError
from rlkit.parameters import check_number

REWARD_THRESHOLDS = (-7.71875, -6.28125, -6.0, -5.71875, -5.5, -5.0, -4.375, -3.4375, -2.046875)
"""Rewards of Skywork-Reward-Gemma-2-27B between which NoveltyBench's utilities 1 to 10 lie."""


def partition_by_first_member(equivalent_GG: ArrayLike) -> np.ndarray:
    """Return classes from judgements of pairs: in order, a text joins the first class whose FIRST member it equals.

    One judgement a class instead of one a pair, at the price that the outcome depends on the order; see `close_pairs`
    for closures that look at all. Integers of shape (G,) in first-seen order.

    Raises:
        ConfigError: not a square matrix.
    """
    judged_GG = np.asarray(equivalent_GG, dtype=bool)
    if judged_GG.ndim != 2 or judged_GG.shape[0] != judged_GG.shape[1]:
        raise ConfigError(f"Judgements of shape {judged_GG.shape} were given; write one row and column a text.")
    firsts: list[int] = []
    labels = []
    for place, row_G in enumerate(judged_GG):
        label = next((number for number, first in enumerate(firsts) if row_G[first]), len(firsts))
        if label == len(firsts):
            firsts.append(place)
        labels.append(label)
    return np.array(labels, dtype=np.int64)


def distinct_k(labels_G: ArrayLike) -> float:
    """Return the number of classes among the k texts of a prompt; NaN without texts.

    Depends on k and, as the classes may, on order: `rarefied_distinct` of the class counts compares different k.
    """
    labels = np.asarray(labels_G)
    return float(len(np.unique(labels))) if len(labels) else math.nan


def utility_k(labels_G: ArrayLike, utilities_G: ArrayLike, patience: float = 0.8) -> float:
    """Return the utility of k texts to a reader who goes on to the next with chance `patience` and wants no repeats.

    `(1 - p) / (1 - p^k) * sum_i p^(i-1) u_i` over the texts i that open a class. Depends on order by design.

    Args:
        labels_G: class of each text, in the order of generation.
        utilities_G: u of each text; NoveltyBench's are 1 to 10, see `utility_of_reward`.
        patience: p, between 0 and 1.

    Returns:
        Within the range of 0 and the utilities; NaN without texts, or where the utility of a counted text is NaN.

    Raises:
        ConfigError: patience out of range, or not one utility a label.

    Source: Zhang et al. 2025, NoveltyBench, arXiv 2504.05228.
    """
    check_number("utility_k", "patience", patience, above=0, below=1)
    labels, utilities = np.asarray(labels_G), np.asarray(utilities_G, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != utilities.shape:
        raise ConfigError(f"utility_k takes one utility a label, but shapes are {labels.shape} and {utilities.shape}.")
    if not len(labels):
        return math.nan
    opening = np.unique(labels, return_index=True)[1]
    total = float(np.sum(patience**opening * utilities[opening]))
    return total * (1.0 - patience) / (1.0 - patience ** len(labels))


def utility_of_reward(reward: float) -> float:
    """Return NoveltyBench's utility, 1 to 10, of a raw reward of Skywork-Reward-Gemma-2-27B; NaN of NaN."""
    return math.nan if math.isnan(reward) else float(bisect_left(REWARD_THRESHOLDS, reward) + 1)


def distinctness(labels_G: ArrayLike) -> np.ndarray:
    """Return for each text the share of the others that are of another class, float64 (G,) in [0, 1]; NaN for one text.

    Its mean is `simpson_diversity` of the class counts. As a reward it is floored: see the transform
    `multiply_by_distinctness`.

    Source: Li et al. 2025, DARLING, arXiv 2509.02534, equation 4.
    """
    labels = label_by_first_seen(np.asarray(labels_G).tolist())
    if len(labels) < 2:
        return np.full(len(labels), np.nan)
    sizes_G = np.bincount(labels)[labels]
    return (len(labels) - sizes_G) / (len(labels) - 1.0)
