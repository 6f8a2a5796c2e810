"""Quantiles of Student's t, so that intervals of small benchmarks need no more than numpy."""

from __future__ import annotations

import math
import statistics
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=256)
def critical_value(level: float, degrees: int) -> float:
    """Return by how many standard errors a two-sided interval of this confidence level reaches to each side."""
    upper = 0.5 + level / 2
    # From here on the two agree to 1e-5 relative, and the series gets long.
    return student_t_quantile(upper, degrees) if degrees <= 100_000 else statistics.NormalDist().inv_cdf(upper)


def student_t_quantile(probability: float, degrees: int) -> float:
    """Return the quantile of Student's t with an integer number of degrees of freedom.

    Inverts the finite series of Abramowitz & Stegun 26.7.3 and 26.7.4 by bisection over atan(t / sqrt(degrees)).
    """
    if probability < 0.5:
        return -student_t_quantile(1.0 - probability, degrees)
    inside, low, high = 2.0 * probability - 1.0, 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _mass_within_angle(middle, degrees) < inside else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def _mass_within_angle(angle: float, degrees: int) -> float:
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    steps = np.arange(2 + odd, degrees, 2)
    terms = np.cumprod(np.concatenate([[cosine if odd else 1.0], cosine**2 * (steps - 1) / steps]))
    if degrees == 1:
        return 2.0 * angle / math.pi
    return 2.0 / math.pi * (angle + sine * float(terms.sum())) if odd else sine * float(terms.sum())
