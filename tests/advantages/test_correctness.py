"""MaxRL's advantages against the released code's numbers, a slow twin, and what they sum up to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.advantages import DivideByPassRate, GroupContext, resolve
from rlkit.errors import ConfigError, MissingInputError


def group(num_correct, size=8):
    return np.array([[1.0] * num_correct + [0.0] * (size - num_correct)])


@pytest.mark.parametrize(
    ("num_correct", "right", "wrong"), [(1, 6.999944, -0.999992), (4, 0.999998, -0.999998), (7, 0.142857, -0.999999)]
)
def test_worked_numbers_of_max_rl(num_correct, right, wrong):
    expected = [right] * num_correct + [wrong] * (8 - num_correct)
    np.testing.assert_allclose(resolve("max_rl")(group(num_correct))[0], expected, atol=1e-6)


@pytest.mark.parametrize("num_correct", range(1, 8))
def test_the_pull_on_a_group_falls_with_its_successes(num_correct):
    advantages = resolve({"name": "max_rl", "eps": 1e-12})(group(num_correct))
    assert np.abs(advantages).sum() == pytest.approx(2 * (8 - num_correct))


@pytest.mark.parametrize(("p", "of_order_8"), [(0.05, 6.73159), (0.25, 3.59955), (0.75, 1.33331)])
def test_the_mean_step_is_the_slope_of_a_log_likelihood_that_is_cut_off(p, of_order_8):
    # Of a policy whose only parameter is p: the score of a completion is (c - p) / (p (1 - p)).
    slope, with_all_wrong = 0.0, 0.0
    for k in range(9):
        chance, correct = math.comb(8, k) * p**k * (1 - p) ** (8 - k), group(k)
        scores = (correct - p) / (p * (1 - p)) / 8
        slope += chance * float((resolve({"name": "max_rl", "eps": 1e-12})(correct) * scores).sum())
        with_all_wrong -= chance * float(scores.sum()) if k == 0 else 0.0
    assert slope == pytest.approx((1 - (1 - p) ** 7) / p)
    assert slope + with_all_wrong == pytest.approx(of_order_8, abs=1e-5)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=1, max_size=9))
def test_max_rl_equals_its_slow_twin(rewards):
    scored = [r for r in rewards if not math.isnan(r)]
    mean = sum(scored) / len(scored) if scored else math.nan
    expected = [(r - mean) / (mean + 1e-6) for r in rewards]
    np.testing.assert_allclose(resolve("max_rl")(np.array([rewards]))[0], expected, atol=1e-9)


def test_a_verifier_says_what_is_correct_where_rewards_do_not():
    shaped, verdicts = np.array([[-1.0, 1, 1, -1]]), np.array([[0.0, 1, 1, 0]])
    told = resolve("max_rl")(shaped, GroupContext(correct_PG=verdicts))
    np.testing.assert_array_equal(told, resolve("max_rl")(verdicts))
    with pytest.raises(MissingInputError, match="neither 0 nor 1"):
        resolve("max_rl")(shaped)


def test_it_stands_for_a_baseline_and_asks_for_siblings():
    assert DivideByPassRate.makes == "advantages"
    assert resolve("max_rl").min_group_size == 2
    with pytest.raises(ConfigError, match="eps=0"):
        DivideByPassRate(eps=0)
