"""Intervals of one success rate: worked numbers, symmetry, and how often they cover the truth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators import jeffreys_interval, wilson_interval


def test_golden_numbers() -> None:
    assert jeffreys_interval(32, 3) == pytest.approx((0.0271192, 0.2295107), abs=1e-7)
    assert wilson_interval(32, 3) == pytest.approx((0.0324016, 0.2421815), abs=1e-7)


@pytest.mark.parametrize("interval", [jeffreys_interval, wilson_interval])
def test_laws(interval: Callable) -> None:
    n, c = 20, np.arange(21)
    low, high = interval(n, c)
    np.testing.assert_allclose(low, 1 - high[::-1], atol=1e-12)
    assert np.all(np.diff(low) > 0)
    assert np.all((low <= c / n) & (c / n <= high))
    assert (low[0], high[-1]) == (0.0, 1.0)
    narrower_low, narrower_high = interval(n, c, 0.5)
    assert np.all((narrower_low >= low) & (narrower_high <= high))
    assert [*map(math.isnan, interval(0, 0))] == [True, True]


@pytest.mark.parametrize("interval", [jeffreys_interval, wilson_interval])
def test_intervals_cover_on_average_as_often_as_they_say(interval: Callable) -> None:
    n, c = 32, np.arange(33)
    low, high = interval(n, c)
    combinations = np.array([math.comb(n, i) for i in c], dtype=float)
    rates = np.linspace(0.01, 0.99, 197)
    covered = [np.sum(combinations * p**c * (1 - p) ** (n - c), where=(low <= p) & (p <= high)) for p in rates]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.006)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="95 %"):
        wilson_interval(4, 2, 95)
    with pytest.raises(ConfigError, match="larger than"):
        jeffreys_interval(4, 5)
