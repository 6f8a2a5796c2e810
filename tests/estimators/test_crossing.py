"""Crossing budgets: the worked example, hand-made curves, a slow twin, censoring."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators import bootstrap_means, crossing_budget, estimate_crossing

KS = [1, 2, 4, 8, 16, 32]
RUN, BASE = np.array([0.50, 0.58, 0.64, 0.69, 0.73, 0.76]), np.array([0.30, 0.43, 0.56, 0.67, 0.75, 0.81])


def slow_crossing(ks: list[int], differences: list[float], errors: list[float]) -> float:
    """Return the crossing of one curve by looking at it budget by budget."""
    decided = [at for at, value in enumerate(differences) if abs(value) >= errors[at] and value != 0]
    if not decided or differences[decided[-1]] > 0:
        return math.inf
    ahead = [at for at in decided if differences[at] > 0]
    if not ahead:
        return float(ks[0])
    overtaken = min(at for at in decided if at > ahead[-1])
    falls = [at for at in range(ahead[-1] + 1, overtaken + 1) if differences[at - 1] >= 0 > differences[at]]
    at = falls[-1]
    share = differences[at - 1] / (differences[at - 1] - differences[at])
    return 2 ** (math.log2(ks[at - 1]) + share * (math.log2(ks[at]) - math.log2(ks[at - 1])))


def test_the_worked_example() -> None:
    assert crossing_budget(KS, RUN - BASE) == pytest.approx(11.3137, abs=5e-5)


def test_a_change_within_noise_is_none() -> None:
    differences = np.array([0.20, 0.10, -0.01, 0.05, 0.02, -0.02])
    assert math.isinf(crossing_budget(KS, differences, 0.03))
    assert 16 < crossing_budget(KS, differences, 0.02) < 32
    assert crossing_budget(KS, [0.2, 0.1, 0.01, -0.01, -0.1, -0.2], 0.05) == pytest.approx(2**2.5)


def test_the_last_change_of_sides_counts() -> None:
    assert crossing_budget(KS, [0.2, -0.2, 0.1, 0.1, -0.1, -0.2]) == pytest.approx(2**3.5)
    assert math.isinf(crossing_budget(KS, [0.2, -0.2, 0.1, 0.1, 0.1, 0.2]))


def test_a_base_that_leads_from_the_start_has_the_smallest_budget_and_no_crossing() -> None:
    assert crossing_budget(KS, -np.ones(6)) == 1.0
    found = estimate_crossing(KS, -np.ones(6), -np.ones((50, 6)), np.full(6, 0.1))
    assert math.isnan(found.k_star)
    assert found.share_crossing == 0.0


def test_many_curves_at_once_are_one_by_one() -> None:
    rng = np.random.default_rng(0)
    curves = np.cumsum(rng.normal(size=(400, 6)), axis=1)
    errors = rng.uniform(0, 1, 6)
    expected = [slow_crossing(KS, curve.tolist(), errors.tolist()) for curve in curves]
    np.testing.assert_allclose(crossing_budget(KS, curves, errors), expected)
    assert 50 < np.isfinite(expected).sum() < 350


def test_the_interval_holds_the_true_crossing_and_says_how_often_there_is_one() -> None:
    rng = np.random.default_rng(1)
    values = (RUN - BASE) + rng.normal(0, 0.05, size=(400, 6))
    means = bootstrap_means(values)
    found = estimate_crossing(KS, values.mean(axis=0), means, means.std(axis=0))
    assert found.low < 11.3137 < found.high
    assert found.low < found.k_star < found.high
    assert found.share_crossing == 1.0


def test_a_crossing_beyond_the_budgets_is_censored() -> None:
    rng = np.random.default_rng(2)
    values = np.array([0.2, 0.15, 0.1, 0.05, 0.01, -0.01]) + rng.normal(0, 0.1, size=(100, 6))
    means = bootstrap_means(values)
    found = estimate_crossing(KS, values.mean(axis=0), means, means.std(axis=0))
    assert 0 < found.share_crossing < 1
    assert found.as_json()["high"] is None
    ahead = estimate_crossing(KS, np.ones(6), np.ones((50, 6)), np.full(6, 0.1))
    assert ahead.as_json() == {"k_star": None, "low": None, "high": None, "share_crossing": 0.0, "num_resamples": 50}


def test_nothing_is_ahead_where_nothing_differs_or_nothing_is_known() -> None:
    assert math.isinf(crossing_budget(KS, np.zeros(6)))
    assert math.isinf(crossing_budget(KS, np.full(6, np.nan)))


def test_budgets_must_increase_and_fit() -> None:
    with pytest.raises(ConfigError, match="increasing budgets"):
        crossing_budget([1, 1], [0.1, -0.1])
    with pytest.raises(ConfigError, match="increasing budgets"):
        crossing_budget([1, 2], [0.1, -0.1, 0.2])
