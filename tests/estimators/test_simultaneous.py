"""Simultaneous intervals and adjusted p-values: nesting, closed forms, coverage of the whole curve."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from rlkit.estimators import (
    bootstrap_means,
    holm_p_values,
    mean_intervals,
    sign_flip_test,
    widen,
    widening_factors,
)


def simultaneous_intervals(values, level=0.95, **options):
    pairs = zip(mean_intervals(values, level), widening_factors(bootstrap_means(values, **options), level), strict=True)
    return [widen(interval, float(factor)) for interval, factor in pairs]


@pytest.mark.parametrize("num_problems", [12, 80])
def test_they_contain_the_pointwise_ones_and_share_their_centre(num_problems: int) -> None:
    values = np.random.default_rng(0).exponential(size=(num_problems, 5))
    for alone, together in zip(mean_intervals(values), simultaneous_intervals(values), strict=True):
        assert together.value == alone.value
        assert together.low < alone.low < alone.high < together.high


def test_one_column_and_copies_of_it_need_no_widening() -> None:
    column = np.random.default_rng(1).normal(size=(60, 1))
    copies = np.hstack([column, 3 * column - 1, -column])
    np.testing.assert_allclose(widening_factors(bootstrap_means(copies)), 1.0)
    assert simultaneous_intervals(column) == mean_intervals(column)


def test_independent_columns_widen_as_sidak_says() -> None:
    values = np.random.default_rng(2).normal(size=(2000, 6))
    factors = widening_factors(bootstrap_means(values, num_resamples=20_000), 0.95)
    sidak = stats.norm.ppf(0.5 + 0.95 ** (1 / 6) / 2) / stats.norm.ppf(0.975)
    np.testing.assert_allclose(factors, sidak, rtol=0.03)


def test_columns_that_do_not_vary_or_do_not_exist_are_left_alone() -> None:
    varying = np.random.default_rng(3).normal(size=(60, 2))
    values = np.column_stack([varying, np.zeros(60), np.full(60, np.nan)])
    together = simultaneous_intervals(values)
    assert (together[2].low, together[2].high) == (0.0, 0.0)
    assert np.isnan(together[3].value)
    expected = simultaneous_intervals(varying)
    np.testing.assert_allclose([i.low for i in together[:2]], [i.low for i in expected])


def test_they_cover_a_whole_curve_where_pointwise_ones_do_not() -> None:
    rng = np.random.default_rng(4)
    mixing = np.tril(np.ones((6, 6))) / 3
    alone: list[bool] = []
    together: list[bool] = []
    for seed in range(300):
        values = rng.exponential(size=(70, 6)) @ mixing - mixing.sum(axis=0)
        for covered, found in (
            (alone, mean_intervals(values, 0.9)),
            (together, simultaneous_intervals(values, 0.9, num_resamples=500, seed=seed)),
        ):
            covered.append(all(interval.low <= 0 <= interval.high for interval in found))
    assert np.mean(alone) < 0.83
    assert np.mean(together) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 300))


def test_adjusted_p_values_are_the_enumerated_max_t() -> None:
    differences = np.array([[0.5, 1.0], [-0.25, 0.5], [1.0, -0.75], [0.75, 0.25], [0.25, 0.0]])
    t = [
        np.abs(np.asarray(signs) @ differences) / np.sqrt((differences**2).sum(axis=0))
        for signs in product([-1, 1], repeat=5)
    ]
    observed = np.abs(differences.sum(axis=0)) / np.sqrt((differences**2).sum(axis=0))
    expected = [np.mean([max(flipped) >= value - 1e-12 for flipped in t]) for value in observed]
    found = sign_flip_test(differences)
    np.testing.assert_array_equal(found.adjusted_K, expected)
    assert (found.adjusted_K >= found.p_values_K).all()


def test_only_the_family_is_adjusted() -> None:
    differences = np.random.default_rng(5).normal(0.1, 1.0, size=(100, 4))
    differences[:, 3] = np.nan
    found = sign_flip_test(differences, 2000, family_K=[True, True, False, True])
    np.testing.assert_array_equal(np.isnan(found.adjusted_K), [False, False, True, True])
    np.testing.assert_array_equal(np.isnan(found.p_values_K), [False, False, False, True])
    np.testing.assert_array_equal(found.adjusted_K[:2], sign_flip_test(differences[:, :2], 2000).adjusted_K)


def test_a_family_without_differences_rarely_has_a_small_adjusted_p_value() -> None:
    rng = np.random.default_rng(6)
    smallest = [sign_flip_test(rng.normal(size=(30, 5)), 400, seed).adjusted_K.min() for seed in range(300)]
    assert np.mean(np.array(smallest) <= 0.1) == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 300))


def test_holm_steps_down_in_order_and_leaves_out_what_was_not_asked() -> None:
    np.testing.assert_allclose(holm_p_values([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm_p_values([0.4, np.nan, 0.02]), [0.4, np.nan, 0.04])
    np.testing.assert_array_equal(holm_p_values([0.9, 0.8]), [1.0, 1.0])
