"""A model's front over temperature: what it reaches at the place where one of its measures has a given value.

A front is the points of one model at several temperatures, joined by straight lines. A place on it is a real number:
1.25 lies a quarter of the way from point 1 to point 2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def locate_on_front(values_RT: FloatArray, targets_R: FloatArray) -> FloatArray:
    """Return the first place on each front at which a measure has the target's value, shape (R,).

    Args:
        values_RT: the measure at each temperature, one front (a resample) a row; the temperature of which the place is
            wanted first where several have the value, e.g. the highest, comes first.
        targets_R: the value looked for in each front.

    Returns:
        A place between 0 and T - 1; NaN where no two neighbours have the target between them.
    """
    places_R = np.full(len(values_RT), math.nan)
    for at in range(values_RT.shape[1] - 1, 0, -1):
        start_R, end_R = values_RT[:, at - 1], values_RT[:, at]
        is_between_R = (np.minimum(start_R, end_R) <= targets_R) & (targets_R <= np.maximum(start_R, end_R))
        step_R = np.where(start_R == end_R, 1.0, end_R - start_R)
        places_R = np.where(is_between_R, at - 1 + (targets_R - start_R) / step_R, places_R)
    if values_RT.shape[1] == 1:
        places_R = np.where(values_RT[:, 0] == targets_R, 0.0, places_R)
    return places_R


def read_front(values_RT: FloatArray, places_R: FloatArray) -> FloatArray:
    """Return another measure (or the temperature) at places on each front, shape (R,); NaN at places that are NaN."""
    is_known_R = ~np.isnan(places_R)
    known_R = np.where(is_known_R, places_R, 0.0)
    left_R = np.minimum(known_R.astype(int), max(values_RT.shape[1] - 2, 0))
    right_R = np.minimum(left_R + 1, values_RT.shape[1] - 1)
    rows_R, shares_R = np.arange(len(values_RT)), known_R - left_R
    found_R = (1.0 - shares_R) * values_RT[rows_R, left_R] + shares_R * values_RT[rows_R, right_R]
    return np.where(is_known_R, found_R, math.nan)
