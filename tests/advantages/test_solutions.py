"""Equal weight of each distinct correct solution: worked numbers, a slow twin, laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.advantages import EqualiseSolutions, GroupContext, resolve
from rlkit.errors import ConfigError, MissingInputError
from tests.advantages.test_distinctness import close


def weigh(labels, rewards=None, **params):
    rewards = [1.0] * len(labels) if rewards is None else rewards
    return EqualiseSolutions(**params)(np.array([rewards]), GroupContext(labels_PG=np.array([labels])))[0]


def test_each_solution_gets_the_same_in_all():
    np.testing.assert_allclose(weigh([0, 0, 0, 1]), [2 / 3, 2 / 3, 2 / 3, 2])
    np.testing.assert_allclose(weigh([0, 0, 0, 1, 2, 2], [1, 1, 1, 1, 0, 1]), [5 / 9] * 3 + [5 / 3, 0, 5 / 3])


@pytest.mark.parametrize(
    ("labels", "expected"), [([0, 0, 0, 1], [0.739614] * 3 + [1.781157]), ([3, 3, 1, 1], [1, 1, 1, 1])]
)
def test_worked_numbers_of_cue_grpos_power(labels, expected):
    np.testing.assert_allclose(weigh(labels, power=0.8), expected, atol=1e-6)


def test_worked_advantages():
    rewards, ctx = np.array([[1.0, 1, 1, 1, 0, 0, 0, 0]]), GroupContext(labels_PG=np.array([[0, 0, 0, 1, 0, 0, 2, 3]]))
    advantages = resolve({"name": "equal_solutions", "eps": 1e-9})(rewards, ctx)[0]
    each = math.sqrt(7 / 8)
    np.testing.assert_allclose(advantages, [each * 2 / 3] * 3 + [each * 2] + [-each] * 4)


def slow_twin(rewards, relation, power):
    right = [i for i, r in enumerate(rewards) if r == 1]
    closed = close([[relation[i][j] for j in right] for i in right])
    weights = [sum(row) ** -power for row in closed]
    result = list(rewards)
    for place, i in enumerate(right):
        result[i] = rewards[i] * weights[place] / (sum(weights) / len(weights))
    return result


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, 1.0, math.nan]), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.8, 1.0, 2.0]),
    st.randoms(use_true_random=False),
)
def test_it_equals_its_slow_twin_whatever_the_relation(rewards, power, rng):
    size = len(rewards)
    relation = [[i == j for j in range(size)] for i in range(size)]
    for i in range(size):
        for j in range(i):
            relation[i][j] = relation[j][i] = rng.random() < 0.3
    labels = [row.index(True) for row in close(relation)]
    ctx = GroupContext(labels_PG=np.array([labels]), equivalent_PGG=np.array([relation]))
    ours = EqualiseSolutions(power=power)(np.array([rewards]), ctx)[0]
    np.testing.assert_allclose(ours, slow_twin(rewards, relation, power), atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=9))
def test_the_mean_over_the_correct_ones_is_kept_and_classes_share_equally(group):
    labels, rewards = [label for label, _ in group], [float(right) for _, right in group]
    result = weigh(labels, rewards)
    assert result.sum() == pytest.approx(sum(rewards))
    totals = [
        sum(r for r, label in zip(result, labels, strict=True) if label == each)
        for each in {label for label, right in group if right}
    ]
    np.testing.assert_allclose(totals, totals[:1] * len(totals))


def test_a_wrong_sibling_joins_no_two_solutions():
    relation = np.array([[[1, 0, 1], [0, 1, 1], [1, 1, 1]]])
    ctx = GroupContext(labels_PG=np.zeros((1, 3)), equivalent_PGG=relation)
    assert EqualiseSolutions()(np.array([[1.0, 1, 0]]), ctx).tolist() == [[1, 1, 0]]
    assert EqualiseSolutions()(np.array([[1.0, 1, 1]]), ctx).tolist() == [[1, 1, 1]]
    four = np.array([[[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]]])
    ctx = GroupContext(labels_PG=np.array([[0, 0, 0, 1]]), equivalent_PGG=four)
    assert EqualiseSolutions()(np.array([[1.0, 1, 0, 1]]), ctx).tolist() == [[1, 1, 0, 1]]
    np.testing.assert_allclose(EqualiseSolutions()(np.ones((1, 4)), ctx), [[2 / 3, 2 / 3, 2 / 3, 2]])


def test_what_it_asks_for():
    assert resolve("equal_solutions").needs == {"labels_PG", "equivalent_PGG"}
    with pytest.raises(MissingInputError, match="`partition`"):
        resolve("equal_solutions")(np.ones((1, 2)))
    with pytest.raises(ConfigError, match="power=-1"):
        EqualiseSolutions(power=-1)
    assert EqualiseSolutions.makes == "rewards"
    assert resolve("equal_solutions").min_group_size == 2
