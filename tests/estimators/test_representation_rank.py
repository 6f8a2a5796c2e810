"""RankMe in both forms and the slope of the spectrum: golden numbers, closed forms, degenerate spectra."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators.representation_rank import alpha_req, rank_me, rank_me_covariance, singular_spectrum

FEATURES = np.random.default_rng(0).normal(size=(512, 64)) * np.arange(1, 65) ** -0.5


def test_golden() -> None:
    assert rank_me(singular_spectrum(FEATURES)) == pytest.approx(53.793, abs=5e-4)
    centred = singular_spectrum(FEATURES, centred=True)
    assert rank_me_covariance(centred) == pytest.approx(27.588, abs=5e-4)
    assert alpha_req(centred) == pytest.approx(1.1032, abs=5e-5)
    assert alpha_req(centred, 3, 50) == pytest.approx(1.0658, abs=5e-5)


def test_a_pure_power_law_gives_its_exponent_in_every_window() -> None:
    values = np.arange(1, 101) ** -0.7  # eigenvalues are squares: alpha is 1.4
    for window in ((1, None), (3, 50), (90, 100)):
        assert alpha_req(values, *window) == pytest.approx(1.4)
    assert math.isnan(alpha_req(values, 200, 300))
    with pytest.raises(ConfigError, match="first <= last"):
        alpha_req(values, 5, 4)


def test_a_flat_spectrum_fills_all_dimensions_and_one_direction_fills_one() -> None:
    assert rank_me(np.ones(32)) == pytest.approx(32.0, rel=1e-4)
    assert rank_me_covariance(np.ones(32)) == pytest.approx(32.0)
    assert rank_me(np.array([3.0, 0.0])) == pytest.approx(1.0, abs=1e-4)
    assert rank_me_covariance(np.array([3.0, 0.0])) == 1.0


def test_the_covariance_form_is_never_above_the_other() -> None:
    for seed in range(5):
        values = np.random.default_rng(seed).exponential(size=20)
        assert rank_me_covariance(values) <= rank_me(values) + 1e-3


def test_the_spectrum_is_that_of_the_covariance() -> None:
    centred = singular_spectrum(FEATURES, centred=True)
    eigenvalues = np.linalg.eigvalsh(np.cov(FEATURES.T))[::-1]
    np.testing.assert_allclose(centred**2 / 511, eigenvalues)


def test_centring_takes_a_common_component_out() -> None:
    shifted = FEATURES + 100.0
    assert rank_me(singular_spectrum(shifted)) < 20
    np.testing.assert_allclose(singular_spectrum(shifted, centred=True), singular_spectrum(FEATURES, centred=True))


def test_degenerate_features() -> None:
    assert math.isnan(rank_me(singular_spectrum(np.zeros((4, 3)))))
    assert math.isnan(rank_me_covariance(singular_spectrum(np.empty((0, 3)))))
    # Rank 2: rounding leaves a third value of 1e-16, which is no part of a power law.
    low_rank = np.outer([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]) + np.outer([1.0, 0.0, 1.0], [0.1, 0.2, 0.4])
    values = singular_spectrum(low_rank)
    assert alpha_req(values) == pytest.approx(alpha_req(values, 1, 2))
    with pytest.raises(ConfigError, match="finite"):
        singular_spectrum([[math.nan, 1.0]])
