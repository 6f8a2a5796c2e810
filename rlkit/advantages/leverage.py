"""RepExp as its authors released it: a bonus for the leverage of a completion's features in its group."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.advantages.similarity import invert_diagonal, take_units
from rlkit.parameters import check_flag, check_number


@dataclass(frozen=True)
class AddLeverageBonus(Transform):
    """Add `coef` times the leverage of a completion's features among the group's (RepExp, arXiv 2510.11686).

    The bonus is b_i = h_i^T (ridge I + sum_j h_j h_j^T)^-1 h_i, completion i among the j, in [0, 1): as in the released
    code (verl-recipe, rep_exp/) there is no root and no scaling to length 1. With e the same without i in the sum, as
    `add_elliptical_bonus` has it, b = e / (1 + e). Features are centred on the group. It is off where nothing in the
    group is correct; wrong completions beside correct ones have it too.

    Where features have more dimensions than the group has completions and `ridge` is small beside them, b tends to 1 /
    multiplicity - 1 / G: all but near-copies get the same, however far apart they are; so what it does depends on the
    size of the features against `ridge`. In groups that are all right a standard deviation afterwards makes full
    advantages of differences of size `coef`.

    Correctness is `ctx.correct_PG`; where that is not known, a reward above 0 counts as correct. The code asks whether
    the rewards sum to 0, which rewards of -1 and 1 do in a group that is half right. Completions without an embedding
    keep their value and are nobody's siblings.

    Raises:
        MissingInputError: on call, when `embeddings_PGE` is absent.
    """

    coef: float = 0.01
    """Factor of the bonus; any finite number."""
    ridge: float = 0.01
    """Positive, in squared units of the features."""
    centre: bool = True
    """Whether the group's mean is subtracted from the features."""
    on_all_wrong: bool = False
    """Whether groups without a correct completion have the bonus too."""

    min_group_size = 2

    def __post_init__(self) -> None:
        check_number(self.name, "coef", self.coef)
        check_number(self.name, "ridge", self.ridge, above=0)
        for field in ("centre", "on_all_wrong"):
            check_flag(self.name, field, getattr(self, field))

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"embeddings_PGE"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        features_PGE, present_PG = take_units(values_PG, ctx, self.name, scale=False)
        if self.centre:
            means_P1E = features_PGE.sum(dim=1, keepdim=True) / present_PG.sum(dim=1)[:, None, None].clamp(min=1)
            features_PGE = (features_PGE - means_P1E) * present_PG[:, :, None]
        # K (K + ridge I)^-1 = I - ridge (K + ridge I)^-1, with K the group's G x G kernel.
        diagonal_PG = invert_diagonal(features_PGE, torch.full_like(values_PG, self.ridge))
        bonus_PG = (1 - self.ridge * diagonal_PG).clamp(0, 1)
        return torch.where(present_PG & self._is_on(values_PG, ctx), values_PG + self.coef * bonus_PG, values_PG)

    def _is_on(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        """Return which groups have the bonus, (P, 1)."""
        if self.on_all_wrong:
            return torch.ones_like(values_PG[:, :1], dtype=torch.bool)
        if ctx.correct_PG is None:
            return (values_PG > 0).any(dim=1, keepdim=True)
        is_right_PG = (ctx.require("correct_PG", self.name) > 0.5) & ~values_PG.isnan()
        return is_right_PG.any(dim=1, keepdim=True)
