"""The beta-binomial fit: recovery of known shapes, a second optimiser, closed forms, and where there is no maximum."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators import BetaBinomialFit, fit_beta_binomial


@pytest.mark.parametrize(("a", "b"), [(0.5, 1.0), (0.2, 2.0), (3.0, 5.0), (0.05, 0.1)])
def test_known_shapes_are_found_again_and_extrapolate(a: float, b: float) -> None:
    rng = np.random.default_rng(0)
    rates = rng.beta(a, b, 4000)
    fit = fit_beta_binomial(64, rng.binomial(64, rates))
    assert (fit.a, fit.b) == pytest.approx((a, b), rel=0.12)
    for k in (1, 64, 1024):
        assert fit.pass_at_k(k) == pytest.approx(np.mean(1 - (1 - rates) ** k), abs=0.015)


def test_agrees_with_a_general_optimiser() -> None:
    optimize, special = pytest.importorskip("scipy.optimize"), pytest.importorskip("scipy.special")
    rng = np.random.default_rng(1)
    n = rng.integers(1, 40, 300)
    c = rng.binomial(n, rng.beta(0.4, 1.3, 300))

    def loss(logs: np.ndarray) -> float:
        a, b = np.exp(logs)
        return -float(np.sum(special.betaln(a + c, b + n - c) - special.betaln(a, b)))

    found = optimize.minimize(loss, [0, 0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
    fit = fit_beta_binomial(n, c)
    assert (fit.a, fit.b) == pytest.approx(tuple(np.exp(found.x)), rel=1e-5)
    assert fit.log_likelihood == pytest.approx(-found.fun)


def test_extrapolation_is_the_closed_form_with_the_tail_of_its_left_edge() -> None:
    fit = BetaBinomialFit(0.5, 1.0, 0.0, 10)
    beta = math.lgamma(0.5) + math.lgamma(1.0 + 7) - math.lgamma(1.5 + 7)
    beta -= math.lgamma(0.5) + math.lgamma(1.0) - math.lgamma(1.5)
    assert fit.pass_at_k(7) == pytest.approx(1 - math.exp(beta), rel=1e-12)
    far, farther = 1 - np.asarray(fit.pass_at_k([10_000, 40_000]))
    assert far / farther == pytest.approx(4**0.5, rel=1e-3)


def test_multiplicities_stand_for_copies() -> None:
    merged = fit_beta_binomial(8, [0, 3, 8], [3, 2, 1])
    copied = fit_beta_binomial(8, [0, 0, 0, 3, 3, 8])
    assert (merged.a, merged.b) == pytest.approx((copied.a, copied.b), rel=1e-9)
    assert merged.num_problems == copied.num_problems == 6


@pytest.mark.parametrize("correct", [[0, 0, 0], [8, 8, 8], [4, 4, 4], [0, 8, 8], []])
def test_without_a_maximum_there_is_no_fit(correct: list[int]) -> None:
    fit = fit_beta_binomial(8, correct)
    assert math.isnan(fit.a)
    assert math.isnan(fit.pass_at_k(16))
    assert np.isnan(fit.pass_at_k([8, 16])).all()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="larger than"):
        fit_beta_binomial(4, [5])
    with pytest.raises(ConfigError, match="multiplicities"):
        fit_beta_binomial(4, [1, 2], [1])
    with pytest.raises(ConfigError, match="at least 1"):
        BetaBinomialFit(1.0, 1.0, 0.0, 1).pass_at_k(0)
