"""Word n-grams of texts: how much of their surface two texts share."""

from __future__ import annotations

from collections import Counter

from rlkit.verifiers.normalisation import EMPTY_CLASS, normalise_text


def word_ngrams(text: str, n: int) -> list[str]:
    """Return the n-grams of words of a normalised text; a text of fewer than n words is one gram, a blank one none."""
    normalised = normalise_text(text)
    if normalised == EMPTY_CLASS:
        return []
    words = normalised.split()
    return [" ".join(words[start : start + n]) for start in range(max(len(words) - n + 1, 1))]


def overlap(left: Counter[int], right: Counter[int], measure: str) -> float:
    """Return how much two multisets share, in [0, 1]: `jaccard` of their sets, or `f1` counting repetitions.

    `f1` is 2 |common| / (|left| + |right|); of word counts it is ROUGE-1's F. Two empty ones share all, 1.
    """
    if measure == "jaccard":
        union = len(left.keys() | right.keys())
        return len(left.keys() & right.keys()) / union if union else 1.0
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 1.0
