"""Transforms that change the size of values, not their order."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform, nan_std
from rlkit.advantages.context import GroupContext
from rlkit.errors import ConfigError
from rlkit.parameters import check_choice, check_number, show


@dataclass(frozen=True)
class _DivideByStd(Transform):
    ddof: int = 1
    """1 divides the squares by n - 1 (torch.std, TRL, verl); 0 by n."""
    eps: float = 1e-4
    """Added to the standard deviation, not under the root; 1e-4 is TRL's, verl has 1e-6."""

    def __post_init__(self) -> None:
        if isinstance(self.ddof, bool) or not isinstance(self.ddof, int) or self.ddof not in (0, 1):
            raise ConfigError(
                f"{self.name} was given ddof={show(self.ddof)}; write 1 (divide by n - 1) or 0 (divide by n)."
            )
        check_number(self.name, "eps", self.eps, above=0)


@dataclass(frozen=True)
class DivideByGroupStd(_DivideByStd):
    """Divide by the standard deviation inside each group plus `eps` (GRPO).

    A group with a single scored completion has no standard deviation under ddof=1 and becomes NaN, as in TRL.
    """

    makes = "advantages"
    min_group_size = 2

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        return values_PG / (nan_std(values_PG, self.ddof, dim=1) + self.eps)


@dataclass(frozen=True)
class DivideByBatchStd(_DivideByStd):
    """Divide by one standard deviation over the whole batch plus `eps` (REINFORCE++; TRL's scale_rewards="batch").

    The deviation is that of the values as they arrive. TRL takes it from the *uncentred* rewards, so to reproduce TRL
    put `take="rewards"`.
    """

    makes = "advantages"

    take: str = "values"
    """`values`: of the current values; `rewards`: of the summed rewards before any transform."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.name, "take", self.take, ("values", "rewards"))

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"summed_rewards_PG"} if self.take == "rewards" else ())

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        source = values_PG if self.take == "values" else ctx.require("summed_rewards_PG", self.name)
        return values_PG / (nan_std(source, self.ddof) + self.eps)


@dataclass(frozen=True)
class ClipByAbs(Transform):
    """Clip values to [-limit, limit]."""

    limit: float

    def __post_init__(self) -> None:
        check_number(self.name, "limit", self.limit, above=0)

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        return values_PG.clamp(-self.limit, self.limit)


@dataclass(frozen=True)
class DropZeroVarianceGroups(Transform):
    """Mask (NaN) groups whose scored values are all equal: they say nothing about which completion is better."""

    makes = "advantages"
    min_group_size = 2

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        low_P1 = values_PG.nan_to_num(nan=torch.inf).amin(dim=1, keepdim=True)
        high_P1 = values_PG.nan_to_num(nan=-torch.inf).amax(dim=1, keepdim=True)
        return values_PG.masked_fill(low_P1 >= high_P1, torch.nan)
