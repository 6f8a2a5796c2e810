"""How many standard errors an interval reaches to each side, by Student's t."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=256)
def critical_value(level: float, degrees: int) -> float:
    """Return by how many standard errors a two-sided interval of this confidence level reaches to each side.

    Args:
        level: between 0 and 1.
        degrees: of freedom, at least 1.
    """
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + level / 2))
