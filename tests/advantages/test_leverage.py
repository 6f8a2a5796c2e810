"""RepExp's bonus against the released code's numbers and explicit inverses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.advantages import AddEllipticalBonus, AddLeverageBonus, GroupContext, resolve
from rlkit.errors import ConfigError, MissingInputError

THREE = [[1, 0], [0.9, 0.1], [0, 1]]
FOUR = [[2, 0], [2, 0], [0, 2], [-1, -1]]


def shape(transform, embeddings, values):
    return transform(np.array([values], dtype=float), GroupContext(embeddings_PGE=np.array([embeddings], dtype=float)))[
        0
    ]


def bonus(embeddings, **params):
    return shape(AddLeverageBonus(coef=1.0, **params), embeddings, [1.0] * len(embeddings)) - 1


@pytest.mark.parametrize(
    ("embeddings", "ridge", "expected"),
    [
        (THREE, 0.01, [0.2198, 0.116258, 0.655767]),
        (THREE, 0.1, [0.204738, 0.108291, 0.610829]),
        (FOUR, 0.01, [0.24961, 0.24961, 0.748441, 0.748752]),
    ],
)
def test_worked_bonuses(embeddings, ridge, expected):
    np.testing.assert_allclose(bonus(embeddings, ridge=ridge), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("embeddings", "rewards", "expected"),
    [
        (THREE, [1, 1, 0], [0.57825, 0.576448, -1.154698]),
        (THREE, [1, 1, 1], [-0.38688, -0.748391, 1.135271]),
        (THREE, [0, 0, 0], [0, 0, 0]),
        (FOUR, [1, 1, 1, 0], [0.496657, 0.496657, 0.506667, -1.49998]),
        (FOUR, [1, 1, 1, 1], [-0.865725, -0.865725, 0.865185, 0.866265]),
    ],
)
def test_worked_advantages(embeddings, rewards, expected):
    np.testing.assert_allclose(shape(resolve("rep_exp"), embeddings, rewards), expected, atol=2e-6)


def test_with_a_small_ridge_all_but_copies_get_the_same_and_with_a_large_one_distance_counts():
    embeddings = np.random.default_rng(0).standard_normal((8, 32))
    embeddings[1] = embeddings[0]
    small, large = bonus(embeddings), bonus(embeddings, ridge=10.0)
    np.testing.assert_allclose(small[:2], 0.374846, atol=1e-6)
    assert (small[2:].min(), small[2:].max()) == pytest.approx((0.87448, 0.874785), abs=1e-6)
    np.testing.assert_allclose(large[:2], 0.277126, atol=1e-6)
    assert (large[2:].min(), large[2:].max()) == pytest.approx((0.568, 0.707), abs=1e-3)


def test_it_is_the_leave_one_out_form_over_one_more_than_it():
    left_out = {"coef": 1.0, "ridge": 0.01, "root": False, "unit": False}
    for embeddings in (THREE, FOUR):
        e = shape(AddEllipticalBonus(**left_out), embeddings, [0] * len(embeddings))
        np.testing.assert_allclose(bonus(embeddings), e / (1 + e), atol=1e-9)
    loo = shape(AddEllipticalBonus(**left_out), THREE, [0] * 3)
    np.testing.assert_allclose(loo, [0.281723, 0.131552, 1.905013], atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=1, max_size=8),
    st.sampled_from([0.01, 0.1, 3.0]),
    st.booleans(),
)
def test_it_equals_its_slow_twin(seed, rewards, ridge, centre):
    embeddings = np.random.default_rng(seed).normal(size=(len(rewards), 5)) * 2
    scored = [i for i, r in enumerate(rewards) if not math.isnan(r)]
    expected = list(rewards)
    if any(r == 1 for r in rewards):
        mean = embeddings[scored].mean(axis=0) if centre else np.zeros(5)
        matrix = ridge * np.eye(5)
        for j in scored:
            matrix += np.outer(embeddings[j] - mean, embeddings[j] - mean)
        for i in scored:
            expected[i] += 0.3 * (embeddings[i] - mean) @ np.linalg.inv(matrix) @ (embeddings[i] - mean)
    ours = shape(AddLeverageBonus(coef=0.3, ridge=ridge, centre=centre), embeddings, rewards)
    np.testing.assert_allclose(ours, expected, rtol=1e-7, atol=1e-9)


def test_it_is_off_where_nothing_is_correct_and_half_right_is_not_nothing():
    half = shape(AddLeverageBonus(coef=1.0), FOUR, [1, 1, -1, -1])
    np.testing.assert_allclose(half - [1, 1, -1, -1], bonus(FOUR))
    assert shape(AddLeverageBonus(coef=1.0), FOUR, [-1, -1, 0, -1]).tolist() == [-1, -1, 0, -1]
    judged = GroupContext(embeddings_PGE=np.array([FOUR], dtype=float), correct_PG=np.zeros((1, 4)))
    assert AddLeverageBonus()(np.full((1, 4), 0.3), judged).tolist() == [[0.3] * 4]
    np.testing.assert_allclose(AddLeverageBonus(coef=1, on_all_wrong=True)(np.zeros((1, 4)), judged)[0], bonus(FOUR))


def test_the_unembedded_keep_their_value_and_are_nobodys_siblings():
    embeddings = [*FOUR, [math.nan, 1], [0, 0]]
    result = shape(AddLeverageBonus(coef=1.0), embeddings, [1.0] * 6)
    np.testing.assert_allclose(result[:4] - 1, bonus(FOUR))
    assert result[4:].tolist() == [1, 1]


def test_what_it_asks_for():
    assert resolve("rep_exp").needs == {"embeddings_PGE"}
    with pytest.raises(MissingInputError, match=r"embeddings_PGE.*`embedding`"):
        resolve("rep_exp")(np.ones((1, 2)))
    for params, words in (({"ridge": 0}, "ridge=0"), ({"coef": math.inf}, "coef=inf"), ({"centre": 1}, "centre=1")):
        with pytest.raises(ConfigError, match=words):
            AddLeverageBonus(**params)
    assert AddLeverageBonus.makes == "rewards"
    assert resolve("rep_exp").min_group_size == 2
