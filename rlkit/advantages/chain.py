"""Composition of transforms, and how recipes name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.advantages.user_transforms import check_transform, is_own, run_own
from rlkit.plugins import PluginKind
from rlkit.plugins import resolve as resolve_plugin

_TRANSFORMS = {
    "subtract_group_mean": "baselines:SubtractGroupMean",
    "subtract_leave_one_out": "baselines:SubtractLeaveOneOut",
    "subtract_batch_mean": "baselines:SubtractBatchMean",
    "divide_by_group_std": "scaling:DivideByGroupStd",
    "divide_by_batch_std": "scaling:DivideByBatchStd",
    "clip_by_abs": "scaling:ClipByAbs",
    "drop_zero_variance_groups": "scaling:DropZeroVarianceGroups",
    "weight_by_correctness": "correctness:WeightByCorrectness",
    "multiply_by_distinctness": "distinctness:MultiplyByDistinctness",
    "reweight_by_confidence": "likelihood:ReweightByConfidence",
    "discount_by_likelihood_rank": "likelihood:DiscountByLikelihoodRank",
    "pass_at_k": "passing:PassAtK",
    "pkpo": "passing:Pkpo",
    "match_majority": "majority:MatchMajority",
    "novelty_bands": "novelty:NoveltyBands",
    "add_outcome_bonus": "outcomes:AddOutcomeBonus",
    "divide_by_similarity": "similarity:DivideBySimilarity",
    "add_logdet_marginal": "similarity:AddLogdetMarginal",
    "add_elliptical_bonus": "similarity:AddEllipticalBonus",
}
_PRESETS = (
    *("grpo", "dr_grpo", "rloo", "psr", "nsr", "w_reinforce", "darling"),
    *("pro_grpo", "passk_grpo", "unlikeliness", "evol_rl", "ttrl", "outcome_ucb", "outcome_batch"),
    *("dra_grpo", "dqo", "rep_exp"),
)

ADVANTAGES = PluginKind(
    "advantage",
    "rlkit.advantages",
    {name: f"rlkit.advantages.{where}" for name, where in _TRANSFORMS.items()}
    | {name: f"rlkit.advantages.presets:{name}" for name in _PRESETS},
)


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


def chain(*transforms: Any) -> Chain:
    """Compose transforms, given as objects or as a recipe names them; nested chains are flattened.

    Raises:
        PluginError: a name is unknown or its parameters do not fit.
        ConfigError: something was given that cannot be called with values and a context, or says nonsense of its needs.
    """
    flat: list[Transform] = []
    for spec in transforms:
        transform = resolve_plugin(spec, ADVANTAGES)
        if isinstance(transform, Chain):
            flat.extend(transform.transforms)
        else:
            check_transform(transform)
            flat.append(transform)
    return Chain(tuple(flat))


def resolve(spec: Any) -> Chain:
    """Build the chain that a recipe's `advantage:` describes: a name, a mapping with a name, or a list of those."""
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        return chain(*spec)
    return chain(spec)
