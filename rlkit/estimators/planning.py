"""How much more it would take to settle a difference: more problems always help, more samples only up to a floor."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from rlkit.errors import ConfigError


@dataclass(frozen=True)
class Needed:
    """What would show a difference of the size that was seen, if that is its true size."""

    difference: float
    standard_error: float
    """Over problems, of the mean difference."""
    detectable: float
    """Smallest true difference that as many problems and samples show with the given power."""
    num_problems: float
    """Problems needed in all at the present number of samples; inf where the difference is 0."""
    num_samples: float
    """Samples a problem needed at the present problems; inf where no number is enough, NaN where it is not known."""
    within_share: float
    """Share of the variance that comes from drawing samples, all that more samples can remove; NaN if not known."""
    level: float
    power: float

    def as_json(self) -> dict[str, Any]:
        """Return the fields for JSON; what is not finite is None."""
        return {name: value if math.isfinite(value) else None for name, value in vars(self).items()}


def plan_for_difference(
    difference: float,
    standard_error: float,
    num_problems: int,
    num_samples: int,
    within_variance: float = math.nan,
    *,
    level: float = 0.95,
    power: float = 0.8,
) -> Needed:
    """Return how many problems, or samples a problem, would show a difference of the size that was seen.

    The variance of the mean difference is `(between + within) / M`: the spread of true differences between problems,
    and the noise of their samples. An interval leaves out 0 with the given power when its standard error is at most
    `target = |difference| / (z_level + z_power)`. Hence

        problems:  M' = M (standard_error / target)²
        samples:   n' = n within / (M target² - between)

    and no number of samples is enough where `between >= M target²`. n' is exact for pass@1. For larger k it is an upper
    bound, as n times the variance of a U-statistic falls with n (Hoeffding 1948, theorem 5.2).

    Args:
        difference: mean over problems.
        standard_error: of that mean, over problems.
        num_problems: M.
        num_samples: n of each of the two evaluations.
        within_variance: mean over problems of the variance of one problem's difference over samples, i.e. of the sum
            of `pass_at_k_variance` of both evaluations; NaN where it is not known.
        level: of the two-sided interval.
        power: chance to show the difference, if what was seen is its true size. What was seen is itself uncertain, and
            so is the plan.

    Raises:
        ConfigError: level or power is not between 0 and 1, or there are no problems.
    """
    if not (0 < level < 1 and 0 < power < 1 and num_problems >= 1):
        raise ConfigError(f"Level {level} and power {power} must lie between 0 and 1, and there must be a problem.")
    normal = statistics.NormalDist()
    reach = normal.inv_cdf(0.5 + level / 2) + normal.inv_cdf(power)
    target = abs(difference) / reach
    variance = num_problems * standard_error**2
    within = min(within_variance, variance) if math.isfinite(within_variance) else math.nan
    room = num_problems * target**2 - (variance - within)
    if standard_error == 0.0:
        problems, samples = float(num_problems if difference else math.inf), math.inf if not difference else num_samples
    else:
        problems = math.ceil(num_problems * (standard_error / target) ** 2) if target else math.inf
        samples = _samples(num_samples, within, room)
    share = within / variance if variance > 0 else math.nan
    return Needed(
        difference, standard_error, reach * standard_error, problems, float(samples), share, level=level, power=power
    )


def _samples(num_samples: int, within: float, room: float) -> float:
    if math.isnan(within):
        return math.nan
    return math.ceil(num_samples * within / room - 1e-9) if room > 0 else math.inf
