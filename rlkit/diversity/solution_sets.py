"""Diversity against all that could be said: the set of solutions where it is known, and sets of equations where not."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from rlkit.errors import ConfigError
from rlkit.estimators import rarefied_distinct, shannon_entropy
from rlkit.parameters import check_count


@dataclass(frozen=True)
class SolutionCoverage:
    """How the correct samples of one problem spread over its set of solutions."""

    coverage: float
    """Expected share of the set among k samples, wrong ones included: rarefied, so it compares across sample sizes."""
    entropy: float
    """Plug-in entropy of the solutions found, in nats; NaN without a correct sample."""
    largest_entropy: float
    """Entropy of the uniform distribution on the set, ln |set|."""
    kl_to_uniform: float
    """KL divergence of the samples' distribution from the uniform one on the set, nats; 0 spreads evenly over all.

    With few samples most of it is sampling: n even draws cannot come below `ln |set| - ln n`.
    """


def cover_solutions(counts: ArrayLike, num_solutions: int, k: int, num_samples: int | None = None) -> SolutionCoverage:
    """Return how correct samples spread over a finite set of solutions.

    Args:
        counts: correct samples of each solution that was found, shape (C,), integers >= 0.
        num_solutions: size of the set, at least C.
        k: budget of the coverage; NaN where it exceeds the number of samples.
        num_samples: all samples drawn, wrong ones included; the correct ones when not given.

    Raises:
        ConfigError: the set is empty or smaller than what was found, or counts and k are not allowed.
    """
    check_count("cover_solutions", "num_solutions", num_solutions)
    counts_C = np.asarray(counts)
    num_found = int((counts_C > 0).sum())
    if num_found > num_solutions:
        raise ConfigError(f"{num_found} solutions were found in a set of {num_solutions}; are keys canonical?")
    entropy, largest = shannon_entropy(counts_C), math.log(num_solutions)
    coverage = float(rarefied_distinct(counts_C, k, num_samples)) / num_solutions
    return SolutionCoverage(coverage, entropy, largest, max(largest - entropy, 0.0))


def set_jaccard_distance(sets_N: Sequence[Set[Hashable]]) -> float:
    """Return the mean over pairs of one less the Jaccard index of their sets, in [0, 1].

    Of `find_equations` it says how far ways of solving differ. Unbiased in the number of sets. Pairs of two empty sets
    say nothing and are left out; NaN where no pair is left.
    """
    distances = [
        1.0 - len(left & right) / len(left | right) for left, right in combinations(sets_N, 2) if left or right
    ]
    return float(np.mean(distances)) if distances else math.nan
