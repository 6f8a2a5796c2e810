"""The alarm on made-up series: silent on rise and noise, on after patience, off only after patience."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlkit.errors import ConfigError
from rlkit.estimators.drop_alarm import drop_alarm, smoothed


def test_smoothing_is_the_recursion_and_skips_what_is_undefined() -> None:
    np.testing.assert_allclose(smoothed([1.0, 3.0, math.nan, 2.0], 0.5), [1.0, 2.0, 2.0, 2.0])
    assert np.isnan(smoothed([math.nan, 1.0])[0])
    np.testing.assert_allclose(smoothed([4.0, 2.0], 0.0), [4.0, 2.0])


def test_it_goes_on_after_patience_and_off_after_patience() -> None:
    series = [10.0, 9.7, 9.7, 9.7, 9.7, 9.9, 9.7, 9.9, 9.9, 9.9, 9.9]
    assert drop_alarm(series, smoothing=0.0).tolist() == [
        False, False, False, True, True, True, True, True, True, False, False
    ]  # fmt: skip


def test_it_is_silent_on_a_rise_a_plateau_and_a_drop_within_bounds() -> None:
    assert not drop_alarm(np.linspace(1, 2, 20)).any()
    assert not drop_alarm(np.ones(20)).any()
    assert not drop_alarm([10.0, *[9.81] * 20]).any()
    assert drop_alarm([10.0, *[9.79] * 20]).any()


def test_undefined_values_are_no_evidence() -> None:
    flags = drop_alarm([10.0, 9.0, math.nan, 9.0, 9.0, math.nan], smoothing=0.0)
    assert flags.tolist() == [False, False, False, False, True, True]
    assert not drop_alarm([-1.0, -5.0, -5.0, -5.0]).any()


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError, match="drop=0"):
        drop_alarm([1.0], drop=0.0)
    with pytest.raises(ConfigError, match="smoothing was given as 1"):
        smoothed([1.0], 1.0)
