"""Plans keep what they promise: simulated at the size they ask for, the difference is shown as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rlkit.errors import ConfigError
from rlkit.estimators import pass_at_k_variance, plan_for_difference


def test_as_many_problems_as_asked_for_have_the_power() -> None:
    plan = plan_for_difference(0.02, 0.02, 100, 16)
    error = 0.02 * math.sqrt(100 / plan.num_problems)
    power = stats.norm.sf(stats.norm.ppf(0.975) - 0.02 / error)
    assert power == pytest.approx(0.8, abs=2e-3)
    assert plan.detectable == pytest.approx(0.02 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)))


def test_as_many_samples_as_asked_for_have_the_power() -> None:
    # Success rates 0.3 + u and 0.32 + u: all of the difference's variance is within problems.
    rng = np.random.default_rng(0)
    num_problems, n = 60, 16
    within = 0.3 * 0.7 / n + 0.32 * 0.68 / n
    plan = plan_for_difference(0.02, math.sqrt(within / num_problems), num_problems, n, within)
    assert plan.within_share == pytest.approx(1.0)
    samples = int(plan.num_samples)
    a, b = (rng.binomial(samples, p, (4000, num_problems)) / samples for p in (0.3, 0.32))
    differences = b - a
    t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / math.sqrt(num_problems))
    assert np.mean(np.abs(t) > stats.t.ppf(0.975, num_problems - 1)) == pytest.approx(0.8, abs=0.03)


def test_more_samples_do_not_help_where_problems_differ() -> None:
    plan = plan_for_difference(0.01, 0.01, 100, 16, within_variance=0.0005)
    assert plan.within_share == pytest.approx(0.05)
    assert math.isinf(plan.num_samples)
    assert plan.as_json()["num_samples"] is None
    assert plan.num_problems > 100


def test_the_noise_within_problems_is_what_the_estimator_of_variance_says() -> None:
    rng = np.random.default_rng(1)
    n, k, num_problems = 32, 4, 4000
    c = rng.binomial(n, 0.1, (2, num_problems))
    within = float(np.mean(pass_at_k_variance(n, c[0], k)) + np.mean(pass_at_k_variance(n, c[1], k)))
    assert within == pytest.approx(2 * 0.0243024749, rel=0.03)


def test_what_is_unknown_or_hopeless_is_said() -> None:
    nothing = plan_for_difference(0.0, 0.01, 100, 16, 0.001)
    assert math.isinf(nothing.num_problems)
    assert math.isinf(nothing.num_samples)
    assert math.isnan(plan_for_difference(0.01, 0.01, 100, 16).num_samples)
    identical = plan_for_difference(0.0, 0.0, 100, 16, 0.0)
    assert identical.as_json()["num_problems"] is None
    with pytest.raises(ConfigError, match="between 0 and 1"):
        plan_for_difference(0.1, 0.1, 100, 16, power=1.0)
