"""DARLING: reward what is good and unlike its siblings."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.errors import ConfigError


@dataclass(frozen=True)
class MultiplyByDistinctness(Transform):
    """Multiply each value by the share of its siblings that belong to another class (DARLING, arXiv 2509.02534, eq. 4).

    With n scored completions in the group and s_i of them in the class of completion i, the factor is
    max((n - s_i) / (n - 1), floor). Use it on rewards >= 0, before the baseline: a negative reward times a small factor
    would favour copies.

    Where we differ: the paper's equation has no floor, its code has 0.1, which is our default. With `among="correct"`
    the n and s_i count correct completions only, and a lone correct answer keeps its full reward (the released code
    gives it 0.1, which punishes rarity). A factor is undefined, hence NaN, when `among="all"` and no sibling was
    scored.
    """

    floor: float = 0.1
    """Smallest factor, in [0, 1]; 0 is the paper's equation, 0.1 the released code."""
    among: str = "all"
    """`all`: compared with every scored sibling, as in the paper; `correct`: with correct siblings only."""

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= 1:
            raise ConfigError(f"multiply_by_distinctness was given floor={self.floor!r}; write a number from 0 to 1.")
        if self.among not in ("all", "correct"):
            raise ConfigError(f"multiply_by_distinctness was given among={self.among!r}; write 'all' or 'correct'.")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"labels_PG", "correct_PG"} if self.among == "correct" else {"labels_PG"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        labels_PG = ctx.require("labels_PG", self.name)
        counted_PG = ~values_PG.isnan()
        if self.among == "correct":
            counted_PG = counted_PG & (ctx.require("correct_PG", self.name) > 0.5)
        factors_PG = self._factors(labels_PG, counted_PG)
        # Wrong answers are not compared under among="correct"; their value keeps its sign and size.
        return torch.where(counted_PG, values_PG * factors_PG, values_PG)

    def _factors(self, labels_PG: torch.Tensor, counted_PG: torch.Tensor) -> torch.Tensor:
        same_PGG = (labels_PG[:, :, None] == labels_PG[:, None, :]) & counted_PG[:, None, :]
        class_sizes_PG = same_PGG.sum(dim=2).to(torch.float64)
        n_P1 = counted_PG.sum(dim=1, keepdim=True).to(torch.float64)
        alone = 1.0 if self.among == "correct" else torch.nan
        factors_PG = torch.where(n_P1 > 1, (n_P1 - class_sizes_PG) / (n_P1 - 1), alone)
        return factors_PG.clamp(min=self.floor)
