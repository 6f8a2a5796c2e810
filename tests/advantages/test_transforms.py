"""Single transforms, and what they say when something is missing or wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.advantages import (
    ClipByAbs,
    DivideByBatchStd,
    DivideByGroupStd,
    DropZeroVarianceGroups,
    GroupContext,
    MultiplyByDistinctness,
    SubtractBatchMean,
    WeightByCorrectness,
    chain,
    resolve,
)
from rlkit.errors import ConfigError, MissingInputError, PluginError

VALUES = np.array([[1.0, 0.0, math.nan, 4.0], [2.0, 2.0, 2.0, math.nan]])


def test_batch_mean_and_std_are_over_all_scored_values():
    flat = VALUES[~np.isnan(VALUES)]
    np.testing.assert_allclose(SubtractBatchMean()(VALUES), VALUES - flat.mean())
    np.testing.assert_allclose(DivideByBatchStd()(VALUES), VALUES / (flat.std(ddof=1) + 1e-4))


@pytest.mark.parametrize("reward", [0.1, 1 / 3, 1e9 + 0.1, -0.7])
def test_equal_rewards_centre_to_exactly_zero_over_the_batch(reward):
    assert (SubtractBatchMean()(np.full((3, 7), reward)) == 0).all()
    assert SubtractBatchMean()(np.ones((0, 4))).shape == (0, 4)
    assert np.isnan(SubtractBatchMean()(np.full((2, 2), math.nan))).all()


def test_batch_std_of_rewards_is_taken_before_the_chain_changes_them():
    result = chain("subtract_group_mean", {"name": "divide_by_batch_std", "take": "rewards"})(VALUES)
    centred = VALUES - np.nanmean(VALUES, axis=1, keepdims=True)
    np.testing.assert_allclose(result, centred / (np.nanstd(VALUES, ddof=1) + 1e-4))


def test_clip_keeps_nan_and_order():
    assert ClipByAbs(1.5)(VALUES)[0, [0, 1, 3]].tolist() == [1.0, 0.0, 1.5]
    assert np.isnan(ClipByAbs(1.5)(VALUES)[0, 2])


def test_groups_without_variance_are_masked_and_others_untouched():
    result = DropZeroVarianceGroups()(VALUES)
    assert np.isnan(result[1]).all()
    np.testing.assert_array_equal(result[0], VALUES[0])


def test_weights_by_correctness_use_the_verifier_rather_than_the_reward():
    ctx = GroupContext(correct_PG=np.array([[True, False, True, False]]))
    result = WeightByCorrectness(0.1, -1.0)(np.array([[0.7, 0.9, math.nan, 0.2]]), ctx)
    np.testing.assert_allclose(result, [[0.1, -1.0, math.nan, -1.0]])


def test_weights_by_correctness_refuse_shaped_rewards_without_a_verifier():
    with pytest.raises(MissingInputError, match=r"0\.7.*correct_reward"):
        WeightByCorrectness()(np.array([[0.7, 1.0]]))


def test_a_lone_correct_answer_keeps_its_reward():
    ctx = GroupContext(labels_PG=np.array([[0, 1, 1]]), correct_PG=np.array([[1.0, 0, 0]]))
    assert MultiplyByDistinctness(among="correct")(np.array([[1.0, 0.0, 0.0]]), ctx).tolist() == [[1.0, 0.0, 0.0]]


def test_a_missing_field_names_itself_and_its_recipe_key():
    with pytest.raises(MissingInputError, match=r"labels_PG.*`partition`"):
        resolve("darling")(VALUES)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: DivideByGroupStd(ddof=2), ConfigError, "ddof=2"),
        (lambda: DivideByGroupStd(eps=0), ConfigError, "eps=0"),
        (lambda: DivideByBatchStd(take="all"), ConfigError, "Allowed: rewards, values"),
        (lambda: DivideByGroupStd(ddof=True), ConfigError, "ddof=True"),
        (lambda: DivideByGroupStd(ddof=1.0), ConfigError, r"ddof=1\.0"),
        (lambda: DivideByGroupStd(eps=math.inf), ConfigError, "eps=inf"),
        (lambda: DivideByGroupStd(eps=True), ConfigError, "eps=True"),
        (lambda: ClipByAbs(math.inf), ConfigError, "limit=inf"),
        (lambda: ClipByAbs(True), ConfigError, "limit=True"),
        (lambda: ClipByAbs("2"), ConfigError, "limit='2'"),
        (lambda: ClipByAbs(-1), ConfigError, "write a number above 0"),
        (lambda: MultiplyByDistinctness(floor=2), ConfigError, "floor=2"),
        (lambda: MultiplyByDistinctness(among="wrong"), ConfigError, "Allowed: all, correct"),
        (lambda: WeightByCorrectness(positive=math.inf), ConfigError, "finite"),
        (lambda: WeightByCorrectness(negative="a"), ConfigError, "finite"),
        (lambda: resolve("gpro"), PluginError, "'grpo'"),
        (lambda: resolve({"name": "grpo", "epss": 1}), PluginError, "'eps'"),
        (lambda: resolve({"floor": 0.1}), PluginError, "without a name"),
        (lambda: resolve([{"name": "clip_by_abs"}]), PluginError, "needs 'limit'"),
        (lambda: resolve(3), ConfigError, "cannot be called"),
        (lambda: resolve({"name": "grpo", "eps": "abc"}), ConfigError, "divide_by_group_std was given eps='abc'"),
        (lambda: resolve({"name": "darling", "floor": None}), ConfigError, "floor=None"),
        (lambda: resolve("grpo")(np.ones(3)), ConfigError, r"shape \(3,\)"),
        (lambda: resolve("grpo")(np.array([[1e200, 0.0]])), ConfigError, r"beyond 1e\+100 in size"),
        (lambda: WeightByCorrectness(1e300)(np.ones((1, 2), dtype=np.float32)), ConfigError, "made an infinite value"),
        (lambda: resolve("grpo")(np.ones((2, 0))), ConfigError, "at least one completion"),
        (lambda: resolve("grpo")(np.array([[1, None]])), ConfigError, "it takes numbers, NaN for none"),
        (lambda: resolve("grpo")(np.array([["a", "b"]])), ConfigError, "it takes numbers"),
        (lambda: resolve("grpo")(np.ones((1, 2), dtype=complex)), ConfigError, "it takes real numbers"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(build, error, words):
    with pytest.raises(error, match=words):
        build()


@pytest.mark.parametrize(
    "fields",
    [
        {"labels_PG": np.zeros((2, 3))},
        {"labels_PG": np.zeros((1, 4))},
        {"labels_PG": np.zeros((4, 2))},
        {"labels_PG": np.zeros(8)},
        {"labels_PG": [[0, 1, 2, 3], [0, 1]]},
        {"equivalent_PGG": np.ones((2, 4, 5))},
        {"equivalent_PGG": np.ones((2, 3, 4))},
        {"embeddings_PGE": np.ones((2, 4))},
        {"prompt_logps_PS": np.ones((3, 5))},
        {"rewards_PGK": np.ones((2, 5, 1))},
    ],
    ids=str,
)
def test_facts_of_other_groups_are_refused(fields):
    (name,) = fields
    with pytest.raises(ConfigError, match=rf"values of shape \(2, 4\) and {name} of shape"):
        resolve("dr_grpo")(VALUES, GroupContext(**fields))


def test_facts_may_be_nested_lists_and_must_be_numbers():
    ctx = GroupContext(labels_PG=[[0, 1, 1, 1], [0, 0, 0, 1]])
    expected = GroupContext(labels_PG=np.array(ctx.labels_PG))
    np.testing.assert_array_equal(resolve("darling")(VALUES, ctx), resolve("darling")(VALUES, expected))
    with pytest.raises(ConfigError, match=r"labels_PG=.*give numbers"):
        resolve("darling")(VALUES, GroupContext(labels_PG=[["a", "b", "c", "d"]] * 2))


def test_a_users_own_transform_is_named_by_file(tmp_path):
    (tmp_path / "mine.py").write_text("def double(values_PG, ctx):\n    return 2 * values_PG\n")
    assert chain(f"{tmp_path}/mine.py:double", "subtract_group_mean")(np.array([[0.0, 1.0]])).tolist() == [[-1.0, 1.0]]


def test_nested_chains_are_flattened():
    assert chain("grpo", "dr_grpo") == chain("subtract_group_mean", "divide_by_group_std", "subtract_group_mean")
