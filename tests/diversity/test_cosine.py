"""Mean cosines: the closed forms against loops over pairs, and the golden number."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity import HashedNgrams
from rlkit.diversity.cosine import mean_cosine_distance, mean_cross_cosine
from rlkit.errors import ConfigError

FOUR = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0.6, 0.8, 0]])
seeds = st.integers(0, 2**32 - 1)


def cosine(left, right):
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def test_golden_number():
    assert mean_cosine_distance(FOUR) == pytest.approx(0.5)


@given(seeds, st.integers(2, 8), st.integers(1, 6), st.integers(1, 5))
def test_closed_forms_are_means_over_pairs(seed, num, dims, others):
    rng = np.random.default_rng(seed)
    rows, more = rng.normal(size=(num, dims)), rng.normal(size=(others, dims))
    pairs = [cosine(a, b) for a, b in combinations(rows, 2)]
    assert mean_cosine_distance(rows) == pytest.approx(1 - np.mean(pairs), abs=1e-12)
    across = [cosine(a, b) for a, b in product(rows, more)]
    assert mean_cross_cosine(rows, more) == pytest.approx(np.mean(across), abs=1e-12)
    assert mean_cross_cosine(more, rows) == pytest.approx(mean_cross_cosine(rows, more), abs=1e-12)
    assert mean_cosine_distance(rng.permutation(rows)) == pytest.approx(mean_cosine_distance(rows), abs=1e-12)


def test_equal_opposite_and_blank_texts():
    assert mean_cosine_distance(np.tile([0.1, 0.7, 0.3], (9, 1))) == pytest.approx(0.0, abs=1e-12)
    assert mean_cosine_distance([[1.0, 0], [-2, 0]]) == pytest.approx(2.0)
    blank = np.full((2, 3), np.nan)
    assert mean_cosine_distance(blank) == 0.0
    # One of three pairs is equal, two have nothing in common.
    assert mean_cosine_distance(np.vstack([blank, FOUR[:1]])) == pytest.approx(2 / 3)
    assert mean_cross_cosine(blank, FOUR) == 0.0


def test_too_few_texts_are_undefined():
    assert math.isnan(mean_cosine_distance(FOUR[:1]))
    assert math.isnan(mean_cosine_distance(np.empty((0, 3))))
    assert math.isnan(mean_cross_cosine(FOUR, np.empty((0, 3))))


def test_unlike_texts_are_farther_apart_than_alike_ones():
    embedding = HashedNgrams()
    alike = embedding.embed(["3 + 5 [8] 8 * 2 [16]", "5 + 3 [8] 8 * 2 [16]"])
    unlike = embedding.embed(["3 + 5 [8] 8 * 2 [16]", "we try to divide first"])
    assert mean_cosine_distance(alike) < 0.5 < mean_cosine_distance(unlike)


def test_vectors_of_two_encoders_are_refused():
    with pytest.raises(ConfigError, match="one encoder"):
        mean_cross_cosine(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(ConfigError, match="one row a text"):
        mean_cosine_distance(np.ones(3))
