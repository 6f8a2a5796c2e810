"""DARLING's factor against its paper's and its code's numbers, and against a slow twin."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.advantages import GroupContext, MultiplyByDistinctness, resolve
from rlkit.errors import ConfigError, MissingInputError

REWARDS = np.array([[1.0, 1, 1, 0, 0, 1]])
LABELS = np.array([[0, 0, 1, 2, 2, 0]])
"""Classes of the pairs below under transitivity."""
EQUIVALENT = np.eye(6)[None].copy()
for _i, _j in [(0, 1), (1, 5), (3, 4)]:
    EQUIVALENT[0, [_i, _j], [_j, _i]] = 1
CONTEXT = GroupContext(labels_PG=LABELS, equivalent_PGG=EQUIVALENT, correct_PG=REWARDS)


@pytest.mark.parametrize(
    ("params", "factors"),
    [
        ({}, [0.6, 0.6, 1, 0.8, 0.8, 0.6]),
        ({"closure": "pairwise"}, [0.8, 0.6, 1, 0.8, 0.8, 0.8]),
        ({"closure": "pairwise", "floor": 0.0}, [0.8, 0.6, 1, 0.8, 0.8, 0.8]),
        ({"closure": "pairwise", "floor": 0.7}, [0.8, 0.7, 1, 0.8, 0.8, 0.8]),
        ({"among": "correct"}, [1 / 3, 1 / 3, 1, 1, 1, 1 / 3]),
        ({"among": "correct", "closure": "pairwise"}, [2 / 3, 1 / 3, 1, 1, 1, 2 / 3]),
    ],
    ids=str,
)
def test_factors_of_a_relation_that_is_not_transitive(params, factors):
    result = MultiplyByDistinctness(**params)(np.ones((1, 6)), CONTEXT)
    np.testing.assert_allclose(result[0], factors, atol=1e-12)


CENTRED = [0.133333, 0.133333, 0.533333, -0.466667, -0.466667, 0.133333]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"name": "multiply_by_distinctness"}, [0.6, 0.6, 1, 0, 0, 0.6]),
        ({"name": "darling"}, CENTRED),
        (
            [{"name": "darling"}, {"name": "divide_by_group_std", "ddof": 1, "eps": 1e-6}],
            [0.339031, 0.339031, 1.356124, -1.186608, -1.186608, 0.339031],
        ),
        ({"name": "darling", "closure": "pairwise"}, np.array([0.8, 0.6, 1, 0, 0, 0.8]) - 3.2 / 6),
        ({"name": "multiply_by_distinctness", "among": "correct"}, [1 / 3, 1 / 3, 1, 0, 0, 1 / 3]),
        ({"name": "darling", "among": "correct"}, [0, 0, 0.666667, -0.333333, -0.333333, 0]),
    ],
    ids=str,
)
def test_worked_numbers(spec, expected):
    np.testing.assert_allclose(resolve(spec)(REWARDS, CONTEXT)[0], expected, atol=1e-5)


@pytest.mark.parametrize("closure", ["union_find", "pairwise"])
def test_figure_of_the_paper(closure):
    ctx = GroupContext(labels_PG=np.array([[0, 1, 0, 2]]))
    factors = MultiplyByDistinctness(closure=closure)(np.ones((1, 4)), ctx)[0]
    np.testing.assert_allclose(factors, [2 / 3, 1, 2 / 3, 1])
    advantages = resolve({"name": "darling", "closure": closure})(np.ones((1, 4)), ctx)[0]
    np.testing.assert_allclose(advantages, [-1 / 6, 1 / 6, -1 / 6, 1 / 6])


def test_negative_rewards_favour_copies_until_they_are_shifted_to_start_at_zero():
    # Row by row: alike to all, to none, to one, to one. Judges that read pairs in order need not be symmetric.
    equivalent = np.array([[[1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]])
    ctx, rewards = GroupContext(equivalent_PGG=equivalent), np.array([[-2.0, -2, 1, 3]])
    transform = MultiplyByDistinctness(closure="pairwise")
    trap = transform(rewards, ctx)[0]
    np.testing.assert_allclose(trap, [-0.2, -2, 2 / 3, 2])
    assert trap[0] > trap[1], "of two equally bad answers the copy now looks better than the unique one"
    np.testing.assert_allclose(transform(rewards - rewards.min(), ctx)[0], [0, 0, 2, 10 / 3])


def test_one_false_match_costs_less_without_closure():
    labels = np.zeros((1, 4))  # two classes of two, merged by a single false edge
    equivalent = np.array([[[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]])
    ctx = GroupContext(labels_PG=labels, equivalent_PGG=equivalent)
    assert MultiplyByDistinctness()(np.ones((1, 4)), ctx).tolist() == [[0.1] * 4]
    pairwise = MultiplyByDistinctness(closure="pairwise")(np.ones((1, 4)), ctx)[0]
    np.testing.assert_allclose(pairwise, [2 / 3, 1 / 3, 1 / 3, 2 / 3])


@pytest.mark.parametrize(("lone_correct", "expected"), [(1.0, 1.0), (0.1, 0.1), (0.0, 0.0)])
@pytest.mark.parametrize("closure", ["union_find", "pairwise"])
def test_a_lone_correct_answer_is_worth_what_is_asked(closure, lone_correct, expected):
    transform = MultiplyByDistinctness(among="correct", closure=closure, lone_correct=lone_correct)
    values = np.array([[1.0, 0, 0], [1.0, 1, 0]])
    ctx = GroupContext(labels_PG=np.array([[0, 0, 1], [0, 1, 1]]), correct_PG=values)
    assert transform(values, ctx).tolist() == [[expected, 0, 0], [1, 1, 0]]
    preset = resolve({"name": "darling", "among": "correct", "closure": closure, "lone_correct": lone_correct})
    assert preset.transforms[0] == transform


def test_a_wrong_sibling_does_not_make_two_correct_ones_the_same():
    # 0 and 1 are unlike each other and both like the wrong 2, which the closure of all three makes one class.
    relation = np.array([[[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]]])
    rewards = np.array([[1.0, 1, 0, 1]])
    ctx = GroupContext(labels_PG=np.array([[0, 0, 0, 1]]), equivalent_PGG=relation, correct_PG=rewards)
    assert MultiplyByDistinctness(among="correct")(rewards, ctx).tolist() == [[1, 1, 0, 1]]
    assert MultiplyByDistinctness(among="all")(rewards, ctx).tolist() == [[1 / 3, 1 / 3, 0, 1]]
    # A correct one in its place does join them.
    all_right = dataclasses.replace(ctx, correct_PG=np.ones((1, 4)))
    joined = MultiplyByDistinctness(among="correct")(np.ones((1, 4)), all_right)
    np.testing.assert_allclose(joined, [[1 / 3, 1 / 3, 1 / 3, 1]])


def test_a_partition_that_closes_more_strictly_is_followed_among_correct_ones():
    relation = np.array([[[1, 1, 0], [1, 1, 1], [0, 1, 1]]])
    ctx = GroupContext(labels_PG=np.array([[0, 0, 1]]), equivalent_PGG=relation, correct_PG=np.ones((1, 3)))
    assert MultiplyByDistinctness(among="correct")(np.ones((1, 3)), ctx).tolist() == [[0.5, 0.5, 1]]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([1.0, 0.0, math.nan]), min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_among_correct_equals_the_group_of_correct_ones_alone(rewards, rng):
    size = len(rewards)
    relation = [[i == j for j in range(size)] for i in range(size)]
    for i in range(size):
        for j in range(i):
            relation[i][j] = relation[j][i] = rng.random() < 0.3
    labels = [row.index(True) for row in close(relation)]
    ctx = GroupContext(
        labels_PG=np.array([labels]), equivalent_PGG=np.array([relation]), correct_PG=np.array([rewards])
    )
    ours = MultiplyByDistinctness(among="correct")(np.array([rewards]), ctx)[0]
    right = [i for i, r in enumerate(rewards) if r == 1]
    closed = close([[relation[i][j] for j in right] for i in right])
    for place, i in enumerate(right):
        alone = slow_factor(place, range(len(right)), closed, 0.1)
        assert ours[i] == pytest.approx(1.0 if len(right) == 1 else alone)


def slow_factor(i, scored, relation, floor):
    others = [j for j in scored if j != i]
    if not others:
        return math.nan
    return max(sum(not relation[i][j] for j in others) / len(others), floor)


def close(relation):
    """Return the transitive closure, by Warshall's loops."""
    reached = [list(row) for row in relation]
    for via in range(len(reached)):
        for i in range(len(reached)):
            for j in range(len(reached)):
                reached[i][j] = reached[i][j] or (reached[i][via] and reached[via][j])
    return reached


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([1.0, 0.0, 0.5, math.nan]), min_size=1, max_size=7),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.randoms(use_true_random=False),
)
def test_both_closures_equal_their_slow_twins(rewards, floor, rng):
    size = len(rewards)
    relation = [[i == j for j in range(size)] for i in range(size)]
    for i in range(size):
        for j in range(i):
            relation[i][j] = relation[j][i] = rng.random() < 0.3
    closed = close(relation)
    labels = [row.index(True) for row in closed]
    ctx = GroupContext(labels_PG=np.array([labels]), equivalent_PGG=np.array([relation]))
    scored = [i for i, r in enumerate(rewards) if not math.isnan(r)]
    for closure, twin in (("union_find", closed), ("pairwise", relation)):
        ours = MultiplyByDistinctness(floor=floor, closure=closure)(np.array([rewards]), ctx)[0]
        expected = [r * slow_factor(i, scored, twin, floor) for i, r in enumerate(rewards)]
        np.testing.assert_allclose(ours, expected, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=8))
def test_closures_agree_where_the_relation_is_transitive(labels):
    labels_PG = np.array([labels])
    ctx = GroupContext(labels_PG=labels_PG, equivalent_PGG=labels_PG[:, :, None] == labels_PG[:, None, :])
    both = [
        MultiplyByDistinctness(closure=closure)(np.ones((1, len(labels))), ctx)
        for closure in ("union_find", "pairwise")
    ]
    np.testing.assert_array_equal(*both)


def test_each_closure_asks_for_its_own_relation():
    assert resolve({"name": "darling"}).needs == {"labels_PG"}
    assert resolve({"name": "darling", "closure": "pairwise"}).needs == {"equivalent_PGG"}
    both = resolve({"name": "darling", "closure": "pairwise", "among": "correct"})
    assert both.needs == {"equivalent_PGG", "correct_PG"}
    closed = resolve({"name": "darling", "among": "correct"})
    assert closed.needs == {"labels_PG", "equivalent_PGG", "correct_PG"}
    with pytest.raises(MissingInputError, match=r"equivalent_PGG.*`partition`"):
        MultiplyByDistinctness(closure="pairwise")(REWARDS)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"floor": -0.1}, r"floor=-0\.1"),
        ({"floor": math.nan}, "floor=nan"),
        ({"floor": True}, "floor=True"),
        ({"floor": "0.1"}, "floor='0.1'"),
        ({"floor": None}, "floor=None"),
        ({"among": "right"}, "Allowed: all, correct"),
        ({"closure": "transitive"}, "Allowed: pairwise, union_find"),
        ({"lone_correct": 2, "among": "correct"}, "lone_correct=2"),
        ({"lone_correct": math.nan, "among": "correct"}, "lone_correct=nan"),
        ({"lone_correct": 0.1}, "among: correct"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_with_a_sentence(params, words):
    with pytest.raises(ConfigError, match=words):
        MultiplyByDistinctness(**params)
