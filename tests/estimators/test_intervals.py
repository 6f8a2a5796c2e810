"""Intervals: tables of Student's t, coverage by simulation, undefined values and bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators import (
    auc_log2,
    mean_interval,
    mean_intervals,
    pass_at_k,
    pass_at_k_intervals,
)


def test_analytic_interval_by_hand() -> None:
    interval = mean_interval([1.0, 2.0, 3.0], method="analytic")
    half = 4.3026527 * 1.0 / math.sqrt(3)
    assert (interval.value, interval.low, interval.high) == pytest.approx((2.0, 2 - half, 2 + half))
    assert (interval.num_defined, interval.num_total) == (3, 3)


def test_the_two_methods_agree_on_many_problems() -> None:
    values = np.random.default_rng(0).beta(0.5, 1.0, 2000)
    bootstrap, analytic = (mean_interval(values, method=method) for method in ("bootstrap", "analytic"))
    assert bootstrap.low == pytest.approx(analytic.low, abs=1e-3)
    assert bootstrap.high == pytest.approx(analytic.high, abs=1e-3)
    assert mean_interval(values) == analytic


@pytest.mark.parametrize(("num_problems", "method"), [(12, "auto"), (80, "auto"), (80, "analytic")])
def test_intervals_cover_as_often_as_they_say(num_problems: int, method: str) -> None:
    values = np.random.default_rng(1).beta(2.0, 3.0, (num_problems, 600))
    intervals = mean_intervals(values, method=method)
    assert np.mean([each.low <= 0.4 <= each.high for each in intervals]) == pytest.approx(0.95, abs=0.03)


def test_undefined_values_are_counted_and_left_out() -> None:
    interval = mean_interval([0.2, np.nan, 0.4, np.nan])
    assert interval.value == pytest.approx(0.3)
    assert (interval.num_defined, interval.num_total) == (2, 4)
    for values in ([], [np.nan, np.nan]):
        nothing = mean_interval(values)
        assert math.isnan(nothing.value)
        assert math.isnan(nothing.low)
        assert nothing.num_defined == 0
    one = mean_interval([0.5])
    assert one.value == 0.5
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def test_a_perfect_score_does_not_claim_certainty() -> None:
    perfect = mean_interval(np.ones(100), bounds=(0, 1))
    assert perfect.high == 1.0
    assert perfect.low == pytest.approx(0.025 ** (1 / 100))
    nothing = mean_interval(np.zeros(100), bounds=(0, 1))
    assert nothing.low == 0.0
    assert nothing.high == pytest.approx(1 - 0.025 ** (1 / 100))


def test_limits_stay_within_the_bounds() -> None:
    interval = mean_interval([1.0, 1.0, 1.0, 0.0], bounds=(0, 1))
    assert interval.low >= 0.0
    assert interval.high == 1.0
    assert mean_interval([1.0, 1.0, 1.0, 0.0]).high > 1.0


def test_cells_hold_no_nan() -> None:
    assert mean_interval([]).as_cell() == {"value": None, "low": None, "high": None, "num_defined": 0, "num_total": 0}
    assert mean_interval([1.0, 3.0]).as_cell()["value"] == 2.0


def test_pass_at_k_intervals_are_means_with_undefined_left_out() -> None:
    num_samples, num_correct = np.array([8, 8, 4] * 30), np.array([0, 3, 2] * 30)
    at_2, at_8 = pass_at_k_intervals(num_samples, num_correct, [2, 8])
    assert at_2.value == pytest.approx(np.mean(pass_at_k(num_samples, num_correct, 2)))
    assert at_2.low < at_2.value < at_2.high
    assert at_8.value == pytest.approx(0.5)
    assert (at_8.num_defined, at_8.num_total) == (60, 90)


def test_merging_equal_problems_keeps_the_interval() -> None:
    correct = np.random.default_rng(2).binomial(16, 0.3, 400)
    merged = pass_at_k_intervals(16, correct, [1, 4])
    separate = mean_intervals(pass_at_k(16, correct[:, None], [1, 4]), bounds=(0, 1))
    for one, other in zip(merged, separate, strict=True):
        assert one.value == pytest.approx(other.value)
        assert one.high - one.low == pytest.approx(other.high - other.low, rel=0.1)


def test_pairing_removes_what_problems_have_in_common() -> None:
    rng = np.random.default_rng(3)
    hardness = rng.uniform(size=300)
    a, b = hardness + rng.normal(0, 0.05, 300), hardness + 0.03 + rng.normal(0, 0.05, 300)
    paired, alone = mean_interval(b - a), mean_interval(a)
    assert paired.low > 0
    assert (paired.high - paired.low) < 0.4 * (alone.high - alone.low)


def test_area_over_log2_k() -> None:
    assert auc_log2([1, 2, 4, 8, 16, 32], [0.30, 0.42, 0.54, 0.63, 0.70, 0.75]) == pytest.approx(0.563)
    assert auc_log2([1], [0.4]) == 0.4
    np.testing.assert_allclose(auc_log2([1, 3, 7], np.full((2, 3), 0.25)), [0.25, 0.25])
    for ks, values in (([2, 1], [0, 0]), ([], []), ([1, 2], [0.5])):
        with pytest.raises(ConfigError):
            auc_log2(ks, values)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="95 %"):
        mean_interval([1.0], level=95)
    with pytest.raises(ConfigError, match="Did you mean 'bootstrap'"):
        mean_interval([1.0], method="bootstap")
    with pytest.raises(ConfigError, match="one value a problem"):
        mean_interval([[1.0]])
