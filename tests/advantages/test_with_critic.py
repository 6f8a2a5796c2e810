"""A chain in two parts, for a trainer whose baseline is a critic."""

from __future__ import annotations

import math

import pytest
import torch

from rlkit.advantages import GroupContext, resolve
from rlkit.advantages.base import Chain
from rlkit.advantages.naming import ADVANTAGES
from rlkit.advantages.with_critic import split_for_critic
from rlkit.errors import ConfigError

REWARDS_PG = torch.tensor([[1.0, 1.0, 0.0, 1.0]], dtype=torch.float64)
CTX = GroupContext(labels_PG=torch.tensor([[0, 0, 1, 2]]), correct_PG=REWARDS_PG)


def test_no_chain_leaves_rewards_and_advantages_as_they_are():
    shaped = split_for_critic(None)
    assert torch.equal(shaped.shape(REWARDS_PG, CTX), REWARDS_PG)
    assert torch.equal(shaped.factors(REWARDS_PG, CTX), torch.ones_like(REWARDS_PG))


def test_darlings_factor_shapes_the_reward():
    shaped = split_for_critic(resolve([{"name": "multiply_by_distinctness", "floor": 0.0}]))
    torch.testing.assert_close(shaped.shape(REWARDS_PG, CTX), torch.tensor([[2 / 3, 2 / 3, 0.0, 1.0]]).double())


@pytest.mark.parametrize(
    ("spec", "factors"),
    [
        ("psr", [1.0, 1.0, 0.0, 1.0]),
        ("nsr", [0.0, 0.0, 1.0, 0.0]),
        ("w_reinforce", [0.1, 0.1, 1.0, 0.1]),
        ({"name": "weight_by_correctness"}, [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_weights_by_correctness_multiply_what_the_critic_leaves(spec, factors):
    shaped = split_for_critic(resolve(spec))
    assert shaped.shaping.transforms == ()
    torch.testing.assert_close(shaped.factors(REWARDS_PG, CTX), torch.tensor([factors]).double())


def test_unknown_correctness_counts_for_nothing():
    rewards_PG = torch.tensor([[1.0, math.nan]])
    factors_PG = split_for_critic(resolve("nsr")).factors(rewards_PG, GroupContext(correct_PG=rewards_PG))
    assert factors_PG.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("grpo", "subtract_group_mean is a baseline over a group.*leave advantage out"),
        ("darling", r"subtract_group_mean.*write advantage: \[multiply_by_distinctness\]"),
        ("passk_grpo", "pass_at_k.*what shapes the reward, such as multiply_by_distinctness"),
        ("pkpo", "pkpo.*what shapes the reward"),
        ("rloo", "subtract_leave_one_out.*the critic is the baseline"),
        ({"name": "weight_by_correctness", "positive": -1}, "positive >= 0 and negative <= 0"),
        ({"name": "weight_by_correctness", "negative": 1}, "positive >= 0 and negative <= 0"),
    ],
)
def test_a_baseline_over_siblings_is_refused_with_what_works(spec, says):
    with pytest.raises(ConfigError, match=says):
        split_for_critic(resolve(spec))


def test_a_transform_of_the_users_own_shapes_rewards_unless_it_says_otherwise():
    class Mine:
        def __call__(self, values_PG, ctx):
            return values_PG * 2

    assert len(split_for_critic(Chain((Mine(),))).shaping.transforms) == 1
    Mine.makes = "advantages"
    with pytest.raises(ConfigError, match="mine is a baseline"):
        split_for_critic(Chain((Mine(),)))


def test_every_transform_that_compares_siblings_says_so():
    """With one completion a prompt there is nothing to compare, which a trainer must be able to see beforehand."""
    alone = {"weight_by_correctness", "subtract_batch_mean", "divide_by_batch_std", "clip_by_abs"}
    for name in ("multiply_by_distinctness", "discount_by_likelihood_rank", "match_majority", "novelty_bands"):
        assert resolve(name).min_group_size == 2, name
    for name in alone - {"clip_by_abs"}:
        assert resolve(name).min_group_size == 1, name
    assert resolve({"name": "add_outcome_bonus", "kind": "batch"}).min_group_size == 2
    assert resolve({"name": "add_outcome_bonus", "kind": "ucb"}).min_group_size == 1
    assert set(ADVANTAGES.names()) >= alone
