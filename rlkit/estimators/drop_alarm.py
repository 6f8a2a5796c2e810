"""An alarm on a series of evaluations: a smoothed number that has fallen from its best and stays there."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

Flags = NDArray[np.bool_]


def smoothed(values: ArrayLike, smoothing: float = 0.5) -> NDArray[np.float64]:
    """Return the exponential moving average, each new value weighing `1 - smoothing`; NaN repeats the last average."""
    if not 0.0 <= smoothing < 1.0:
        raise ConfigError(f"smoothing was given as {smoothing}; write a number from 0 (none) to below 1.")
    averages, average = [], math.nan
    for value in np.asarray(values, dtype=np.float64):
        if not math.isnan(value):
            average = value if math.isnan(average) else smoothing * average + (1.0 - smoothing) * value
        averages.append(average)
    return np.asarray(averages, dtype=np.float64)


def drop_alarm(values: ArrayLike, *, smoothing: float = 0.5, drop: float = 0.02, patience: int = 3) -> Flags:
    """Return at which evaluations the alarm is on.

    It goes on once the moving average has been more than `drop` below its running maximum at `patience` evaluations in
    a row, and off once it has been within that distance at as many in a row: noise at the line makes no flicker.

    Args:
        values: shape (T,), positive numbers in order of time; NaN is no evidence either way.
        smoothing: of the moving average.
        drop: share of the running maximum.
        patience: evaluations in a row.

    Returns:
        shape (T,). Where the running maximum is not positive, a share of it means nothing and the alarm stays as it is.

    Raises:
        ConfigError: a setting is out of range.
    """
    if not 0.0 < drop < 1.0 or patience < 1:
        raise ConfigError(f"drop={drop} and patience={patience} were given; write a share such as 0.02 and at least 1.")
    is_on, streak, best, flags = False, 0, -math.inf, []
    for raw, average in zip(np.asarray(values, dtype=np.float64), smoothed(values, smoothing), strict=True):
        if not math.isnan(raw):
            best = max(best, average)
            is_below = best > 0 and average < (1.0 - drop) * best
            streak = streak + 1 if is_below != is_on and best > 0 else 0
            if streak == patience:
                is_on, streak = not is_on, 0
        flags.append(is_on)
    return np.asarray(flags, dtype=np.bool_)
