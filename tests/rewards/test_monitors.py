"""Warnings that must come, warnings that must not, and the numbers behind them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rlkit.errors import ConfigError
from rlkit.rewards.monitors import RewardMonitors, Thresholds, measure_rewards, share_variance

NAMES = ["verifier", "format"]


def batch(rng, length_effect=0.0, format_weight=0.1, failures=0.0, rows=256):
    """Return what a batch looks like: a verifier that does not care for length unless told to, and a format reward."""
    lengths = rng.integers(10, 100, rows)
    correct = (rng.random(rows) < 0.4).astype(float)
    noise = length_effect * (lengths - lengths.mean()) / lengths.std()
    rewards = np.stack([correct + noise, (rng.random(rows) < 0.5).astype(float)], axis=1)
    rewards[rng.random(rows) < failures, 0] = np.nan
    return measure_rewards(rewards, [1.0, format_weight], lengths, group_size=8)


def watch(readings_of_step, steps=30, limits=None):
    monitors = RewardMonitors(NAMES, limits=limits or Thresholds())
    return [(step, said) for step in range(steps) for said in monitors.observe(step, readings_of_step(step))]


def test_a_healthy_run_is_not_warned_of():
    rng = np.random.default_rng(0)
    assert watch(lambda step: batch(rng)) == []


def test_a_reward_that_takes_over_is_named_once_with_its_step():
    rng = np.random.default_rng(1)
    said = watch(lambda step: batch(rng, format_weight=0.1 if step < 10 else 5.0))
    ((step, sentence),) = said
    assert 10 <= step < 15
    assert "comes from format, since step 10" in sentence


def test_a_few_completions_are_nothing_to_warn_of_yet():
    rng = np.random.default_rng(1)
    said = watch(lambda step: batch(rng, format_weight=5.0, failures=0.9, rows=8))
    assert {step for step, _ in said} == {7}, "the step that makes them 64"
    assert all("since step 0" in sentence for _, sentence in said)


def test_the_verifier_may_dominate():
    rng = np.random.default_rng(2)
    assert watch(lambda step: batch(rng, format_weight=0.0)) == []


@pytest.mark.parametrize(("effect", "word"), [(2.0, "longer"), (-2.0, "shorter")])
def test_length_that_pays_is_said_with_its_direction(effect, word):
    rng = np.random.default_rng(3)
    ((step, sentence),) = watch(lambda step: batch(rng, length_effect=effect if step >= 5 else 0.0))
    assert 5 <= step < 12
    assert f"Within a prompt {word} completions earn more" in sentence
    assert "since step 5" in sentence


@pytest.mark.parametrize("correlation", [0.7, -0.86])
def test_what_eight_completions_may_do_by_chance_is_no_sign(correlation):
    lengths = np.array([10, 20, 30, 40, 50, 60, 70, 80], dtype=float)
    noise = np.array([1, -1, -1, 1, 1, -1, -1, 1], dtype=float)
    z = (lengths - lengths.mean()) / lengths.std()
    rewards = correlation * z + np.sqrt(1 - correlation**2) * noise
    readings = measure_rewards(rewards[:, None], [1.0], lengths, group_size=8)
    assert readings.length_correlation == pytest.approx(correlation, abs=0.05)
    assert RewardMonitors(["verifier"]).observe(0, readings) == []


def test_a_correlation_that_changes_its_sign_is_no_trend():
    def batch_of(sign):
        lengths = np.tile(np.arange(8.0), 16)
        return measure_rewards(sign * lengths[:, None], [1.0], lengths, group_size=8)

    monitors = RewardMonitors(["verifier"])
    assert "shorter" in monitors.observe(1, batch_of(-1.0))[0]
    for step in range(2, 9):
        assert monitors.observe(step, batch_of(1.0)) == []
    ((_, sentence),) = [(step, said) for step in range(9, 30) for said in monitors.observe(step, batch_of(1.0))]
    assert "longer" in sentence
    assert "since step 2" in sentence


def test_prompts_of_different_length_are_not_taken_for_length_that_pays():
    lengths = np.repeat([10, 1000], 8) + np.tile(np.arange(8), 2)
    rewards = np.repeat([[0.0], [1.0]], 8, axis=0) + np.tile([0.01, -0.01, -0.01, 0.01], 4)[:, None]
    assert np.corrcoef(rewards[:, 0], lengths)[0, 1] > 0.99
    assert abs(measure_rewards(rewards, [1.0], lengths, group_size=8).length_correlation) < 0.2


def test_completions_that_cannot_be_scored_are_counted_and_said():
    rng = np.random.default_rng(4)
    said = watch(lambda step: batch(rng, failures=0.5 if step >= 3 else 0.0))
    assert ["verifier could not score" in sentence for _, sentence in said] == [True]


def test_a_gap_that_opens_to_the_held_out_verifier_is_said_and_one_that_was_always_there_is_not():
    def readings(step, drift):
        rewards = np.full((64, 2), 0.5 + drift * step)
        return measure_rewards(rewards, [1.0, 0.1], np.arange(64), 8, held_out_B=np.full(64, 0.3))

    assert not [s for _, s in watch(lambda step: readings(step, 0.0)) if "held-out" in s]
    said = [s for _, s in watch(lambda step: readings(step, 0.02)) if "held-out" in s]
    assert len(said) == 1
    assert "at first +0.20" in said[0]


def test_a_warning_comes_again_only_after_it_was_over():
    rng = np.random.default_rng(5)
    wave = [*[0.5] * 8, *[0.0] * 12, *[0.5] * 8]
    said = watch(lambda step: batch(rng, failures=wave[step]), steps=len(wave))
    assert [("since step 0" in s, "since step 20" in s) for _, s in said] == [(True, False), (False, True)]


def test_what_was_seen_survives_a_checkpoint():
    rng = np.random.default_rng(6)
    first, second = RewardMonitors(NAMES), RewardMonitors(NAMES)
    for step in range(10):
        first.observe(step, batch(rng, failures=0.5))
    second.load_state_dict(first.state_dict())
    assert second.alarms == first.alarms
    assert second.observe(10, batch(rng, failures=0.5)) == []


@given(arrays(np.float64, (12, 3), elements=st.floats(-10, 10)))
def test_shares_of_variance_sum_to_one_or_are_undefined(parts):
    shares = share_variance(parts)
    assert np.isnan(shares).all() or shares.sum() == pytest.approx(1.0, abs=1e-6)


def test_shares_by_hand_and_without_spread():
    rng = np.random.default_rng(0)
    independent = rng.normal(size=(200_000, 2)) * [3.0, 4.0]
    np.testing.assert_allclose(share_variance(independent), [9 / 25, 16 / 25], atol=0.01)
    assert np.isnan(share_variance(np.ones((5, 2)))).all()
    assert np.isnan(share_variance([[1.0, np.nan]])).all()
    assert np.isnan(share_variance([[1.0, -1.0], [2.0, -2.0]])).all()


def test_bad_input_is_refused_with_a_sentence():
    with pytest.raises(ConfigError, match="no whole groups of 8"):
        measure_rewards(np.zeros((9, 1)), [1.0], np.zeros(9), group_size=8)
    with pytest.raises(ConfigError, match="smoothing=1"):
        Thresholds(smoothing=1)
