"""Several rewards, one number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.advantages.base import compose_rewards, sum_rewards, value_before
from rlkit.errors import ConfigError

nan = np.nan


def test_bases_add_up_by_weight_and_what_no_one_scored_has_no_value():
    assert sum_rewards([[1, 0.5], [nan, 0.5], [nan, nan]], [1, 2]).tolist()[:2] == [2.0, 1.0]
    assert np.isnan(sum_rewards([[nan, nan]], [1, 2])).all()


def test_a_modifier_replaces_and_a_penalty_is_taken_off():
    #            base, modifier, penalty
    rewards = [[1.0, 2.0, -0.5], [0.0, -10.0, 0.0], [1.0, nan, -0.5], [1.0, 2.0, nan]]
    total = compose_rewards(rewards, [1.0, 0.5, 1.0], ["base", "modifier", "penalty"])
    np.testing.assert_allclose(total, [0.5, -5.0, nan, 1.0])


def test_each_modifier_is_given_what_the_one_before_it_made():
    roles, weights = ["modifier", "base", "modifier", "base"], [2.0, 1.0, 1.0, 0.5]
    rewards = [[7.0, 1.0, 5.0, 4.0]]
    assert value_before(rewards, weights, roles, 0).tolist() == [3.0]
    assert value_before(rewards, weights, roles, 2).tolist() == [14.0]
    assert compose_rewards(rewards, weights, roles).tolist() == [5.0]


def test_a_penalty_alone_scores_nothing():
    assert np.isnan(compose_rewards([[nan, -1.0]], [1, 1], ["base", "penalty"])).all()


@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=8))
def test_bases_alone_are_a_weighted_sum_whatever_the_shape_and_order(rows):
    weights, roles = np.array([1.0, 0.3, -2.0]), ["base"] * 3
    rewards = np.array(rows)
    total = compose_rewards(rewards, weights, roles)
    np.testing.assert_allclose(total, rewards @ weights, atol=1e-12)
    np.testing.assert_allclose(compose_rewards(rewards[None, :, ::-1], weights[::-1], roles)[0], total, atol=1e-12)


def test_what_does_not_fit_is_said():
    with pytest.raises(ConfigError, match="2 rewards were given with 1 weights"):
        compose_rewards([[1.0, 2.0]], [1.0], ["base", "base"])
    with pytest.raises(ConfigError, match="role 'bonus'"):
        compose_rewards([[1.0]], [1.0], ["bonus"])
    with pytest.raises(ConfigError, match="No reward has the role base"):
        compose_rewards([[1.0]], [1.0], ["penalty"])
