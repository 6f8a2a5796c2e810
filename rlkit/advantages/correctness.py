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
