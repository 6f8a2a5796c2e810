"""Support tables: the worked example, McNemar against scipy, thinning against its distribution, sharpening."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rlkit.errors import ConfigError
from rlkit.estimators import SupportTable, mcnemar_p_value, sharpening_index, support_table, thin_counts


def test_the_worked_example() -> None:
    table = SupportTable(both=40, gained=3, lost=7, neither=0)
    assert table.srr == pytest.approx(0.851064, abs=5e-7)
    assert table.ndr == pytest.approx(0.069767, abs=5e-7)
    assert table.sds == pytest.approx(0.128963, abs=5e-7)
    assert table.nscr == pytest.approx(-0.08)
    assert table.jaccard == pytest.approx(0.8)
    assert table.sds == pytest.approx(stats.hmean([table.srr, table.ndr]))


def test_problems_are_counted_by_who_solves_them() -> None:
    base, run = [True, True, False, False, True], [True, False, True, False, True]
    assert support_table(base, run) == SupportTable(both=2, gained=1, lost=1, neither=1)
    with pytest.raises(ConfigError, match="same problems twice"):
        support_table([True], [True, False])


def test_shares_of_nothing_are_undefined() -> None:
    table = SupportTable(0, 0, 0, 9)
    assert all(math.isnan(value) for value in (table.srr, table.ndr, table.sds, table.nscr, table.jaccard))
    assert table.mcnemar_p == 1.0


@pytest.mark.parametrize(("gained", "lost"), [(3, 7), (7, 3), (0, 1), (0, 6), (5, 5), (40, 62), (900, 1100)])
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int) -> None:
    expected = stats.binomtest(gained, gained + lost, 0.5).pvalue
    assert mcnemar_p_value(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_at_sizes_where_floats_would_vanish() -> None:
    assert mcnemar_p_value(0, 3) == 0.25
    assert mcnemar_p_value(0, 1000) == pytest.approx(2.0**-999)
    assert mcnemar_p_value(5000, 5000) == 1.0
    with pytest.raises(ConfigError, match="negative"):
        mcnemar_p_value(-1, 2)


def test_thinned_counts_are_what_fewer_samples_would_have_been() -> None:
    thinned = thin_counts(np.full(20_000, 16), np.full(20_000, 3), np.full(20_000, 4), seed=0)
    expected = stats.hypergeom.pmf(np.arange(4), 16, 3, 4)
    np.testing.assert_allclose(np.bincount(thinned, minlength=4) / 20_000, expected, atol=0.015)
    np.testing.assert_array_equal(thin_counts([8, 5], [3, 5], [8, 5]), [3, 5])
    with pytest.raises(ConfigError, match="No more samples"):
        thin_counts([4], [2], [5])


def test_sharpening_is_the_line_through_the_logits() -> None:
    n = np.full(50, 1_000_000)
    c_base = np.linspace(5_000, 995_000, 50).astype(int)
    odds = np.exp(2.0 * np.log(c_base / (n - c_base)) + 0.5)
    found = sharpening_index(n, c_base, n, np.rint(n * odds / (1 + odds)).astype(int))
    assert (found.slope, found.intercept) == pytest.approx((2.0, 0.5), abs=5e-3)
    assert found.correlation == pytest.approx(1.0, abs=1e-4)
    itself = sharpening_index(n, c_base, n, c_base)
    assert (itself.slope, itself.intercept, itself.num_problems) == pytest.approx((1.0, 0.0, 50))


def test_sharpening_against_scipy_and_where_it_does_not_exist() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 17, (2, 40))
    fit = stats.linregress(np.log((a + 0.5) / (16.5 - a)), np.log((b + 0.5) / (16.5 - b)))
    found = sharpening_index(np.full(40, 16), a, np.full(40, 16), b)
    assert (found.slope, found.correlation, found.intercept) == pytest.approx((fit.slope, fit.rvalue, fit.intercept))
    assert math.isnan(sharpening_index([8] * 4, [2] * 4, [8] * 4, [1, 2, 3, 4]).slope)
    assert sharpening_index([8, 0, 8], [1, 0, 2], [8, 8, 8], [1, 1, 1]).num_problems == 2
