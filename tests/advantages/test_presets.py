"""Published chains against worked numbers and against slow twins written with plain loops."""

from __future__ import annotations

import math
import pickle
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.advantages import GroupContext, chain, resolve

SIX = np.array([[1.0, 1, 0, 0, 0, 0]])
DARLING_REWARDS = np.array([[1.0, 1, 1, 0, 0, 1]])
DARLING_LABELS = np.array([[0, 0, 1, 2, 2, 0]])  # equivalent pairs (0,1), (1,5), (3,4), closed under transitivity

GOLDEN = [
    ({"name": "grpo", "eps": 1e-6}, [1.290992, 1.290992, -0.645496, -0.645496, -0.645496, -0.645496]),
    ({"name": "grpo", "ddof": 0, "eps": 1e-6}, [1.414211, 1.414211, -0.707105, -0.707105, -0.707105, -0.707105]),
    ("dr_grpo", [0.666667, 0.666667, -0.333333, -0.333333, -0.333333, -0.333333]),
    ("rloo", [0.8, 0.8, -0.4, -0.4, -0.4, -0.4]),
    ("psr", [1, 1, 0, 0, 0, 0]),
    ("nsr", [0, 0, -1, -1, -1, -1]),
    ("w_reinforce", [0.1, 0.1, -1, -1, -1, -1]),
]


@pytest.mark.parametrize(("spec", "expected"), GOLDEN, ids=str)
def test_worked_numbers(spec, expected):
    np.testing.assert_allclose(resolve(spec)(SIX)[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("darling", [0.133333, 0.133333, 0.533333, -0.466667, -0.466667, 0.133333]),
        ({"name": "darling", "among": "correct"}, [0, 0, 0.666667, -0.333333, -0.333333, 0]),
        (
            [{"name": "multiply_by_distinctness"}, "subtract_group_mean", {"name": "divide_by_group_std", "eps": 1e-6}],
            [0.339031, 0.339031, 1.356124, -1.186608, -1.186608, 0.339031],
        ),
    ],
    ids=str,
)
def test_darling_worked_numbers(spec, expected):
    ctx = GroupContext(labels_PG=DARLING_LABELS, correct_PG=DARLING_REWARDS)
    np.testing.assert_allclose(resolve(spec)(DARLING_REWARDS, ctx)[0], expected, atol=1e-5)


def test_darling_figure_of_the_paper():
    ctx = GroupContext(labels_PG=np.array([[0, 1, 0, 2]]))
    np.testing.assert_allclose(resolve("darling")(np.ones((1, 4)), ctx)[0], [-1 / 6, 1 / 6, -1 / 6, 1 / 6], atol=1e-12)


def test_darling_floor_decides_what_a_collapsed_correct_answer_is_worth():
    rewards, ctx = np.array([[1.0, 1.0, 1.0, 1.0]]), GroupContext(labels_PG=np.zeros((1, 4)))
    factor = "multiply_by_distinctness"
    assert resolve({"name": factor, "floor": 0.1})(rewards, ctx).tolist() == [[0.1] * 4]
    assert resolve({"name": factor, "floor": 0})(rewards, ctx).tolist() == [[0.0] * 4]


def slow_darling(rewards, labels, floor):
    """DARLING's equation by loops, over the completions that were scored."""
    scored = [i for i, r in enumerate(rewards) if not math.isnan(r)]
    shaped = {}
    for i in scored:
        others = [j for j in scored if j != i]
        if others:
            shaped[i] = rewards[i] * max(sum(labels[j] != labels[i] for j in others) / len(others), floor)
    mean = statistics.fmean(shaped.values()) if shaped else math.nan
    return [shaped[i] - mean if i in shaped else math.nan for i in range(len(rewards))]


def slow_grpo(rewards):
    scored = [r for r in rewards if not math.isnan(r)]
    if len(scored) < 2:
        return [math.nan] * len(rewards)
    mean, std = statistics.fmean(scored), statistics.stdev(scored)
    return [(r - mean) / (std + 1e-4) for r in rewards]


def slow_rloo(rewards):
    result = []
    for i, r in enumerate(rewards):
        others = [x for j, x in enumerate(rewards) if j != i and not math.isnan(x)]
        result.append(math.nan if math.isnan(r) or not others else r - statistics.fmean(others))
    return result


groups = st.lists(st.sampled_from([0.0, 1.0, 0.5, math.nan]), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(groups, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.1, 0.5]))
def test_chains_equal_their_slow_twins(rewards, rng, floor):
    labels = [rng.randrange(3) for _ in rewards]
    values, ctx = np.array([rewards]), GroupContext(labels_PG=np.array([labels]))
    np.testing.assert_allclose(resolve("grpo")(values)[0], slow_grpo(rewards), atol=1e-9)
    np.testing.assert_allclose(resolve("rloo")(values)[0], slow_rloo(rewards), atol=1e-9)
    ours = resolve({"name": "darling", "floor": floor})(values, ctx)[0]
    np.testing.assert_allclose(ours, slow_darling(rewards, labels, floor), atol=1e-9)


ALL_PRESETS = ["grpo", "dr_grpo", "rloo", "psr", "nsr", "w_reinforce", "darling"]


@pytest.mark.parametrize("preset", ALL_PRESETS)
@settings(max_examples=30, deadline=None)
@given(rewards=st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=8), rng=st.randoms(use_true_random=False))
def test_order_inside_a_group_does_not_matter(preset, rewards, rng):
    labels = [rng.randrange(3) for _ in rewards]
    order = rng.sample(range(len(rewards)), len(rewards))
    algorithm, values, labels_PG = resolve(preset), np.array([rewards]), np.array([labels])
    straight = algorithm(values, GroupContext(labels_PG=labels_PG))
    shuffled = algorithm(values[:, order], GroupContext(labels_PG=labels_PG[:, order]))
    np.testing.assert_allclose(shuffled, straight[:, order], atol=1e-12)


@pytest.mark.parametrize("preset", ALL_PRESETS)
@pytest.mark.parametrize(
    "rewards",
    [[1.0] * 4, [0.0] * 4, [1.0], [math.nan] * 4, [math.nan, 1.0, 0.0, 1.0]],
    ids=["right", "wrong", "one", "none", "some"],
)
def test_edge_groups_give_finite_values_or_nan(preset, rewards):
    values = np.array([rewards])
    result = resolve(preset)(values, GroupContext(labels_PG=np.arange(len(rewards))[None]))
    assert not np.isinf(result).any()
    assert np.isnan(result[np.isnan(values)]).all()
    if preset in ("grpo", "dr_grpo", "rloo") and not np.isnan(values).any():
        assert np.abs(np.nan_to_num(result)).max() < 1e-12


@pytest.mark.parametrize("preset", ["grpo", "dr_grpo", "rloo"])
def test_centred_chains_ignore_a_constant_added_to_all_rewards(preset):
    np.testing.assert_allclose(resolve(preset)(SIX + 3), resolve(preset)(SIX), atol=1e-12)


@pytest.mark.parametrize("preset", ["grpo", "dr_grpo", "rloo"])
@pytest.mark.parametrize("reward", [0.1, 1 / 3, 1e9 + 0.1, -0.7])
def test_equal_rewards_give_exactly_zero(preset, reward):
    assert (resolve(preset)(np.full((2, 7), reward)) == 0).all()


def test_w_reinforce_meets_nsr_and_reinforce_at_its_limits():
    assert (resolve({"name": "w_reinforce", "positive": 0.0})(SIX) == resolve("nsr")(SIX)).all()
    np.testing.assert_allclose(resolve({"name": "w_reinforce", "positive": 1.0})(SIX), 2 * SIX - 1)


@pytest.mark.parametrize("preset", ALL_PRESETS)
def test_chains_are_data(preset):
    algorithm = resolve(preset)
    assert pickle.loads(pickle.dumps(algorithm)) == algorithm
    names = {type(each).__name__: type(each) for each in (algorithm, *algorithm.transforms)}
    assert eval(repr(algorithm), names) == algorithm


def test_kind_and_dtype_of_the_input_come_back():
    algorithm = chain("subtract_group_mean")
    assert algorithm(torch.ones(2, 3)).dtype == torch.float32
    assert algorithm(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert algorithm(np.ones((2, 3), dtype=np.float32)).dtype == np.float32
    assert algorithm(np.ones((2, 3), dtype=int)).dtype == np.float64


def test_every_transform_can_be_imported_from_the_package_under_its_recipe_name():
    import rlkit.advantages

    for where in rlkit.advantages.TRANSFORMS:
        name = where.partition(":")[2]
        given = {"limit": 1.0} if name == "ClipByAbs" else {}
        built = getattr(rlkit.advantages, name)(**given)
        assert resolve({"name": built.name, **given}).transforms == (built,)
    with pytest.raises(AttributeError, match="nothing called 'Nothing'"):
        _ = rlkit.advantages.Nothing
