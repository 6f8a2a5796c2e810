"""The Beta distribution against closed forms, its laws and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators import beta_cdf, beta_quantile


def test_closed_forms() -> None:
    x = np.linspace(0, 1, 21)
    np.testing.assert_allclose(beta_cdf(x, 1, 1), x, atol=1e-15)
    np.testing.assert_allclose(beta_cdf(x, 3, 1), x**3, atol=1e-14)
    np.testing.assert_allclose(beta_cdf(x, 0.5, 0.5), 2 / math.pi * np.arcsin(np.sqrt(x)), atol=1e-14)
    # Whole shapes: the tail of a binomial distribution.
    tail = sum(math.comb(10, j) * 0.3**j * 0.7 ** (10 - j) for j in range(4, 11))
    assert beta_cdf(0.3, 4, 7) == pytest.approx(tail, rel=1e-13)


def test_agrees_with_scipy_over_nine_orders_of_magnitude() -> None:
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng(0)
    a, b = 10 ** rng.uniform(-3, 4, (2, 3000))
    near_mean = np.clip(a / (a + b) * 10 ** rng.normal(0, 0.05, 3000), 0, 1)
    for x in (rng.uniform(size=3000), near_mean):
        np.testing.assert_allclose(beta_cdf(x, a, b), special.betainc(a, b, x), atol=1e-10)
    a, b = 10 ** rng.uniform(-0.5, 3, (2, 300))
    np.testing.assert_allclose(beta_quantile(0.975, a, b), special.betaincinv(a, b, 0.975), atol=1e-12)


def test_the_quantile_inverts_and_tails_mirror() -> None:
    a, b = np.array([0.5, 3.5, 40.5]), np.array([16.5, 29.5, 0.5])
    for share in (0.0, 0.025, 0.5, 1.0):
        np.testing.assert_allclose(beta_cdf(beta_quantile(share, a, b), a, b), share, atol=1e-9)
    np.testing.assert_allclose(beta_cdf(0.2, a, b), 1 - np.asarray(beta_cdf(0.8, b, a)), atol=1e-14)


@pytest.mark.parametrize("arguments", [(1.5, 1, 1), (0.5, 0, 1), (0.5, 1, math.inf), (math.nan, 1, 1)])
def test_what_is_no_beta_distribution_is_refused(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="Beta distribution"):
        beta_cdf(*arguments)
    with pytest.raises(ConfigError, match="Beta distribution"):
        beta_quantile(*arguments)
