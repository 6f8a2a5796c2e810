"""The Vendi score against golden numbers, its laws, and the package of its authors, also where that is wrong."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import vendi_score.vendi as peer
from hypothesis import given
from hypothesis import strategies as st

from rlkit.diversity.vendi import vendi_score, vendi_scores_of_kernels
from rlkit.errors import ConfigError
from rlkit.estimators import hill_number

FOUR = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0.6, 0.8, 0]])
ORDERS = [0, 0.1, 0.5, 1, 1.5, 2, 5, math.inf]
seeds = st.integers(0, 2**32 - 1)


def random_rows(seed: int, num: int, dims: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, dims))


def test_golden_numbers():
    expected = {0: 2, 0.1: 1.9906074609, 0.5: 1.9539392014, 1: 1.9106560009, 2: 1.8348623853, math.inf: 1.5384615385}
    for order, value in expected.items():
        assert vendi_score(FOUR, order) == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(vendi_scores_of_kernels(FOUR @ FOUR.T, [*expected]), [*expected.values()], atol=1e-9)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=10))
def test_of_equality_it_is_the_hill_number_of_the_classes(labels):
    labels = np.array(labels)
    counts = np.bincount(labels)
    scores = vendi_scores_of_kernels(labels[:, None] == labels[None, :], ORDERS)
    np.testing.assert_allclose(scores, [hill_number(counts, order) for order in ORDERS], rtol=1e-9)


@given(seeds, st.integers(2, 12), st.integers(1, 12))
def test_laws_on_random_texts(seed, num, dims):
    rows = random_rows(seed, num, dims)
    scores = [vendi_score(rows, order) for order in ORDERS]
    assert all(a >= b - 1e-9 for a, b in pairwise(scores))
    assert 1 - 1e-9 <= scores[-1] <= scores[0] <= min(num, dims) + 1e-9
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert vendi_score(rows, 2) == pytest.approx(num**2 / np.sum((unit @ unit.T) ** 2))
    # Of 2 alone nothing is decomposed; along with others it is the same number.
    (alone,) = vendi_scores_of_kernels(unit @ unit.T, [2])
    assert alone == pytest.approx(vendi_scores_of_kernels(unit @ unit.T, [2, 1])[0])
    shuffled = np.random.default_rng(seed).permutation(rows)
    assert [vendi_score(shuffled, order) for order in ORDERS] == pytest.approx(scores)
    assert [vendi_score(np.tile(rows, (3, 1)), order) for order in ORDERS] == pytest.approx(scores)
    assert [vendi_score(7 * rows, order) for order in ORDERS] == pytest.approx(scores)


@given(seeds, st.sampled_from([0.5, 1, 2, 3]))
def test_agrees_with_the_authors_package(seed, order):
    few, many = random_rows(seed, 4, 9), random_rows(seed, 30, 5)
    unit = few / np.linalg.norm(few, axis=1, keepdims=True)
    assert vendi_score(few, order) == pytest.approx(peer.score_K(unit @ unit.T, q=order))
    assert vendi_score(many, order) == pytest.approx(peer.score_dual(many, q=order))


def test_where_the_authors_package_is_wrong():
    # `score_X` passes on order 1, whatever was asked for.
    assert peer.score_X(FOUR, q=2) == pytest.approx(vendi_score(FOUR, 1))
    assert peer.score_X(FOUR, q=2) != pytest.approx(vendi_score(FOUR, 2))
    with pytest.raises(NameError):
        peer.intdiv(["a", "b"], lambda left, right: float(left == right))
    # One text has a score of 1 there, as copies have; here it has none.
    assert peer.score_K(np.ones((1, 1))) == pytest.approx(1.0)
    assert math.isnan(vendi_score(FOUR[:1]))


def test_batches_are_matrices_one_by_one():
    kernels = np.stack(
        [
            (unit := rows / np.linalg.norm(rows, axis=1, keepdims=True)) @ unit.T
            for rows in (random_rows(seed, 6, 4) for seed in range(5))
        ]
    )
    scores = vendi_scores_of_kernels(kernels.reshape(5, 1, 6, 6), ORDERS)
    assert scores.shape == (5, 1, len(ORDERS))
    for kernel, row in zip(kernels, scores[:, 0], strict=True):
        np.testing.assert_allclose(row, vendi_scores_of_kernels(kernel, ORDERS))


def test_rounding_adds_no_texts():
    rng = np.random.default_rng(0)
    copies = np.tile(rng.normal(size=(2, 300)), (50, 1))
    for order in ORDERS:
        assert vendi_score(copies, order) <= 2 + 1e-6
    assert vendi_score(np.ones((64, 512)), 0.5) == pytest.approx(1.0)
    assert vendi_score(np.eye(20), 80) == pytest.approx(20)


def test_blank_texts_are_one_kind_and_few_texts_undefined():
    rows = np.vstack([FOUR[:1], np.full((2, 3), np.nan), FOUR[2:3]])
    assert vendi_score(rows) == pytest.approx(hill_number([1, 2, 1], 1))
    assert vendi_score(np.full((3, 4), np.nan)) == pytest.approx(1.0)
    assert math.isnan(vendi_score(np.empty((0, 4))))
    assert np.isnan(vendi_scores_of_kernels(np.ones((7, 1, 1)), [1, 2])).all()


def test_what_is_no_order_and_no_similarity_is_refused():
    with pytest.raises(ConfigError, match="order"):
        vendi_score(FOUR, -1)
    with pytest.raises(ConfigError, match="order"):
        vendi_score(FOUR, math.nan)
    with pytest.raises(ConfigError, match="one row a text"):
        vendi_score(np.ones(3))
    with pytest.raises(ConfigError, match="square"):
        vendi_scores_of_kernels(np.ones((2, 3)), [1])
    with pytest.raises(ConfigError, match="diagonal"):
        vendi_scores_of_kernels(2 * np.eye(2), [1])
    with pytest.raises(ConfigError, match="symmetric"):
        vendi_scores_of_kernels([[1, 0.5], [0, 1]], [1])
