"""Credit that goes to solutions, not to how often each was written."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.advantages.correctness import read_outcomes
from rlkit.advantages.distinctness import compare_among
from rlkit.parameters import check_number


@dataclass(frozen=True)
class EqualiseSolutions(Transform):
    """Give each distinct correct solution of a group the same weight, however often it was written.

    A correct completion's value is multiplied by s ** -power, divided by the mean of that over the group's correct
    ones, where s counts the correct completions of its class: the copies of a solution share what one gets. Under
    `power: 1` every solution gets the same in all, under 0 every completion. What equal values sum up to stays. Wrong
    completions stay as they are, and so does a lone correct one.

    It comes after the baseline and the scaling; groups that are all right have values of 0 by then and learn nothing.
    Before the baseline it pays for rare solutions in those too, as DARLING does.

    Classes are those of the correct completions among themselves: a wrong one never joins two. Correctness is
    `ctx.correct_PG`, or the rewards that the chain started from where all of them are 0 or 1.

    Our own. Cue-GRPO (arXiv 2608.03467) has, second hand, the power 0.8 and weights kept within 0.3 and 3.

    Raises:
        ConfigError: when built, `power` is not a number of at least 0.
        MissingInputError: on call, when the partition is absent, or correctness is and the rewards are not binary.
    """

    power: float = 1.0
    """0 or more: how far copies share; 1 shares in full, more favours rare solutions."""

    min_group_size = 2

    def __post_init__(self) -> None:
        check_number(self.name, "power", self.power, at_least=0, at_most=100)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"labels_PG", "equivalent_PGG"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        is_right_PG = read_outcomes(values_PG, ctx, self.name) > 0.5
        sizes_PG = compare_among(ctx, is_right_PG, self.name).sum(dim=2).double()
        weights_PG = sizes_PG.pow(-self.power).masked_fill(~is_right_PG, torch.nan)
        weights_PG = weights_PG / weights_PG.nanmean(dim=1, keepdim=True)
        return torch.where(is_right_PG, values_PG * weights_PG, values_PG)
