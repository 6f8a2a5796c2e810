"""Token weights: how much each token's surrogate counts, by what the token does to the policy's entropy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from rlkit.errors import PluginError
from rlkit.objective.base import FunctionWeight, Tokens, TokenWeight, require_entropies
from rlkit.objective.covariance import ClipCov, KlCov
from rlkit.objective.decorrelation import Repo
from rlkit.objective.steering import Steer
from rlkit.parameters import check_number
from rlkit.plugins import PluginKind
from rlkit.plugins import resolve as resolve_plugin

__all__ = ["TOKEN_WEIGHTS", "ClipCov", "KlCov", "Repo", "Steer", "TokenWeight", "TopEntropy", "resolve_token_weight"]


@dataclass(frozen=True)
class TopEntropy(TokenWeight):
    """Keep the tokens of highest entropy and silence the rest: the forking tokens of "80/20" (arXiv 2506.01939).

    Every token at or above the (1 - quantile) quantile of the entropies is kept, ties too, so a batch of equal
    entropies is kept whole. Silenced tokens still count in the denominator of the mean. The quantile is over the tokens
    handed in; TRL's `top_entropy_quantile` takes it over the micro-batches of all ranks. Tokens of unknown entropy
    (NaN) are silenced.

    Raises:
        ConfigError: a value is out of range.
        MissingInputError: on call, without entropies.
    """

    quantile: float = 0.2
    """Share of tokens that is kept, above 0, at most 1."""

    def __post_init__(self) -> None:
        check_number("top_entropy", "quantile", self.quantile, above=0, at_most=1)

    def weigh(self, tokens: Tokens) -> torch.Tensor:
        entropies_N = require_entropies(tokens, "top_entropy")
        # As torch.quantile interpolates, which refuses more than 16 million entries.
        known_N = entropies_N[~entropies_N.isnan()].sort().values
        if not len(known_N):
            return torch.zeros_like(entropies_N)
        position = (1 - self.quantile) * (len(known_N) - 1)
        below, above = known_N[math.floor(position)], known_N[math.ceil(position)]
        return (entropies_N >= torch.lerp(below, above, position - math.floor(position))).to(entropies_N.dtype)


TOKEN_WEIGHTS = PluginKind(
    "token weight",
    "rlkit.token_weights",
    {
        "steer": "rlkit.objective.steering:Steer",
        "top_entropy": "rlkit.objective.token_weights:TopEntropy",
        "clip_cov": "rlkit.objective.covariance:ClipCov",
        "kl_cov": "rlkit.objective.covariance:KlCov",
        "repo": "rlkit.objective.decorrelation:Repo",
    },
)


def resolve_token_weight(spec: Any) -> TokenWeight:
    """Build the token weight that a recipe's `token_weights:` names; a bare function becomes a `FunctionWeight`.

    Raises:
        ConfigError: its values are not allowed.
        PluginError: no such token weight, its parameters do not fit, or it cannot be called.
    """
    weight = resolve_plugin(spec, TOKEN_WEIGHTS)
    if not callable(weight):
        raise PluginError(
            f"The token weight {spec!r} is {weight!r}, which cannot be called as f(logps_BT, old_logps_BT, "
            "entropies_BT, advantages, mask_BT)."
        )
    return weight if hasattr(weight, "penalties") and hasattr(weight, "clips") else FunctionWeight(weight)
