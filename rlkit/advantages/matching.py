"""FlowRL: match a distribution over completions instead of climbing their reward."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.parameters import check_number


@dataclass(frozen=True)
class SubtractDrift(Transform):
    """Subtract how far a completion's log-probability is from the reference's, over `beta` (FlowRL, arXiv 2509.15207).

    The drift is the difference of the mean log-probabilities a token, under the policy that sampled and under the
    reference. FlowRL descends the mean over a group of (log Z + drift_i - beta A_i)^2, where pi is proportional to
    reference exp(beta A). With log Z the group's own, the mean of beta A_i - drift_i (VarGrad form), its gradient is
    -(2 beta / G) sum_i a_i grad logp_i, with logp the mean over tokens and a_i the centred A_i - drift_i / beta: what
    this transform and `subtract_group_mean` after it give. In other words, KL to the reference in the reward, of
    coefficient 1 / beta.

    Where we differ: the residuals are divided by `beta`, so that they are of the size of advantages; log Z is no
    network, which the authors let train the policy's own trunk; and the surrogate's clipped ratio a token stands in the
    place of their unclipped ratio a sequence. A completion of no tokens has no drift and becomes NaN.

    Raises:
        ConfigError: when built, `beta` is not positive.
        MissingInputError: on call, when log-probabilities of policy or reference are absent.
    """

    beta: float = 15.0
    """Above 0: how sharply the target prefers good completions; the smaller, the closer to the reference."""

    def __post_init__(self) -> None:
        check_number(self.name, "beta", self.beta, above=0)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"mean_logps_PG", "ref_mean_logps_PG"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        drifts_PG = ctx.require("mean_logps_PG", self.name) - ctx.require("ref_mean_logps_PG", self.name)
        return values_PG - drifts_PG / self.beta
