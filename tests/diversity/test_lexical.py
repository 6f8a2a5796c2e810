"""Counts of n-grams: golden numbers, a slow twin with sets of tuples, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity.lexical import (
    distinct_n,
    expectation_adjusted_distinct,
)
from rlkit.diversity.ngram_table import number_ngrams, split_words
from rlkit.errors import ConfigError

CATS = ["the cat sat on the mat", "the cat sat on a mat", "a dog ran in the park"]
some_texts = st.lists(st.lists(st.sampled_from("abc"), max_size=7), min_size=1, max_size=5)


def grams_of(tokens, n):
    return [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]


def test_golden_numbers():
    shares = [distinct_n(CATS, n) for n in range(1, 6)]
    assert shares == pytest.approx([10 / 18, 12 / 15, 10 / 12, 8 / 9, 1.0])
    assert np.mean(shares) == pytest.approx(0.8155555556)
    adjusted = [expectation_adjusted_distinct(CATS, orders=[n]) for n in range(1, 6)]
    assert adjusted == pytest.approx([0.55564952, 0.80011143, 0.83342454, 0.88895964, 1.00004975], abs=5e-9)
    assert expectation_adjusted_distinct(CATS) == pytest.approx(0.8156389751)
    assert expectation_adjusted_distinct(CATS, vocabulary_size=10, orders=[1]) == pytest.approx(1.1766, abs=5e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_equal_texts_give_one_over_their_number(n):
    assert distinct_n(["one two three four"] * 4, n) == 0.25


@given(some_texts, st.integers(1, 5))
def test_counts_equal_those_of_sets_of_tuples(texts, n):
    every = [gram for tokens in texts for gram in grams_of(tokens, n)]
    expected = len(set(every)) / len(every) if every else math.nan
    assert distinct_n(texts, n) == pytest.approx(expected, nan_ok=True)


@given(some_texts, st.randoms())
def test_order_of_texts_changes_nothing(texts, random):
    shuffled = random.sample(texts, len(texts))
    for measure in (lambda t: distinct_n(t, 2), expectation_adjusted_distinct):
        assert measure(shuffled) == pytest.approx(measure(texts), nan_ok=True)


@given(some_texts)
def test_blocks_are_counted_as_if_alone(texts):
    texts = [*texts, *texts, ["a", "b"]]
    blocks = np.arange(len(texts) // 2 * 2).reshape(-1, 2)
    unique, totals = number_ngrams(texts, [2])[2].count(blocks)
    for block, distinct, total in zip(blocks, unique, totals, strict=True):
        alone = [gram for at in block for gram in grams_of(texts[at], 2)]
        assert (distinct, total) == (len(set(alone)), len(alone))


def test_words_ids_and_spacing():
    assert split_words("The  CAT\nsat") == ["the", "cat", "sat"]
    assert split_words(" \n") == []
    assert split_words("<empty>") == ["<empty>"]
    assert distinct_n(["The cat", "the  CAT"], 1) == 0.5
    assert distinct_n([[7, 7], [9, 7]], 1) == 0.5


def test_no_ngrams_are_undefined_never_zero_or_one():
    for texts in ([], [""], ["", " "], ["word"]):
        assert math.isnan(distinct_n(texts, 2))
    assert math.isnan(expectation_adjusted_distinct(["", ""]))
    assert math.isnan(expectation_adjusted_distinct([]))
    assert expectation_adjusted_distinct(["word"]) == pytest.approx(1.0)


def test_small_texts_need_no_adjustment_and_large_ones_much():
    words = [str(number % 1000) for number in range(5000)]
    assert expectation_adjusted_distinct([words[:900]], 10**9, [1]) == pytest.approx(distinct_n([words[:900]], 1))
    # Every word of a vocabulary of a thousand was used, and five thousand draws would hardly have missed one.
    assert expectation_adjusted_distinct([words], 1000, [1]) == pytest.approx(1 / (1 - 0.999**5000))


def test_one_text_instead_of_several_and_wrong_orders_are_refused():
    with pytest.raises(ConfigError, match="list of texts"):
        distinct_n("the cat", 1)
    with pytest.raises(ConfigError, match="n=0"):
        distinct_n(CATS, 0)
    with pytest.raises(ConfigError, match="vocabulary_size=1"):
        expectation_adjusted_distinct(CATS, 1)
