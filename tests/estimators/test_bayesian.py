"""Bayesian pass@k: worked numbers, quadrature over the posterior, the limit of many samples, and scorio's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.errors import ConfigError
from rlkit.estimators import (
    bayes_benchmark_pass_at_k,
    bayes_pass_at_k,
    bayes_pass_at_k_sd,
    pass_at_k,
    probability_at_least,
)


def test_golden_numbers() -> None:
    np.testing.assert_allclose(bayes_pass_at_k(16, [12, 4], 8, "uniform"), [0.9995423341, 0.8835309618], atol=1e-10)
    benchmark = bayes_benchmark_pass_at_k(16, [12, 4], 8, prior="uniform")
    assert benchmark.value == pytest.approx(0.9415366479, abs=1e-10)
    assert benchmark.sd == pytest.approx(0.0559277364, abs=1e-10)
    assert (benchmark.low, benchmark.high) == pytest.approx((0.83192, 1.0), abs=1e-5)
    assert bayes_pass_at_k(16, 0, 8, "uniform") == pytest.approx(0.32)
    assert bayes_pass_at_k(16, 0, 8) == pytest.approx(0.1814, abs=1e-4)


@pytest.mark.parametrize(("n", "c", "k"), [(0, 0, 1), (4, 0, 9), (16, 5, 3), (8, 8, 2)])
@pytest.mark.parametrize("prior", [(1.0, 1.0), (2.0, 3.5)])
def test_moments_are_those_of_the_posterior_by_quadrature(n: int, c: int, k: int, prior: tuple[float, float]) -> None:
    nodes, weights = np.polynomial.legendre.leggauss(200)
    p, weights = (nodes + 1) / 2, weights / 2
    density = weights * p ** (prior[0] + c - 1) * (1 - p) ** (prior[1] + n - c - 1)
    density /= density.sum()
    passed = 1 - (1 - p) ** k
    mean = density @ passed
    assert bayes_pass_at_k(n, c, k, prior) == pytest.approx(mean, rel=1e-6)
    sd = math.sqrt(density @ (passed - mean) ** 2)
    assert bayes_pass_at_k_sd(n, c, k, prior) == pytest.approx(sd, rel=1e-5, abs=1e-9)


def test_agrees_with_scorio() -> None:
    scorio = pytest.importorskip("scorio.eval")
    flags = np.array([[1] * 12 + [0] * 4, [1] * 4 + [0] * 12, [0] * 16])
    for k in (1, 5, 16):
        ours = bayes_benchmark_pass_at_k(16, flags.sum(axis=1), k, prior="uniform")
        mean, sd, low, high = scorio.pass_at_k_ci(flags, k, alpha0=1.0, beta0=1.0)
        assert (ours.value, ours.sd, ours.low, ours.high) == pytest.approx((mean, sd, low, high), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 40), st.data())
def test_laws(n: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, 100))
    value = bayes_pass_at_k(n, c, k)
    assert 0 < value <= bayes_pass_at_k(n, c, k + 1) <= 1
    assert c == n or value < bayes_pass_at_k(n, c + 1, k) or value > 1 - 1e-12
    assert bayes_pass_at_k(n, c, 1) == pytest.approx((c + 0.5) / (n + 1))
    assert bayes_pass_at_k_sd(n, c, k) ** 2 <= value * (1 - value) + 1e-12


def test_many_samples_give_the_unbiased_estimate() -> None:
    for n in (100, 10_000):
        gap = abs(bayes_pass_at_k(n, n // 5, 8) - pass_at_k(n, n // 5, 8))
        assert gap < 2.5 / n


def test_more_draws_than_samples_are_defined_and_shapes_broadcast() -> None:
    values = bayes_pass_at_k(np.array([[4], [0]]), np.array([[0], [0]]), [1, 8, 1000])
    assert values.shape == (2, 3)
    assert np.all((values > 0) & (values < 1))
    assert values[1, 0] == pytest.approx(0.5)
    assert math.isnan(bayes_benchmark_pass_at_k([], [], 4).value)


def test_a_tiny_spread_keeps_its_digits() -> None:
    n, c = 10**6, 5 * 10**5
    rate = (c + 0.5) / (n + 1)
    assert bayes_pass_at_k_sd(n, c, 1) == pytest.approx(math.sqrt(rate * (1 - rate) / (n + 2)), rel=1e-6)


def test_probability_at_least_is_the_tail() -> None:
    assert probability_at_least(10, 3, 0.0) == 1.0
    assert probability_at_least(10, 3, 1.0) == 0.0
    assert probability_at_least(0, 0, 0.25, "uniform") == pytest.approx(0.75)
    assert probability_at_least(1000, 0, 0.05) < 1e-20


def test_priors_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'jeffreys'"):
        bayes_pass_at_k(4, 1, 1, "jeffries")
    with pytest.raises(ConfigError, match="positive shapes"):
        bayes_pass_at_k(4, 1, 1, (0.0, 1.0))
    with pytest.raises(ConfigError, match="95 %"):
        bayes_benchmark_pass_at_k(4, [1], 1, 95)
    with pytest.raises(ConfigError, match="larger than"):
        bayes_pass_at_k(4, 5, 1)
