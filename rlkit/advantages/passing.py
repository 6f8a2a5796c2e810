"""Advantages that reward a group for what k draws from it would reach, not for its average completion."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform, count_scored
from rlkit.advantages.context import GroupContext
from rlkit.advantages.correctness import read_correctness
from rlkit.errors import ConfigError
from rlkit.parameters import check_choice, check_count, check_number

_VARIANTS = ("plain", "loo", "loo_minus_one")


@dataclass(frozen=True)
class PassAtK(Transform):
    """Replace every value by its advantage when pass@k is the reward of a group (arXiv 2508.10751).

    With N scored completions, F of them wrong, a random k-subset holds a correct one with chance R = 1 - C(F, k) /
    C(N, k); its 0/1 reward has the standard deviation s = sqrt(R (1 - R)). A correct completion gets (1 - R) /
    (s + eps), a wrong one (1 - R - C(F - 1, k - 1) / C(N - 1, k - 1)) / (s + eps). The sum over a group is 0; k = 1 is
    GRPO with ddof=0. Groups without a correct completion get 0, and so do groups with fewer than k wrong ones, which
    count as solved.

    Correctness is `ctx.correct_PG`, or the values themselves where all of them are 0 or 1. Completions that were not
    scored, or whose correctness is unknown, are NaN and left out of N and F. A group with fewer than k scored
    completions is NaN: pass@k does not exist there.

    Where we differ: the released code lets rewards other than 0 and 1 through as they are, next to advantages; here
    they are refused. Ratios of binomials are products of k factors, so no N overflows.

    Raises:
        ConfigError: when built, k is no whole number from 1 or eps not positive; on call, k is larger than G.
        MissingInputError: on call, when correctness is absent and the values are not binary.
    """

    makes = "advantages"

    k: int = 4
    """Draws that share one reward, 1 <= k <= G."""
    eps: float = 1e-6
    """Added to the standard deviation, not under the root."""

    def __post_init__(self) -> None:
        check_count(self.name, "k", self.k)
        check_number(self.name, "eps", self.eps, above=0)

    @property
    def min_group_size(self) -> int:
        return self.k

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        _refuse_k_above(self.name, self.k, values_PG.shape[1])
        correct_PG = read_correctness(values_PG, ctx, self.name).masked_fill(values_PG.isnan(), torch.nan)
        scored_P1 = count_scored(correct_PG).double()
        wrong_P1 = (correct_PG <= 0.5).sum(dim=1, keepdim=True).double()
        # C(F-1, k-1) / C(N-1, k-1): a k-subset fails, given that one certain wrong completion is in it.
        drawn_k = torch.arange(1, self.k, dtype=torch.float64)
        fails_with_P1 = ((wrong_P1 - drawn_k) / (scored_P1 - drawn_k)).clamp(min=0).prod(dim=1, keepdim=True)
        fails_P1 = fails_with_P1 * wrong_P1 / scored_P1
        scale_P1 = (fails_P1 * (1 - fails_P1)).sqrt() + self.eps
        result_PG = torch.where(correct_PG > 0.5, fails_P1, fails_P1 - fails_with_P1) / scale_P1
        return result_PG.masked_fill(correct_PG.isnan() | (scored_P1 < self.k), torch.nan)


@dataclass(frozen=True)
class Pkpo(Transform):
    """Replace rewards by their weights in an unbiased gradient of the expected maximum of k draws (arXiv 2505.15201).

    For n scored rewards g, any real numbers, and the k-subsets I that hold completion i:
    `plain` is sum_I max_I g / C(n, k); `loo` subtracts k / (n - 1) times the mean maximum of the k-subsets that lack i,
    which leaves the gradient unbiased; `loo_minus_one` is sum_I (max_I g - max_{I without i} g) / C(n, k), the paper's
    recommendation, of least variance. Use them as they are, without a standard deviation. They are of size k / n, so
    the learning rate has to make up for that.

    A constant c added to all rewards leaves `loo_minus_one` as it is and moves `plain` by c k / n. It moves `loo` by
    -c k / (n (n - 1)): the paper's baseline is of k draws from n - 1, and so a little larger than what it is subtracted
    from. On 0/1 rewards `loo_minus_one` gives wrong completions exactly 0.

    NaN where a completion was not scored, and in groups with fewer than k scored ones (`loo`: with k or fewer). After a
    sort, every weight C(i - 1, k - 1) / C(n, k) follows from the next by a ratio, so no n overflows and equal rewards
    get exactly equal weights.

    Raises:
        ConfigError: when built, k is no whole number from 1, the variant is unknown, or `loo_minus_one` is given k = 1,
            where the maximum without i is one of nothing; on call, k > G, or k = G under `loo`.
    """

    makes = "advantages"

    k: int = 4
    """Draws of which the best counts, 1 <= k <= G."""
    variant: str = "loo_minus_one"
    """`plain`: no baseline; `loo`: leave one out; `loo_minus_one`: leave one out of every subset."""

    def __post_init__(self) -> None:
        check_count(self.name, "k", self.k)
        check_choice(self.name, "variant", self.variant, _VARIANTS)
        if self.variant == "loo_minus_one" and self.k == 1:
            raise ConfigError(
                "pkpo was given k=1 with variant 'loo_minus_one', which needs k >= 2; write variant: loo."
            )

    @property
    def min_group_size(self) -> int:
        return self.k + (self.variant == "loo")

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        _refuse_k_above(self.name, self.k, values_PG.shape[1] - (self.variant == "loo"))
        order_PG = values_PG.nan_to_num(nan=-torch.inf).argsort(dim=1, descending=True)
        falling_PG = values_PG.gather(1, order_PG).nan_to_num(nan=0.0)
        count_P1 = count_scored(values_PG).double()
        weighted_PG = self._weigh_sorted(falling_PG, count_P1)
        result_PG = torch.empty_like(values_PG).scatter_(1, order_PG, weighted_PG)
        return result_PG.masked_fill(values_PG.isnan() | (count_P1 < self.min_group_size), torch.nan)

    def _weigh_sorted(self, falling_PG: torch.Tensor, count_P1: torch.Tensor) -> torch.Tensor:
        """Return the weight of each reward; rewards fall along G and are 0 from the group's count on."""
        size = falling_PG.shape[1]
        weights_PG = _weigh_maxima(count_P1, self.k, size)
        steps_PG = torch.zeros_like(falling_PG)
        steps_PG[:, :-1] = falling_PG[:, :-1] - falling_PG[:, 1:]
        steps_PG = steps_PG.masked_fill(torch.arange(size) >= count_P1 - 1, 0.0)
        if self.variant == "loo_minus_one":
            return (steps_PG * weights_PG).flip(1).cumsum(1).flip(1)
        falls_PG = torch.zeros_like(falling_PG)
        falls_PG[:, 1:] = (steps_PG[:, :-1] * weights_PG[:, 1:]).cumsum(1)
        plain_PG = weights_PG[:, :1] * falling_PG[:, :1] - falls_PG
        if self.variant == "plain":
            return plain_PG
        expected_max_P1 = (weights_PG * falling_PG).sum(dim=1, keepdim=True)
        without_PG = (expected_max_P1 - plain_PG) * count_P1 / (count_P1 - self.k)
        return plain_PG - without_PG * self.k / (count_P1 - 1)


def _weigh_maxima(count_P1: torch.Tensor, k: int, size: int) -> torch.Tensor:
    """Return the share of k-subsets of n whose largest member is the d-th from the top, C(n-d-1, k-1) / C(n, k)."""
    place_G = torch.arange(size, dtype=torch.float64)
    ratios_PG = ((count_P1 - place_G + 1 - k) / (count_P1 - place_G)).clamp(min=0)
    ratios_PG = ratios_PG.masked_fill(place_G >= count_P1, 0.0)
    ratios_PG[:, :1] = k / count_P1
    return ratios_PG.cumprod(dim=1)


def _refuse_k_above(name: str, k: int, most: int) -> None:
    if k > most:
        raise ConfigError(
            f"{name} was given k={k}, but its groups allow at most {most}; write a smaller k or more generations."
        )
