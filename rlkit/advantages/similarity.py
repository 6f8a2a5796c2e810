"""Advantages from the geometry of embeddings: completions unlike their siblings are worth more.

Three things hold for all of them. Only scored completions with an embedding are each other's siblings: leaving the
others out of the group would change nothing. A completion without one (nothing to embed, or all zeros) keeps its value
as it is, which under the additive ones is the smallest bonus there is. Values that are NaN stay NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.advantages.base import Transform
from rlkit.advantages.context import GroupContext
from rlkit.errors import ConfigError
from rlkit.parameters import check_choice, check_flag, check_number

_LARGEST_QUALITY = 20.0
"""Beyond it exp(value) outgrows what float64 can add 1 to and still tell duplicates apart."""


@dataclass(frozen=True)
class DivideBySimilarity(Transform):
    """Divide each value by its total cosine similarity to the group, itself included (DRA-GRPO, arXiv 2505.09655).

    The factor is 1 / (sum_j cos_ij + eps): 1 for a completion orthogonal to all others, 1 / n among n copies. Use it on
    rewards >= 0, before the baseline: a negative reward divided by much similarity would favour copies. Only relative
    factors survive a division by the standard deviation afterwards.

    Where we differ: negative cosines count as 0 by default. With `negative="keep"`, the paper and its code, their sum
    can be near zero or negative, where the factor explodes or turns a reward into a penalty. The released code compares
    each process's local completions, which need not be whole groups; here a group is always whole.

    Raises:
        MissingInputError: on call, when `embeddings_PGE` is absent.
    """

    min_group_size = 2

    eps: float = 1e-6
    """Added to the sum of cosines; positive."""
    negative: str = "clip"
    """`clip`: negative cosines count as 0, factors are in (0, 1]; `keep`: as published."""

    def __post_init__(self) -> None:
        check_number(self.name, "eps", self.eps, above=0)
        check_choice(self.name, "negative", self.negative, ("clip", "keep"))

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"embeddings_PGE"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        units_PGE, present_PG = take_units(values_PG, ctx, self.name)
        cosines_PGG = units_PGE @ units_PGE.transpose(1, 2)
        if self.negative == "clip":
            cosines_PGG = cosines_PGG.clamp(min=0)
        return torch.where(present_PG, values_PG / (cosines_PGG.sum(dim=2) + self.eps), values_PG)


@dataclass(frozen=True)
class AddLogdetMarginal(Transform):
    """Add `coef` times what a completion adds to the group's log-determinant (DQO, arXiv 2509.04784).

    With K the cosines of the group, the bonus is log det(K + I) - log det(K + I without i), the completion's own share
    of the volume that the group spans: in (0, log 2], log 2 when orthogonal to all others, near 0 among many copies.
    The paper adds alpha log det to the objective of the whole group; the leave-one-out difference is that bonus with
    the part that does not depend on the completion taken away. The identity keeps it finite under duplicates.

    With `quality_weighted` the kernel is exp(r_i / 2) K_ij exp(r_j / 2) with r the incoming values, so that being
    different counts for more when the completion is good; the bonus is then not bounded by log 2.

    The default coef 1.0 is unverified: second-hand sources give it as the paper's alpha. With rewards of 0 and 1 it
    never ranks a wrong completion above a right one.

    Raises:
        MissingInputError: on call, when `embeddings_PGE` is absent.
        ConfigError: on call, when a value is beyond 20 in size under `quality_weighted`.
    """

    min_group_size = 2

    coef: float = 1.0
    """Factor of the bonus; any finite number."""
    quality_weighted: bool = False
    """Whether good completions weigh more in the kernel."""

    def __post_init__(self) -> None:
        check_number(self.name, "coef", self.coef)
        check_flag(self.name, "quality_weighted", self.quality_weighted)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"embeddings_PGE"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        units_PGE, present_PG = take_units(values_PG, ctx, self.name)
        quality_PG = values_PG.masked_fill(~present_PG, 0.0) if self.quality_weighted else torch.zeros_like(values_PG)
        if (quality_PG.abs() > _LARGEST_QUALITY).any():
            raise ConfigError(
                f"{self.name} was given a value of {quality_PG.abs().max().item():g} with quality_weighted, which "
                f"takes its exponential; scale the rewards to at most {_LARGEST_QUALITY:g}."
            )
        # Dividing rows and columns by exp(r / 2) leaves the cosines alone and puts exp(-r) where the identity was.
        marginals_PG = quality_PG - invert_diagonal(units_PGE, (-quality_PG).exp()).log()
        return torch.where(present_PG, values_PG + self.coef * marginals_PG, values_PG)


@dataclass(frozen=True)
class AddEllipticalBonus(Transform):
    """Add `coef` times how badly the siblings span a completion's features (after RepExp, arXiv 2510.11686).

    The bonus is h_i^T (ridge I + sum_{j != i} h_j h_j^T)^-1 h_i, computed through the G x G kernel (Woodbury), so that
    features may have thousands of dimensions. It is 0 for the mean completion or a group of copies. By default its
    root is taken, which is the width of a confidence interval in linear bandits, and grows as 1 / sqrt(ridge) instead
    of 1 / ridge for what lies outside the siblings' span; one outlier then does not drown the group.

    The authors' code has the leverage with the completion itself, without the root and on features of any length:
    `add_leverage_bonus`. Embeddings are scaled to length 1 here, so that ridge and coef mean the same for every
    embedder, then centred on the group, which takes away what all completions of a prompt share. With the defaults the
    added bonus is below 0.1 * min(2 / sqrt(ridge), sqrt(G - 1)) <= 0.64: rewards of 0 and 1 keep their order.

    Raises:
        MissingInputError: on call, when `embeddings_PGE` is absent.
    """

    min_group_size = 2

    coef: float = 0.1
    """Factor of the bonus; any finite number. Our choice."""
    ridge: float = 0.1
    """Positive; how much of a direction the siblings must cover before it stops being new."""
    cap: float | None = None
    """Largest bonus before `coef`, after the root; None leaves it open."""
    root: bool = True
    """Whether the square root is taken."""
    centre: bool = True
    """Whether the group's mean is subtracted from the features."""
    unit: bool = True
    """Whether embeddings are scaled to length 1 before they are centred."""

    def __post_init__(self) -> None:
        check_number(self.name, "coef", self.coef)
        check_number(self.name, "ridge", self.ridge, above=0)
        if self.cap is not None:
            check_number(self.name, "cap", self.cap, above=0)
        for field in ("root", "centre", "unit"):
            check_flag(self.name, field, getattr(self, field))

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"embeddings_PGE"})

    def apply(self, values_PG: torch.Tensor, ctx: GroupContext) -> torch.Tensor:
        features_PGE, present_PG = take_units(values_PG, ctx, self.name, scale=self.unit)
        if self.centre:
            means_P1E = features_PGE.sum(dim=1, keepdim=True) / present_PG.sum(dim=1)[:, None, None].clamp(min=1)
            features_PGE = (features_PGE - means_P1E) * present_PG[:, :, None]
        # h^T (ridge I + sum over the others)^-1 h = 1 / (ridge q) - 1, with q from the kernel of all of them.
        diagonal_PG = invert_diagonal(features_PGE, torch.full_like(values_PG, self.ridge))
        bonus_PG = (1 / (self.ridge * diagonal_PG) - 1).clamp(min=0)
        bonus_PG = bonus_PG.sqrt() if self.root else bonus_PG
        bonus_PG = bonus_PG if self.cap is None else bonus_PG.clamp(max=self.cap)
        return torch.where(present_PG, values_PG + self.coef * bonus_PG, values_PG)


def take_units(
    values_PG: torch.Tensor, ctx: GroupContext, needed_by: str, scale: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return embeddings of length 1 (or as they are), zero where a completion takes no part, and who takes part."""
    embeddings_PGE = ctx.require("embeddings_PGE", needed_by)
    embedded_PG = embeddings_PGE.isfinite().all(dim=2) & embeddings_PGE.ne(0).any(dim=2)
    present_PG = embedded_PG & ~values_PG.isnan()
    embeddings_PGE = embeddings_PGE.masked_fill(~present_PG[:, :, None], 0.0)
    if scale:
        embeddings_PGE = torch.nn.functional.normalize(embeddings_PGE, dim=2, eps=1e-300)
    return embeddings_PGE, present_PG


def invert_diagonal(features_PGE: torch.Tensor, added_PG: torch.Tensor) -> torch.Tensor:
    """Return the diagonal of (features features^T + diag(added))^-1, shape (P, G)."""
    kernel_PGG = features_PGE @ features_PGE.transpose(1, 2) + torch.diag_embed(added_PG)
    return torch.linalg.inv(kernel_PGG).diagonal(dim1=1, dim2=2)
