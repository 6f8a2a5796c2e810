"""Transforms that subtract a baseline."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform, count_scored
from rlkit.advantages.context import GroupContext


@dataclass(frozen=True)
class SubtractGroupMean(Transform):
    """Subtract the mean of the scored completions of the same prompt (GRPO, arXiv 2402.03300, section 4.1.1)."""

    makes = "advantages"
    min_group_size = 2

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        shifted_PG = _shift_to_lowest(values_PG)
        return shifted_PG - shifted_PG.nanmean(dim=1, keepdim=True)


@dataclass(frozen=True)
class SubtractLeaveOneOut(Transform):
    """Subtract the mean of the *other* scored completions of the prompt (RLOO, arXiv 2402.14740, equation 9).

    NaN where a completion has no scored sibling: there is no baseline then.
    """

    makes = "advantages"
    min_group_size = 2

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        count_P1 = count_scored(values_PG)
        others_P1 = torch.where(count_P1 > 1, count_P1 - 1, torch.nan)
        shifted_PG = _shift_to_lowest(values_PG)
        return shifted_PG - (shifted_PG.nansum(dim=1, keepdim=True) - shifted_PG) / others_P1


@dataclass(frozen=True)
class SubtractBatchMean(Transform):
    """Subtract the mean over every scored completion of the batch, whatever its prompt."""

    makes = "advantages"

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        shifted_PG = _shift_to_lowest(values_PG, dim=None)
        return shifted_PG - shifted_PG.nanmean()


def _shift_to_lowest(values_PG: torch.Tensor, dim: int | None = 1) -> torch.Tensor:
    """Return the values above the lowest of their group (of the batch: `dim=None`): 0.1s then centre to 0, not 1e-17.

    Divided by `eps`, that rounding would look like signal; and a row of weight exactly zero needs no forward pass.
    """
    if values_PG.numel() == 0:
        return values_PG
    known_PG = values_PG.nan_to_num(nan=torch.inf)
    return values_PG - (known_PG.amin() if dim is None else known_PG.amin(dim=dim, keepdim=True))
