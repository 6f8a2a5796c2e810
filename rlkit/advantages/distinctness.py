"""DARLING: reward what is good and unlike its siblings."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.errors import ConfigError
from rlkit.parameters import check_choice, check_number


@dataclass(frozen=True)
class MultiplyByDistinctness(Transform):
    """Multiply each value by the share of its siblings that differ from it (DARLING, arXiv 2509.02534, equation 4).

    With n scored completions in the group, and s_i of them the same as completion i, itself included, the factor is
    max((n - s_i) / (n - 1), floor). Use it on rewards >= 0, before the baseline: a negative reward times a small factor
    favours copies.

    Where we differ: the paper's equation is `closure="pairwise"` without a floor; its code closes the relation under
    transitivity and has a floor of 0.1, which are our defaults. One false match then merges two whole classes, where
    pairwise it costs the two completions 1 / (n - 1) each. With `among="correct"` the n and s_i count correct
    completions only, the relation is closed over those alone, as in the code, so that a wrong sibling like both of two
    correct ones does not make them the same, and a lone correct answer keeps its full reward (`lone_correct`). A factor
    is undefined, hence NaN, when `among="all"` and no sibling was scored.

    Raises:
        ConfigError: when built, a parameter is out of range.
        MissingInputError: on call, when the partition, or for `among="correct"` the correctness, is absent.
    """

    min_group_size = 2

    floor: float = 0.1
    """Smallest factor, in [0, 1]; 0 is the paper's equation, 0.1 the released code."""
    among: str = "all"
    """`all`: compared with every scored sibling, as in the paper; `correct`: with correct siblings only."""
    closure: str = "union_find"
    """`union_find`: those of one class in `labels_PG` are the same; `pairwise`: those `equivalent_PGG` calls so."""
    lone_correct: float = 1.0
    """Factor, in [0, 1] and not floored, of a correct answer without a correct sibling under `among="correct"`; the
    released code has 0.1, which punishes rarity."""

    def __post_init__(self) -> None:
        for field in ("floor", "lone_correct"):
            check_number(self.name, field, getattr(self, field), at_least=0, at_most=1)
        check_choice(self.name, "among", self.among, ("all", "correct"))
        check_choice(self.name, "closure", self.closure, ("union_find", "pairwise"))
        if self.among == "all" and self.lone_correct != 1:
            raise ConfigError(
                f"multiply_by_distinctness was given lone_correct={self.lone_correct!r}, which among='all' never uses; "
                "write among: correct, or leave lone_correct out."
            )

    @property
    def needs(self) -> frozenset[str]:
        if self.among == "correct":
            closed = {"labels_PG"} if self.closure == "union_find" else set()
            return frozenset({"equivalent_PGG", "correct_PG", *closed})
        return frozenset({"labels_PG" if self.closure == "union_find" else "equivalent_PGG"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        counted_PG = ~values_PG.isnan()
        if self.among == "correct":
            counted_PG = counted_PG & (ctx.require("correct_PG", self.name) > 0.5)
        factors_PG = self._factors(self._compare(ctx, counted_PG), counted_PG)
        # Wrong answers are not compared under among="correct"; their value keeps its sign and size.
        return torch.where(counted_PG, values_PG * factors_PG, values_PG)

    def _compare(self, ctx: GroupContext, counted_PG: torch.Tensor) -> torch.Tensor:
        if self.closure == "pairwise":
            return ctx.require("equivalent_PGG", self.name) > 0.5
        if self.among == "correct":
            return compare_among(ctx, counted_PG, self.name)
        labels_PG = ctx.require("labels_PG", self.name)
        return labels_PG[:, :, None] == labels_PG[:, None, :]

    def _factors(self, same_PGG: torch.Tensor, counted_PG: torch.Tensor) -> torch.Tensor:
        siblings_PGG = counted_PG[:, None, :] & ~torch.eye(counted_PG.shape[1], dtype=torch.bool)
        twins_PG = (same_PGG & siblings_PGG).sum(dim=2).double()
        others_P1 = counted_PG.sum(dim=1, keepdim=True).double() - 1
        alone = self.lone_correct if self.among == "correct" else torch.nan
        return torch.where(others_P1 > 0, ((others_P1 - twins_PG) / others_P1).clamp(min=self.floor), alone)


def compare_among(ctx: GroupContext, counted_PG: torch.Tensor, needed_by: str) -> torch.Tensor:
    """Return which of the completions that count are of one class, bool (P, G, G), as if the others were not there.

    Two are of one class where the partition's pairwise judgement links them, if by a chain of others that count. Where
    `labels_PG` are known too, only pairs of one label are linked: a partition may close its relation more strictly.

    Args:
        ctx: holds `equivalent_PGG` or `labels_PG`.
        counted_PG: bool; the others are of no class, not even the same as themselves.
        needed_by: who asks.

    Raises:
        MissingInputError: the partition is absent.
    """
    linked_PGG = ctx.require("equivalent_PGG", needed_by) > 0.5
    if ctx.labels_PG is not None:
        labels_PG = ctx.require("labels_PG", needed_by)
        linked_PGG &= labels_PG[:, :, None] == labels_PG[:, None, :]
    linked_PGG |= torch.eye(counted_PG.shape[1], dtype=torch.bool)
    linked_PGG &= counted_PG[:, :, None] & counted_PG[:, None, :]
    linked_PGG = linked_PGG | linked_PGG.transpose(1, 2)
    # Each squaring doubles the length of the chains that are followed.
    for _ in range((counted_PG.shape[1] - 1).bit_length()):
        linked_PGG = linked_PGG.double() @ linked_PGG.double() > 0
    return linked_PGG
