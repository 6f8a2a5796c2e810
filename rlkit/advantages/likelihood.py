"""Transforms that look at how likely the policy found what it wrote."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform, count_scored
from rlkit.advantages.context import GroupContext
from rlkit.advantages.correctness import read_correctness, read_outcomes
from rlkit.errors import ConfigError
from rlkit.parameters import check_choice, check_flag, check_number, show


@dataclass(frozen=True)
class DiscountByLikelihoodRank(Transform):
    """Multiply each value by 1 - coef * rank / n, where rank 0 is the least likely of n (arXiv 2506.02355).

    Likelihood is the mean log-probability per token, `ctx.mean_logps_PG`. Every scored completion is ranked, wrong ones
    too; equals rank by their index. Use it on rewards >= 0, before the baseline: a negative value shrinks towards 0 as
    well, so that the likeliest wrong answers would be punished least.

    A completion of no tokens has no likelihood and no token to train: it is not ranked and becomes NaN.

    Raises:
        ConfigError: when built, `coef` is not a number from 0 to 1 or `among` unknown.
        MissingInputError: on call, when log-probabilities, or for `among="correct"` the correctness, are absent.
    """

    min_group_size = 2

    coef: float = 0.25
    """Discount that the likeliest completion approaches, in [0, 1]."""
    among: str = "all"
    """`all`: ranked among every scored sibling, as in the paper; `correct`: correct ones only, wrong ones unchanged."""

    def __post_init__(self) -> None:
        check_number(self.name, "coef", self.coef, at_least=0, at_most=1)
        check_choice(self.name, "among", self.among, ("all", "correct"))

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"mean_logps_PG"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        counted_PG = ~values_PG.isnan()
        if self.among == "correct":
            counted_PG &= read_correctness(values_PG, ctx, self.name) > 0.5
        logps_PG = ctx.require("mean_logps_PG", self.name).detach().masked_fill(~counted_PG, torch.nan)
        # NaN sorts last, so that what is not ranked does not push anything up.
        ranks_PG = logps_PG.argsort(dim=1, stable=True).argsort(dim=1).double()
        factors_PG = (1 - self.coef * ranks_PG / count_scored(logps_PG)).masked_fill(logps_PG.isnan(), torch.nan)
        return torch.where(counted_PG, values_PG * factors_PG, values_PG)


@dataclass(frozen=True)
class ReweightByConfidence(Transform):
    """Add coef * (c(prompt) - c(completion)) to each advantage (ProGRPO's ARM, arXiv 2602.05281).

    The confidence c, in (0, 1], is the geometric mean of the policy's probabilities of a text's least certain tokens:
    ceil(`fraction` * length) of them, or those of a probability `below` a threshold; at least one either way. It
    comes after the baseline and the scaling and is not centred again, so the mean advantage falls as the policy grows
    sure. Log-probabilities are those of `ctx.logps_PGT` and `ctx.prompt_logps_PS` with NaN at padding.

    Groups without a correct completion stay as they are. Correctness is `ctx.correct_PG`, or the rewards that the chain
    started from where all of them are 0 or 1. A completion of no tokens, or of a prompt without a known
    log-probability, has no confidence; where the term applies to it the result is NaN.

    The paper names neither coef nor what happens to wrong completions, prompts and groups that are all right; our
    defaults follow its equation: all of them are shifted.

    Raises:
        ConfigError: when built, a number is out of range, or `fraction` and `below` are both given or both None.
        MissingInputError: on call, when log-probabilities are absent, or correctness is and the rewards are not binary.
    """

    coef: float = 0.3
    """Largest shift, >= 0: c is a probability."""
    fraction: float | None = 0.2
    """Share of the tokens that counts as uncertain, in (0, 1]; None to use `below`."""
    below: float | None = None
    """Tokens of a lower probability count as uncertain, in (0, 1]; needs `fraction=None`."""
    correct_only: bool = False
    """Leave wrong completions unchanged."""
    on_all_correct: bool = True
    """Whether groups in which every completion is correct are shifted too."""
    select_in_prompt: bool = True
    """Whether the prompt's confidence is of its uncertain tokens too, or else of all its tokens."""

    def __post_init__(self) -> None:
        check_number(self.name, "coef", self.coef, at_least=0)
        if (self.fraction is None) == (self.below is None):
            raise ConfigError(
                f"{self.name} was given fraction={show(self.fraction)} and below={show(self.below)}; write one of "
                "them, and with `below` also `fraction: null`."
            )
        for field in ("fraction", "below"):
            if getattr(self, field) is not None:
                check_number(self.name, field, getattr(self, field), above=0, at_most=1)
        for field in ("correct_only", "on_all_correct", "select_in_prompt"):
            check_flag(self.name, field, getattr(self, field))

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logps_PGT", "prompt_logps_PS"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        correct_PG = read_outcomes(values_PG, ctx, self.name)
        logps_PGT = ctx.require("logps_PGT", self.name).detach()
        prompt_logps_PS = ctx.require("prompt_logps_PS", self.name).detach()
        confidence_PG = measure_confidence(logps_PGT, self.fraction, self.below)
        selected = (self.fraction, self.below) if self.select_in_prompt else (1.0, None)
        prompt_confidence_P1 = measure_confidence(prompt_logps_PS, *selected)[:, None]
        shifted_PG = values_PG + self.coef * (prompt_confidence_P1 - confidence_PG)
        return torch.where(self._applies(correct_PG), shifted_PG, values_PG)

    def _applies(self, correct_PG: torch.Tensor) -> torch.Tensor:
        is_right_PG = correct_PG > 0.5
        active_PG = is_right_PG.any(dim=1, keepdim=True).expand_as(is_right_PG)
        if not self.on_all_correct:
            active_PG = active_PG & (correct_PG <= 0.5).any(dim=1, keepdim=True)
        return active_PG & is_right_PG if self.correct_only else active_PG


def measure_confidence(logps: torch.Tensor, fraction: float | None, below: float | None) -> torch.Tensor:
    """Return the geometric mean probability of the least certain tokens, in [0, 1].

    Args:
        logps: log-probabilities, tokens on the last axis; NaN at padding.
        fraction: share of the tokens to take, rounded up.
        below: in its place, take the tokens whose probability is lower. At least one token is taken either way.

    Returns:
        Shape of `logps` without its last axis; NaN where there is no token.
    """
    rising = logps.sort(dim=-1).values  # NaN sorts last
    length = (~logps.isnan()).sum(dim=-1, keepdim=True)
    if fraction is not None:
        # 0.07 * 100 is a little more than 7, and one token more is what ceil would make of it.
        taken = (fraction * length - 1e-9).ceil()
    else:
        assert below is not None
        taken = (rising < math.log(below)).sum(dim=-1, keepdim=True)
    taken = taken.clamp(min=1)
    chosen = rising.masked_fill(torch.arange(rising.shape[-1]) >= taken, 0.0)
    return (chosen.sum(dim=-1) / taken.squeeze(-1)).exp().masked_fill(length.squeeze(-1) == 0, torch.nan)
