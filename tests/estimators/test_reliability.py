"""pass^k, G-Pass@k, majorities of flags and cover@tau: worked numbers, enumeration, SciPy, scorio and laws."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.estimators import (
    cover_at_tau,
    cover_posterior_at_tau,
    g_pass_at_k,
    mg_pass_at_k,
    pass_at_k,
    pass_hat_k,
    probability_at_least,
)
from rlkit.estimators.reliability import as_share

counts = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))


@pytest.mark.parametrize(
    ("tau", "expected"),
    [(0.25, (1.0, 0.7153846154)), (0.5, (1.0, 0.0384615385)), (0.75, (0.7153846154, 0.0)), (1.0, (0.0384615385, 0.0))],
)
def test_golden_numbers_of_g_pass(tau: float, expected: tuple[float, float]) -> None:
    np.testing.assert_allclose(g_pass_at_k(16, [12, 4], 8, tau), expected, atol=1e-10)


def test_golden_numbers() -> None:
    np.testing.assert_allclose(pass_hat_k(16, [12, 4], 8), [0.0384615385, 0], atol=1e-10)
    np.testing.assert_allclose(mg_pass_at_k(16, [12, 4], 8), [0.5, 0], atol=1e-12)
    assert np.mean(g_pass_at_k(16, [12, 4], 8, Fraction(5, 8))) == pytest.approx(0.4807692308)


@pytest.mark.parametrize("n", [1, 4, 6])
def test_equal_the_mean_credit_over_all_subsets(n: int) -> None:
    for c in range(n + 1):
        for k in range(1, n + 1):
            hits = np.array([sum(i < c for i in subset) for subset in combinations(range(n), k)])
            assert pass_hat_k(n, c, k) == pytest.approx(np.mean(hits == k))
            for m in range(1, k + 1):
                assert g_pass_at_k(n, c, k, Fraction(m, k)) == pytest.approx(np.mean(hits >= m))
            area = sum(np.mean(hits >= m) for m in range(math.ceil(k / 2) + 1, k + 1))
            assert mg_pass_at_k(n, c, k) == pytest.approx(2 / k * area)


def test_agrees_with_scipy_where_n_is_large() -> None:
    hypergeom = pytest.importorskip("scipy.stats").hypergeom
    n, k = 1024, 512
    c = np.arange(0, n + 1, 7)
    np.testing.assert_allclose(g_pass_at_k(n, c, k, 0.5), hypergeom.sf(255, n, c, k), atol=1e-11)


def test_agrees_with_scorio() -> None:
    scorio = pytest.importorskip("scorio.eval")
    flags = np.array([[1] * 12 + [0] * 4, [1] * 4 + [0] * 12, [0] * 16])
    c = flags.sum(axis=1)
    for k in (1, 2, 5, 8, 16):
        assert scorio.pass_at_k(flags, k) == pytest.approx(np.mean(pass_at_k(16, c, k)))
        assert scorio.pass_hat_k(flags, k) == pytest.approx(np.mean(pass_hat_k(16, c, k)))
        assert scorio.mg_pass_at_k(flags, k) == pytest.approx(np.mean(mg_pass_at_k(16, c, k)))
        for tau in (0.25, 0.5, 1.0):
            assert scorio.g_pass_at_k_tau(flags, k, tau) == pytest.approx(np.mean(g_pass_at_k(16, c, k, tau)))


@given(counts)
def test_laws(drawn: tuple[int, int, int]) -> None:
    n, c, k = drawn
    assert g_pass_at_k(n, c, k, Fraction(1, k)) == pytest.approx(pass_at_k(n, c, k), abs=1e-12)
    assert g_pass_at_k(n, c, k, 0) == pytest.approx(pass_at_k(n, c, k), abs=1e-12)
    assert g_pass_at_k(n, c, k, 1) == pytest.approx(pass_hat_k(n, c, k), abs=1e-12)
    assert pass_hat_k(n, c, 1) == pytest.approx(c / n)
    by_tau = [g_pass_at_k(n, c, k, tau) for tau in (0, 0.25, 0.5, 0.75, 1)]
    assert np.all(np.diff(by_tau) <= 1e-12)
    assert pass_hat_k(n, c, k) <= pass_at_k(n, c, k) + 1e-12
    assert 0 <= mg_pass_at_k(n, c, k) <= (1.0 if k % 2 == 0 else 1 - 1 / k) + 1e-12
    assert pass_hat_k(n, c, k) == pytest.approx(1 - pass_at_k(n, n - c, k), abs=1e-12)


def test_floats_mean_the_fractions_they_were_rounded_from() -> None:
    assert math.ceil(0.07 * 100) == 8
    assert g_pass_at_k(100, 7, 100, 0.07) == 1.0 == g_pass_at_k(100, 7, 100, Fraction(7, 100))
    assert g_pass_at_k(100, 7, 100, Decimal("0.07")) == 1.0
    for k in range(1, 200):
        for m in range(1, k + 1):
            assert as_share(m / k) * k == m
    assert cover_at_tau(100, 7, 0.07) == 1.0
    assert cover_at_tau(30, 21, 0.7) == 1.0
    assert cover_at_tau(30, 20, 0.7) == 0.0


def test_cover_at_tau_by_hand() -> None:
    n, c = 20, np.array([18, 11, 6, 1, 0])
    shares = {0: 0.8, 0.01: 0.8, 0.05: 0.8, 0.1: 0.6, 0.25: 0.6, 0.5: 0.4, 0.75: 0.2, 0.9: 0.2, 1: 0.0}
    assert {tau: float(np.mean(cover_at_tau(n, c, tau))) for tau in shares} == pytest.approx(shares)


def test_pass_at_k_is_an_average_of_cover_over_tau() -> None:
    """pass@k = integral of k (1-t)^(k-1) cover(t), for the plug-in rates."""
    rates = np.array([18, 11, 6, 1, 0]) / 20
    for k, expected in ((1, 0.36), (4, 0.58086), (16, 0.71131)):
        assert np.mean(1 - (1 - rates) ** k) == pytest.approx(expected, abs=1e-4)
        t = (np.arange(20_000) + 0.5) / 20_000
        cover = np.mean(rates[:, None] >= t, axis=0)
        assert np.mean(k * (1 - t) ** (k - 1) * cover) == pytest.approx(expected, abs=2e-4)


def test_posterior_cover_is_smooth_and_shrunk() -> None:
    assert cover_posterior_at_tau(10, 3, 0.3) == probability_at_least(10, 3, 0.3)
    assert 0.4 < cover_posterior_at_tau(10, 3, 0.3) < 0.6
    by_count = cover_posterior_at_tau(10, np.arange(11), 0.3)
    assert np.all(np.diff(by_count) > 0)
    assert cover_posterior_at_tau(10_000, 3100, 0.3) > 0.98
    assert math.isnan(cover_posterior_at_tau(0, 0, 0.3))


@pytest.mark.parametrize("measure", [pass_hat_k, mg_pass_at_k])
def test_more_draws_than_samples_are_undefined(measure) -> None:
    values = measure([4, 4, 0, 9], [0, 4, 0, 9], 8)
    assert np.isnan(values[:3]).all()
    assert values[3] > 0
    assert math.isnan(measure(4, 4, 5))
    assert measure([], [], 1).shape == (0,)


def test_more_draws_than_samples_are_undefined_for_a_threshold_too() -> None:
    assert math.isnan(g_pass_at_k(4, 4, 8, 0.5))
    assert math.isnan(g_pass_at_k(0, 0, 1, 0.5))
    np.testing.assert_array_equal(cover_at_tau([0, 4], [0, 4], 0.5), [np.nan, 1.0])


@pytest.mark.parametrize("tau", [-0.1, 1.01, math.nan, "0.5", True, None])
def test_thresholds_outside_the_unit_interval_are_refused(tau: object) -> None:
    with pytest.raises(ConfigError, match="share in"):
        g_pass_at_k(4, 2, 2, tau)
    with pytest.raises(ConfigError, match="share in"):
        cover_at_tau(4, 2, tau)
