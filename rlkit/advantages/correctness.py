"""Advantages that depend on correctness alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.errors import MissingInputError
from rlkit.parameters import check_number


@dataclass(frozen=True)
class WeightByCorrectness(Transform):
    """Replace every value by one constant for correct and one for wrong completions, without any baseline.

    Zhu et al., "The Surprising Effectiveness of Negative Reinforcement" (arXiv 2506.01347): PSR is (1, 0), NSR is (0,
    -1), W-REINFORCE (0.1, -1). Groups that are all wrong therefore still teach, unlike under GRPO, and groups that
    are all right teach nothing under NSR. The released code *removes* the rows of weight zero from the batch, which
    also shrinks the number of optimizer steps; here they stay with weight exactly zero and the step count does not
    move.

    Correctness is `ctx.correct_PG`, or the values themselves where all of them are 0 or 1. Completions that were not
    scored, or whose correctness is unknown, become NaN.

    Raises:
        MissingInputError: on call, when correctness is absent and the values are not binary.
    """

    positive: float = 1.0
    """Advantage of a correct completion."""
    negative: float = -1.0
    """Advantage of a wrong completion."""

    def __post_init__(self) -> None:
        for field in ("positive", "negative"):
            check_number(self.name, field, getattr(self, field))

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        correct_PG = read_correctness(values_PG, ctx, self.name)
        # Two plain numbers would meet in float32, where 0.1 is not 0.1.
        weights_PG = torch.full_like(values_PG, self.negative).masked_fill(correct_PG > 0.5, self.positive)
        return weights_PG.masked_fill(correct_PG.isnan() | values_PG.isnan(), torch.nan)


@dataclass(frozen=True)
class DivideByPassRate(Transform):
    """Replace every value by its correctness, centred on the group's pass rate and divided by it (MaxRL, 2602.02710).

    With c = 1 for a correct and 0 for a wrong completion, and m the mean of c over the group, the advantage is
    (c - m) / (m + eps): the gradient of a log-likelihood of success that is cut off, log p = -sum_k (1 - p)^k / k over
    k < G, so that every pass@k counts, by 1 / k. (Order G, as the paper has it, would take -1 in all-wrong groups; the
    code gives them 0, as we do.) A rare success counts up to G - 1, and the sum of |A| over a group is 2 (G - K) for K
    correct ones: keep gradients clipped. Groups that are all right or all wrong get 0.

    Correctness is `ctx.correct_PG`, or the values themselves where all of them are 0 or 1; completions that were not
    scored, or whose correctness is unknown, become NaN and are left out of m.

    Where we differ: the released code (verl/trainer/ppo/core_algos.py) divides whatever rewards there are by their
    mean, where -1 for a wrong answer turns signs around, and gives the only completion of a group 1 / eps; here other
    rewards than 0 and 1 are refused unless a verifier says what is correct, and a lone completion gets 0.

    Raises:
        ConfigError: when built, eps is not positive.
        MissingInputError: on call, when correctness is absent and the values are not binary.
    """

    eps: float = 1e-6
    """Added to the pass rate."""

    makes = "advantages"
    min_group_size = 2

    def __post_init__(self) -> None:
        check_number(self.name, "eps", self.eps, above=0)

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        correct_PG = read_correctness(values_PG, ctx, self.name).masked_fill(values_PG.isnan(), torch.nan)
        correct_PG = (correct_PG > 0.5).double().masked_fill(correct_PG.isnan(), torch.nan)
        pass_rate_P1 = correct_PG.nanmean(dim=1, keepdim=True)
        return (correct_PG - pass_rate_P1) / (pass_rate_P1 + self.eps)


def read_outcomes(values_PG: torch.Tensor, ctx: GroupContext, needed_by: str) -> torch.Tensor:
    """Return `read_correctness` of the rewards that the chain started from, NaN where a value is by now.

    For transforms that come after a baseline, where the values no longer tell.

    Raises:
        MissingInputError: correctness is absent and some reward is neither 0 nor 1.
    """
    rewards_PG = values_PG if ctx.summed_rewards_PG is None else ctx.require("summed_rewards_PG", needed_by)
    return read_correctness(rewards_PG, ctx, needed_by).masked_fill(values_PG.isnan(), torch.nan)


def read_correctness(values_PG: torch.Tensor, ctx: GroupContext, needed_by: str) -> torch.Tensor:
    """Return 1 correct, 0 wrong, NaN unknown: `ctx.correct_PG`, or the values themselves where they are binary.

    Raises:
        MissingInputError: correctness is absent and some value is neither 0 nor 1.
    """
    if ctx.correct_PG is not None:
        return ctx.require("correct_PG", needed_by)
    scored = values_PG[~values_PG.isnan()]
    if not torch.isin(scored, torch.tensor([0.0, 1.0], dtype=scored.dtype)).all():
        example = scored[(scored != 0) & (scored != 1)][0].item()
        raise MissingInputError(
            f"{needed_by} was given a reward of {example:g}, which is neither 0 nor 1, and no correct_PG; "
            "name the verifier with `train.correct_reward` and the pass mark with `train.correct_above`."
        )
    return values_PG
