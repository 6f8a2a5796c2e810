"""Ratios of means: coverage of both kinds of limits, invariance, what is undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators import bootstrap_means, ratio_of_means


@pytest.mark.parametrize("num_problems", [20, 60])
def test_intervals_cover_the_true_ratio(num_problems: int) -> None:
    rng = np.random.default_rng(0)
    covered = []
    for seed in range(300):
        base = rng.uniform(1.0, 3.0, num_problems)
        run = 0.7 * base + rng.normal(0, 0.5, num_problems)
        found = ratio_of_means(run, base, 0.9, seed=seed)
        covered.append(found.low <= 0.7 <= found.high)
    assert np.mean(covered) == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 300))


def test_scaling_one_side_scales_everything() -> None:
    rng = np.random.default_rng(1)
    run, base = rng.uniform(1, 2, (2, 80))
    one, two = ratio_of_means(run, base), ratio_of_means(2 * run, base)
    assert (two.value, two.low, two.high) == pytest.approx((2 * one.value, 2 * one.low, 2 * one.high))
    assert one.value == pytest.approx(run.mean() / base.mean())


def test_resamples_at_hand_are_used() -> None:
    rng = np.random.default_rng(2)
    run, base = rng.uniform(1, 2, (2, 80))
    joint = bootstrap_means(np.stack([run, base], axis=1), seed=5)
    assert ratio_of_means(run, base, resamples_R2=joint) == ratio_of_means(run, base, seed=5)


def test_undefined_is_counted_not_guessed() -> None:
    found = ratio_of_means([1.0, np.nan, 3.0], [2.0, 2.0, np.nan])
    assert (found.value, found.num_defined, found.num_total) == (0.5, 1, 3)
    assert math.isnan(found.low)
    assert math.isnan(ratio_of_means([1.0, 2.0], [0.0, 0.0]).value)
    near_zero = ratio_of_means([1.0, 2.0, 0.5, 1.0], [1.0, -1.0, 0.5, -0.3])
    assert math.isnan(near_zero.low)
    with pytest.raises(ConfigError, match="same problems twice"):
        ratio_of_means([1.0], [1.0, 2.0])
