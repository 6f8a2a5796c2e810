"""How much each solution of an archive counts: six rules, each with the distribution that it fits the model to.

Maximum likelihood on weighted rows moves the model towards q(x, y), the rows' shares of the weight. With c correct of n
samples, d distinct solutions, and count k of one of them, the share of a row is proportional to

    equal        1                            every distinct solution alike: problems with many solutions weigh more
    as_drawn     k                            the sampler's own distribution among correct samples: sharpens it
    sqrt_count   sqrt(k)                      halfway, in the exponent, between the two
    per_problem  1 / d                        every problem alike, and its solutions alike
    capped       min(d, 4) / d                a problem counts for up to four of its solutions
    hard_first   (n - c + 1) / (n + 2) / d    every problem by the chance that a sample fails, smoothed by one of each

`hard_first` may rest a problem on one path that was right by luck; the smoothing bounds it by 1, and no more.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rlkit.archive.contents import Problem, Solution

MOST_SOLUTIONS = 4
"""Solutions up to which a problem counts in full under `capped`."""

Rule = Callable[[Problem, Solution, int], float]
"""Weight of a solution of a problem of which so many solutions are rows."""

WEIGHTS: dict[str, Rule] = {
    "equal": lambda problem, solution, d: 1.0,
    "as_drawn": lambda problem, solution, d: float(solution.count),
    "per_problem": lambda problem, solution, d: 1.0 / d,
    "capped": lambda problem, solution, d: min(d, MOST_SOLUTIONS) / d,
    "sqrt_count": lambda problem, solution, d: math.sqrt(solution.count),
    "hard_first": lambda problem, solution, d: (problem.drawn - problem.correct + 1) / (problem.drawn + 2) / d,
}
