"""Word n-grams: edges, and laws of overlap."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity.ngrams import overlap, word_ngrams

COUNTS = st.dictionaries(st.integers(0, 5), st.integers(1, 3)).map(Counter)


def test_a_text_of_too_few_words_is_one_gram():
    assert word_ngrams("a b c", 2) == ["a b", "b c"]
    assert word_ngrams("a b", 4) == ["a b"]
    assert word_ngrams(" ", 4) == []


@given(COUNTS, COUNTS)
def test_overlaps_are_shares_and_symmetric(left, right):
    for measure in ("jaccard", "f1"):
        value = overlap(left, right, measure)
        assert 0 <= value <= 1
        assert value == overlap(right, left, measure)
        assert overlap(left, left, measure) == 1


def test_overlaps_by_hand():
    left, right = Counter("aab"), Counter("abbc")
    assert overlap(left, right, "jaccard") == 2 / 3
    assert overlap(left, right, "f1") == 4 / 7
