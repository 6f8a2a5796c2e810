"""Token weights that follow an estimate of how much each token changes the policy's entropy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from rlkit.objective.base import Tokens, TokenWeight, require_entropies
from rlkit.parameters import check_choice, check_flag, check_number


@dataclass(frozen=True)
class Steer(TokenWeight):
    """Shrink the loss of tokens that would change the policy's entropy most, in either direction.

    STEER (arXiv 2510.10150). The change is estimated as `Omega = A / pi_old * pi (1 - pi) (ln pi + H)`. Times pi_old it
    is exactly the first-order fall of the entropy in a unit step on `A ln pi` that moves the sampled token's logit
    alone: a ranking, not a measurement (for rare tokens about half of what moving all logits does). With M = max
    |Omega| over the tokens,
    `exponential`: k = -ln(lowest) / max(M, floor), w = exp(-k |Omega|), in [lowest, 1];
    `linear`: from `highest` at the least |Omega| down to `lowest` at the greatest; their middle when all are equal.
    Weights are not renormalised, so the exponential map also lowers the effective learning rate.

    As in the released code: clipped tokens count for M, and one very rare token flattens all others to about 1. Where
    we differ: H is the entropy that is handed in, of the policy at hand, theirs that of the policy at rollout time (the
    same in the first pass over a batch); a token whose Omega is not finite keeps weight 1 and stays out of the
    statistics, where theirs counts as 0, which the linear map gives `highest`.

    Raises:
        ConfigError: a value is out of range.
        MissingInputError: on call, without entropies.
    """

    map: str = "exponential"
    """`exponential` or `linear`."""
    lowest: float = 0.8
    """Weight of the token that changes the entropy most; above 0, at most 1. Version 4 of the paper is said to have
    0.7, which we could not check."""
    highest: float = 1.2
    """Weight of the token that changes it least, under `linear`; the exponential map has 1 there."""
    floor: float = 0.02
    """Under `exponential`, M counts as at least this, which keeps a quiet batch near weight 1; the authors' value."""
    squared: bool = False
    """Whether (1 - pi) is squared, as the released code's variable names say and its arithmetic does not."""

    def __post_init__(self) -> None:
        check_choice("steer", "map", self.map, ("exponential", "linear"))
        check_number("steer", "lowest", self.lowest, above=0, at_most=1)
        check_number("steer", "highest", self.highest, at_least=self.lowest)
        check_number("steer", "floor", self.floor, above=0)
        check_flag("steer", "squared", self.squared)

    def weigh(self, tokens: Tokens) -> torch.Tensor:
        sizes_N = self.estimate_changes(tokens).abs()
        weights_N = torch.ones_like(sizes_N)
        is_finite_N = sizes_N.isfinite()
        if is_finite_N.any():
            weights_N[is_finite_N] = self._map(sizes_N[is_finite_N])
        return weights_N

    def estimate_changes(self, tokens: Tokens) -> torch.Tensor:
        """Return Omega of every token, shape (N,); the token's update lowers the entropy where it is positive."""
        entropies_N = require_entropies(tokens, "steer")
        probs_N = tokens.logps_N.exp().clamp(1e-8, 1 - 1e-8)
        old_probs_N = tokens.old_logps_N.exp().clamp(1e-8, 1)
        slopes_N = probs_N * (1 - probs_N) ** (2 if self.squared else 1)
        return tokens.advantages_N / old_probs_N * slopes_N * (probs_N.log() + entropies_N)

    def _map(self, sizes_N: torch.Tensor) -> torch.Tensor:
        least, most = sizes_N.min(), sizes_N.max()
        if self.map == "exponential":
            rate = -math.log(self.lowest) / most.clamp(min=self.floor)
            return (-rate * sizes_N).exp().clamp(self.lowest, 1)
        if most == least:
            return torch.full_like(sizes_N, (self.lowest + self.highest) / 2)
        falls_N = (sizes_N - least) / (most - least) * (self.highest - self.lowest)
        return (self.highest - falls_N).clamp(self.lowest, self.highest)
