"""Word n-grams of texts: how much of their surface two texts share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rlkit.parameters import check_count
from rlkit.verifiers.normalisation import EMPTY_CLASS, normalise_text


def word_ngrams(text: str, n: int) -> list[str]:
    """Return the n-grams of words of a normalised text; a text of fewer than n words is one gram, a blank one none."""
    normalised = normalise_text(text)
    if normalised == EMPTY_CLASS:
        return []
    words = normalised.split()
    return [" ".join(words[start : start + n]) for start in range(max(len(words) - n + 1, 1))]


def unique_ngram_share(texts: Sequence[str], n: int = 4) -> np.ndarray:
    """Return for each text the share of its distinct word n-grams that occur in none of the others.

    Float64 of shape (N,) in [0, 1]; NaN for blank texts; 1 for a text that is alone. A text of fewer than n words is
    one gram. DARLING (arXiv 2509.02534) multiplied rewards by such a share and found it hacked by switching languages
    and rambling on after the answer: cut texts with `cut_after_answer` first.

    Raises:
        ConfigError: n is not a whole number of at least 1.
    """
    check_count("unique_ngram_share", "n", n)
    grams_N = [set(word_ngrams(text, n)) for text in texts]
    holders = Counter(gram for grams in grams_N for gram in grams)
    shares = [sum(holders[gram] == 1 for gram in grams) / len(grams) if grams else np.nan for grams in grams_N]
    return np.array(shares, dtype=np.float64)


def overlap(left: Counter[int], right: Counter[int], measure: str) -> float:
    """Return how much two multisets share, in [0, 1]: `jaccard` of their sets, or `f1` counting repetitions.

    `f1` is 2 |common| / (|left| + |right|); of word counts it is ROUGE-1's F. Two empty ones share all, 1.
    """
    if measure == "jaccard":
        union = len(left.keys() | right.keys())
        return len(left.keys() & right.keys()) / union if union else 1.0
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 1.0
