"""Diversity of words: how many different n-grams texts hold, and how many they share. Sees the surface only.

Texts are split into words, or given as tokens; see `rlkit.diversity.ngram_table`. Everything here falls or grows with
the length and the number of texts: compare at equal numbers, and mind the lengths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlkit.diversity.ngram_table import Tokens, number_ngrams
from rlkit.parameters import check_count

DEFAULT_VOCABULARY = 50_257
"""The V of `expectation_adjusted_distinct` in Kirk et al. 2024 and Karouzos et al. 2026, GPT-2's."""
EAD_ORDERS = (1, 2, 3, 4, 5)
"""The n over which both average."""


def distinct_n(texts: Sequence[Tokens], n: int) -> float:
    """Return the share of distinct ones among all n-grams of the texts, in (0, 1].

    Falls with length, as words of a language repeat: never compare across lengths. N equal texts without repetition
    give 1 / N. NaN where there is no n-gram.

    Raises:
        ConfigError: n is not a whole number of at least 1.

    Source: Li et al. 2016, arXiv 1510.03055.
    """
    unique, total = _count_ngrams(texts, n)
    return unique / total if total else math.nan


def expectation_adjusted_distinct(
    texts: Sequence[Tokens], vocabulary_size: int = DEFAULT_VOCABULARY, orders: Sequence[int] = EAD_ORDERS
) -> float:
    """Return the distinct n-grams over those that as many uniform draws would give, averaged over the orders.

    `N / (V (1 - (1 - 1/V)**C))` with N distinct among C n-grams. Corrects the length bias of `distinct_n` where C is
    not small against V; for far smaller C the two are equal. May exceed 1. Orders without n-grams are left out; NaN
    where none has any.

    Args:
        texts: as in `distinct_n`.
        vocabulary_size: V, the same for all models that are compared, whatever their tokenizers.
        orders: the n to average over.

    Raises:
        ConfigError: V is not a whole number of at least 2, or an order is not one of at least 1.

    Source: Liu et al. 2022, arXiv 2202.13587. Karouzos et al. clip at 1, Kirk et al. do not, nor do we.
    """
    check_count("expectation_adjusted_distinct", "vocabulary_size", vocabulary_size, smallest=2)
    counts = [table.count(np.arange(len(texts))[None]) for table in number_ngrams(texts, orders).values()]
    unique_1O, totals_1O = np.stack(counts, axis=-1)
    return float(adjust_distinct(unique_1O, totals_1O, vocabulary_size)[0])


def adjust_distinct(unique_BO: np.ndarray, totals_BO: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Return `expectation_adjusted_distinct` from counts of n-grams, one row a set of texts, one column an order."""
    expected_BO = -vocabulary_size * np.expm1(totals_BO * math.log1p(-1.0 / vocabulary_size))
    ratios_BO = np.divide(unique_BO, expected_BO, out=np.zeros(unique_BO.shape), where=totals_BO > 0)
    num_orders_B = (totals_BO > 0).sum(axis=1)
    means_B = np.full(len(unique_BO), np.nan)
    return np.divide(ratios_BO.sum(axis=1), num_orders_B, out=means_B, where=num_orders_B > 0)


def _count_ngrams(texts: Sequence[Tokens], n: int) -> tuple[int, int]:
    unique_1, total_1 = number_ngrams(texts, [n])[n].count(np.arange(len(texts))[None])
    return int(unique_1[0]), int(total_1[0])
