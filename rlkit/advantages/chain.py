"""Composition of transforms."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.advantages.user_transforms import is_own, run_own


@dataclass(frozen=True)
class Chain(Transform):
    """Transforms applied one after the other; an empty chain passes rewards through."""

    transforms: tuple[Transform, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        fields = frozenset().union(*(getattr(transform, "needs", ()) for transform in self.transforms))
        return fields - {"summed_rewards_PG"}

    @property
    def min_group_size(self) -> int:
        return max((getattr(transform, "min_group_size", 1) for transform in self.transforms), default=1)

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        stages = self.trace(values_PG, ctx)
        return stages[-1] if stages else values_PG

    def trace(self, values_PG: torch.Tensor, ctx: GroupContext) -> list[torch.Tensor]:
        """Return the values after each transform, in the chain's order; float64 in and out.

        Raises:
            PluginError: a transform of the user's own fails, or returns something other than values (P, G).
        """
        ctx = replace(ctx, summed_rewards_PG=values_PG) if ctx.summed_rewards_PG is None else ctx
        stages = []
        for transform in self.transforms:
            values_PG = run_own(transform, values_PG, ctx) if is_own(transform) else transform(values_PG, ctx)
            stages.append(values_PG)
        return stages
