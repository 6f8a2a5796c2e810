"""What an advantage chain comes to where a critic is the baseline: shaped rewards, and weights of what follows.

A group's mean and a critic's value are two baselines for one reward. Whatever changes the reward itself (DARLING's
distinctness, a bonus on rare answers) goes with either; what holds a completion against its siblings does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rlkit.advantages.base import Chain, Transform
from rlkit.advantages.context import GroupContext
from rlkit.advantages.correctness import WeightByCorrectness, read_correctness
from rlkit.errors import ConfigError
from rlkit.parameters import name_in_recipes

_SHAPES_REWARDS = "multiply_by_distinctness or discount_by_likelihood_rank"
_ANALYTIC = ("pass_at_k", "pkpo")
"""Transforms that are a whole advantage by themselves, so that nothing is left of a chain without them."""


@dataclass(frozen=True)
class ShapedRewards:
    """A chain in two parts: before the returns, and after the advantages."""

    shaping: Chain
    """From the summed rewards to those that the last token of a completion is given."""
    weights: WeightByCorrectness | None = None
    """What token advantages are multiplied by, from the completion's correctness; None multiplies by 1."""

    def shape(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        """Return the rewards (P, G) that a completion ends with; NaN where it was not scored."""
        return self.shaping(values_PG, ctx)

    def factors(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        """Return what all advantages of a completion are multiplied by, (P, G); 0 where correctness is not known.

        Under NSR 0 for a correct completion and 1 for a wrong one: the sign is the critic's to say.
        """
        if self.weights is None:
            return torch.ones_like(values_PG)
        correct_PG = read_correctness(values_PG, ctx, self.weights.name)
        factors_PG = torch.where(correct_PG > 0.5, self.weights.positive, -self.weights.negative)
        return factors_PG.masked_fill(correct_PG.isnan(), 0.0).to(values_PG)


def split_for_critic(chain: Chain | None) -> ShapedRewards:
    """Return what of a chain shapes rewards and what weighs advantages, for a trainer whose baseline is a critic.

    Raises:
        ConfigError: a transform holds a completion against its siblings, or weighs by a sign that only a baseline of
            none could mean; the sentence says what to write instead.
    """
    transforms = () if chain is None else chain.transforms
    shaping: list[Transform] = []
    weights: WeightByCorrectness | None = None
    for transform in transforms:
        if isinstance(transform, WeightByCorrectness):
            weights = _check_weights(transform)
        elif getattr(transform, "makes", "rewards") == "advantages":
            raise ConfigError(_refuse(transform, transforms))
        else:
            shaping.append(transform)
    return ShapedRewards(Chain(tuple(shaping)), weights)


def _check_weights(weights: WeightByCorrectness) -> WeightByCorrectness:
    if weights.positive < 0 or weights.negative > 0:
        raise ConfigError(
            f"{weights.name} was given positive={weights.positive:g} and negative={weights.negative:g}; with a critic "
            "they multiply advantages whose sign the critic gives, so write positive >= 0 and negative <= 0."
        )
    return weights


def _refuse(transform: Transform, transforms: Sequence[Transform]) -> str:
    name = name_in_recipes(transform)
    left = [name_in_recipes(each) for each in transforms if getattr(each, "makes", "rewards") != "advantages"]
    if left:
        instead = f"write advantage: [{', '.join(left)}]"
    elif name in _ANALYTIC:
        instead = f"write what shapes the reward, such as {_SHAPES_REWARDS}"
    else:
        instead = f"leave advantage out, or write what shapes the reward, such as {_SHAPES_REWARDS}"
    return f"{name} is a baseline over a group, and with trainer: ppo the critic is the baseline; {instead}."
