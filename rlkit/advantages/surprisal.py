"""UCPO: the credit of a group's correct completions goes to those that the policy finds unlikely."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.advantages.correctness import read_outcomes
from rlkit.parameters import check_choice, check_number


@dataclass(frozen=True)
class FavourUnlikelyCorrect(Transform):
    """Share the credit of the correct completions out by how unlikely the policy finds each (UCPO, arXiv 2605.00365).

    Over the n correct completions of a group, q is the softmax of their mean log-probabilities a token, at least
    `floor`. Under `inverse`, the released run, each value is multiplied by n w with w = (1 - tau) / n + tau (1 / q) /
    sum (1 / q), whose mean over them is 1: what equal values sum up to stays. Under `additive` tau (-ln q - H) is added
    instead, with H the entropy of q; its mean weighed by q is 0, its plain mean 0 or more.

    It comes after the baseline and the scaling. Wrong completions and a lone correct one stay as they are. In groups
    that are all right the values are 0 by then: `inverse` leaves them so, `additive` tells them apart. Likelihood is
    the *mean* over tokens; that of sums would be 0 or 1 for all but the shortest. It differs by hundredths where the
    policy is sure of itself, and then weights are close to 1; and terse answers have another mean than long ones.

    Correctness is `ctx.correct_PG`, or the rewards that the chain started from where all of them are 0 or 1. A correct
    completion of no tokens has no likelihood and no token to train: it is not counted and becomes NaN.

    Raises:
        ConfigError: when built, a number is out of range or `form` unknown.
        MissingInputError: on call, when log-probabilities are absent, or correctness is and the rewards are not binary.
    """

    tau: float = 0.2
    """From 0, nothing, to 1, weights that are inverse to the probability; `additive` takes any number of at least 0."""
    form: str = "inverse"
    """`inverse`: multiply by inverse probabilities, as released; `additive`: add the surprisal above its mean."""
    floor: float = 1e-6
    """The smallest q, above 0, at most 1."""

    min_group_size = 2

    def __post_init__(self) -> None:
        check_choice(self.name, "form", self.form, ("inverse", "additive"))
        check_number(self.name, "tau", self.tau, at_least=0, at_most=1 if self.form == "inverse" else None)
        check_number(self.name, "floor", self.floor, above=0, at_most=1)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"mean_logps_PG"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        is_right_PG = read_outcomes(values_PG, ctx, self.name) > 0.5
        logps_PG = ctx.require("mean_logps_PG", self.name).masked_fill(~is_right_PG, torch.nan)
        probs_PG = logps_PG.nan_to_num(nan=-torch.inf).softmax(dim=1).masked_fill(logps_PG.isnan(), torch.nan)
        floored_PG = probs_PG.clamp(min=self.floor)
        count_P1 = (~probs_PG.isnan()).sum(dim=1, keepdim=True).double()
        shared_PG = self._share(values_PG, floored_PG, count_P1)
        # A correct one alone, among others of no tokens, stays what it is; they have nothing to learn from.
        shared_PG = torch.where((count_P1 > 1) | probs_PG.isnan(), shared_PG, values_PG)
        return torch.where(is_right_PG, shared_PG, values_PG)

    def _share(self, values_PG: torch.Tensor, probs_PG: torch.Tensor, count_P1: torch.Tensor) -> torch.Tensor:
        if self.form == "additive":
            surprisals_PG = -probs_PG.log()
            mean_P1 = (probs_PG * surprisals_PG).nansum(dim=1, keepdim=True)
            return values_PG + self.tau * (surprisals_PG - mean_P1)
        inverse_PG = 1 / probs_PG
        targets_PG = inverse_PG / inverse_PG.nansum(dim=1, keepdim=True)
        return values_PG * (1 - self.tau + self.tau * count_P1 * targets_PG)
