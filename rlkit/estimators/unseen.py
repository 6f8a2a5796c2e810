"""How many solutions of a problem are still to be found, from how often each of those found was drawn.

Counts are of correct samples of one sampler, before duplicates are dropped: f1 solutions were seen once, f2 twice, d in
all, in m samples. Samples of several models, or a sampler that cuts the tail off (top-k, top-p), break what all of
these assume, that every solution has one chance and the draws are independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rlkit.errors import ConfigError


@dataclass(frozen=True)
class Unseen:
    """What is left to find, as the counts of one problem tell it."""

    num_samples: int
    """m, correct samples."""
    num_found: int
    """d, distinct solutions among them."""
    num_once: int
    """f1, solutions that were seen once."""
    num_twice: int
    """f2, solutions that were seen twice."""

    @property
    def mass(self) -> float:
        """Chance that the next correct sample is a solution not seen before, f1 / m; NaN where no more than one was
        drawn, of which nothing can be said.

        Source: Good 1953, Biometrika 40, attributed there to Turing.
        """
        return self.num_once / self.num_samples if self.num_samples > 1 else math.nan

    @property
    def chao1(self) -> float:
        """Lower bound of the number of solutions that there are, found ones included; NaN as `mass`.

        d + (m - 1) / m f1^2 / (2 f2), and with no solution seen twice the bias-corrected form below. Source: Chao 1984,
        Scandinavian Journal of Statistics 11.
        """
        if self.num_twice == 0:
            return self.chao1_corrected
        return self.num_found + self._most_of_one * self.num_once**2 / (2 * self.num_twice)

    @property
    def chao1_corrected(self) -> float:
        """The same, bias-corrected: d + (m - 1) / m f1 (f1 - 1) / (2 (f2 + 1)); defined for f2 = 0."""
        return self.num_found + self._most_of_one * self.num_once * (self.num_once - 1) / (2 * (self.num_twice + 1))

    @property
    def coverage(self) -> float:
        """Share of the correct samples' probability that the found solutions hold; NaN where undefined.

        1 - f1 / m ((m - 1) f1 / ((m - 1) f1 + 2 f2)), and without solutions seen twice
        1 - f1 / m ((m - 1) (f1 - 1) / ((m - 1) (f1 - 1) + 2)). Source: Chao and Jost 2012, Ecology 93.
        """
        if self.num_samples <= 1:
            return math.nan
        if self.num_once == 0:
            return 1.0
        pairs = (self.num_samples - 1) * (self.num_once if self.num_twice else self.num_once - 1)
        return 1.0 - self.mass * pairs / (pairs + (2 * self.num_twice if self.num_twice else 2))

    def expect_new(self, num_samples: int) -> float:
        """Return how many new solutions so many further correct samples are expected to give; NaN as `mass`.

        f0 [1 - (1 - f1 / (m f0 + f1))^t], with f0 = chao1 - d. Source: Chao et al. 2009, Ecology 90.
        """
        if num_samples < 0:
            raise ConfigError(f"num_samples was given as {num_samples}; write a number of 0 or more.")
        unseen = self.chao1 - self.num_found
        if math.isnan(unseen) or unseen == 0:
            return unseen
        chance = self.num_once / (self.num_samples * unseen + self.num_once)
        return unseen * (1.0 - (1.0 - chance) ** num_samples)

    @property
    def _most_of_one(self) -> float:
        return (self.num_samples - 1) / self.num_samples if self.num_samples > 1 else math.nan


def count_unseen(counts: Sequence[int]) -> Unseen:
    """Return what the counts of a problem's solutions tell of those not found.

    Args:
        counts: how often each distinct solution was drawn, 1 or more each.

    Raises:
        ConfigError: a count is below 1.
    """
    if any(count < 1 for count in counts):
        raise ConfigError(f"A solution that was found was drawn at least once, but the counts are {list(counts)}.")
    return Unseen(sum(counts), len(counts), sum(count == 1 for count in counts), sum(count == 2 for count in counts))


def bound_pass_rate(num_samples: int, level: float = 0.95) -> float:
    """Return the largest pass rate that no correct sample of so many leaves possible, 1 - (1 - level)^(1 / n).

    NaN without a sample. The one-sided exact (Clopper-Pearson) limit.
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level was given as {level!r}; write a share between 0 and 1.")
    return 1.0 - (1.0 - level) ** (1.0 / num_samples) if num_samples > 0 else math.nan


def expect_distinct(counts: Sequence[int], num_drawn: int, num_kept: int) -> float:
    """Return how many of the found solutions so many of the samples drawn would have shown (rarefaction).

    Args:
        counts: how often each distinct solution was drawn.
        num_drawn: samples drawn, correct or not.
        num_kept: samples kept of these, at random without replacement.

    Source: Hurlbert 1971, Ecology 52. Unbiased for what `num_kept` samples would have found.
    """
    if not 0 <= num_kept <= num_drawn or sum(counts) > num_drawn:
        raise ConfigError(
            f"{num_kept} of {num_drawn} samples were to be kept, {sum(counts)} of them correct; keep no more than were "
            "drawn."
        )
    return sum(1.0 - _chance_of_none(count, num_drawn, num_kept) for count in counts)


def _chance_of_none(count: int, num_drawn: int, num_kept: int) -> float:
    if num_kept > num_drawn - count:
        return 0.0
    return math.comb(num_drawn - count, num_kept) / math.comb(num_drawn, num_kept)
