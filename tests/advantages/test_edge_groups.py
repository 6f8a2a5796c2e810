"""What every published chain does with groups at the edge; the tables say it, and a new name must take its place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from rlkit.advantages import resolve
from rlkit.errors import ConfigError, MissingInputError
from tests.advantages.test_laws import NAMES, build_context, change_fields, every_name, reorder

SIZE = 6
SOME = "differs from completion to completion"

# name: (every completion right, every completion wrong, the only completion of its group, and it is right)
BEHAVIOUR: dict[str, tuple[float | str, float | str | Callable[[int], float], float | str]] = {
    "grpo": (0, 0, math.nan),  # one value has no standard deviation
    "dr_grpo": (0, 0, 0),
    "rloo": (0, 0, math.nan),  # no sibling, no baseline
    "psr": (1, 0, 1),
    "nsr": (0, -1, 0),
    "w_reinforce": (0.1, -1, 0.1),
    "max_rl": (0, 0, 0),
    "ucpo": (0, 0, math.nan),
    "equal_solutions": (0, 0, math.nan),
    "bbg": (0, lambda size: -(size + 15) / size, math.nan),  # u(0) / u(1), for k = 16
    "flow_rl": (SOME, SOME, math.nan),  # a pull towards the reference
    "darling": (SOME, 0, math.nan),  # no sibling to be unlike
    "pro_grpo": (SOME, 0, math.nan),
    "passk_grpo": (0, 0, "at most 1"),  # k = 4 draws from one completion
    "unlikeliness": (SOME, 0, math.nan),
    "evol_rl": (SOME, SOME, math.nan),  # the vote takes no notice of the verifier
    "ttrl": (SOME, SOME, math.nan),
    "outcome_ucb": (SOME, SOME, math.nan),  # the bonus stands beside the advantage, not on it
    "outcome_batch": (SOME, SOME, math.nan),
    "dra_grpo": (SOME, 0, math.nan),
    "dqo": (SOME, SOME, 0),  # the volume is added to the reward, whatever that is
    "rep_exp": (SOME, 0, math.nan),  # off where nothing is right
    "elliptical": (SOME, SOME, math.nan),
    "pkpo": (0, 0, "at most 1"),
}
NEEDS_BINARY = {"psr", "nsr", "w_reinforce", "pro_grpo", "passk_grpo", "max_rl"}
NEEDS_BINARY |= {"ucpo", "equal_solutions", "bbg"}
AFTER_A_BASELINE = {"pro_grpo", "ucpo", "equal_solutions", "bbg"}
"""Of those, the ones that keep a completion of unknown correctness as the baseline left it."""
"""Without a verifier's word these refuse rewards other than 0 and 1; the others take any finite number."""
TELLS_COPIES_APART = {"unlikeliness"}
"""Of equally likely completions, the later one ranks as the likelier."""


def advantages_of(name, rewards, seed=1, **changes):
    """Return the advantages of one group, with every field known unless changed."""
    rewards_PG = np.array([rewards])
    ctx = dataclasses.replace(build_context(rewards_PG, np.random.default_rng(seed)), **changes)
    return resolve(name)(rewards_PG, ctx)[0]


def expect(advantages, expected):
    """Hold the advantages of a group to one number, or to finite ones that are not all the same."""
    expected = expected(len(advantages)) if callable(expected) else expected
    if expected == SOME:
        assert np.isfinite(advantages).all()
        assert np.ptp(advantages) > 1e-3
    else:
        np.testing.assert_allclose(advantages, np.full(len(advantages), expected), rtol=1e-12, atol=0)


def test_every_name_has_its_place_in_the_table():
    assert {*BEHAVIOUR} == {*NAMES}


@every_name
@pytest.mark.parametrize("size", [5, SIZE])
def test_groups_that_are_all_right_or_all_wrong(name, size):
    right, wrong, _ = BEHAVIOUR[name]
    expect(advantages_of(name, [1.0] * size), right)
    expect(advantages_of(name, [0.0] * size), wrong)


@every_name
def test_one_completion_a_group(name):
    expected = BEHAVIOUR[name][2]
    if isinstance(expected, str):
        with pytest.raises(ConfigError, match=expected):
            advantages_of(name, [1.0])
    else:
        expect(advantages_of(name, [1.0]), expected)


@every_name
def test_groups_in_which_nothing_was_scored(name):
    assert np.isnan(advantages_of(name, [math.nan] * SIZE)).all()


@every_name
@pytest.mark.parametrize("rewards", [[1.0, math.nan, 0.0, 1.0, math.nan, 0.0], [math.nan, 1, 1, 1, 1, 0]], ids=str)
def test_what_was_not_scored_stays_nan_and_nothing_else_becomes_it(name, rewards):
    np.testing.assert_array_equal(np.isnan(advantages_of(name, rewards)), np.isnan(rewards))


@every_name
def test_a_single_scored_completion_is_as_a_group_of_one(name):
    expected = BEHAVIOUR[name][2]
    result = advantages_of(name, [math.nan, 1.0, math.nan, math.nan, math.nan])
    # Pass@k knows the group's size from its shape, so too few scored completions are no mistake of the recipe.
    np.testing.assert_array_equal(result[1], math.nan if isinstance(expected, str) else expected)
    assert np.isnan(result[[0, 2, 3, 4]]).all()


@every_name
@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_exact_copies_get_equal_advantages(name, reward):
    rewards_PG = np.array([[reward, 1, 0, reward, 1, 0]])
    ctx = build_context(rewards_PG, np.random.default_rng(5))
    ctx = change_fields(ctx, lambda axes, value: reorder(axes, value, np.array([0, 1, 2, 0, 4, 5])))
    result = resolve(name)(rewards_PG, ctx)[0]
    assert np.isfinite(result).all()
    if name in TELLS_COPIES_APART and reward:
        assert result[0] > result[3]
    else:
        assert result[0] == pytest.approx(result[3], abs=1e-9)


@every_name
def test_groups_of_nothing_but_copies_are_finite(name):
    rewards_PG = np.ones((1, SIZE))
    ctx = build_context(rewards_PG, np.random.default_rng(5))
    same = change_fields(ctx, lambda axes, value: reorder(axes, value, np.zeros(SIZE, dtype=int)))
    assert np.isfinite(resolve(name)(rewards_PG, same)).all()


@every_name
@pytest.mark.parametrize("infinite", [math.inf, -math.inf])
def test_infinite_rewards_are_refused(name, infinite):
    with pytest.raises(ConfigError, match="infinite"):
        advantages_of(name, [1.0, infinite, 0.0, 1.0, 0.0, 0.0])


@every_name
@pytest.mark.parametrize("rewards", [[0.7, 0.1, 1.0, 0.0, 0.4, 0.7], [-1.0, 1, -1, 1, 1, -1]], ids=str)
def test_shaped_rewards_need_a_verifier_only_where_correctness_counts(name, rewards):
    if name in NEEDS_BINARY:
        with pytest.raises(MissingInputError, match=r"neither 0 nor 1.*train\.correct_reward"):
            advantages_of(name, rewards, correct_PG=None)
    else:
        assert np.isfinite(advantages_of(name, rewards, correct_PG=None)).all()
    assert np.isfinite(advantages_of(name, rewards)).all()


@every_name
def test_a_verdict_that_is_unknown_hides_a_completion_only_where_correctness_counts(name):
    rewards = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    unknown = np.array([[math.nan, *rewards[1:]]])
    result = advantages_of(name, rewards, correct_PG=unknown)
    # In these the advantage came from the reward; only a condition looks at the verdicts of the group.
    hidden = name in NEEDS_BINARY - AFTER_A_BASELINE
    assert np.isnan(result).tolist() == [hidden] + [False] * 5


@every_name
def test_a_batch_without_groups_comes_back_empty(name):
    ctx = build_context(np.ones((1, SIZE)), np.random.default_rng(0))
    empty = change_fields(ctx, lambda _, value: value[:0])
    assert resolve(name)(np.ones((0, SIZE)), empty).shape == (0, SIZE)
