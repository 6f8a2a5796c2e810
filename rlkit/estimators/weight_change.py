"""How much of a model an update changed: shares of untouched weights, relative size, and the rank of the change.

Caution: "unchanged" depends on what the checkpoints were saved in. bfloat16 keeps 8 bits: a weight of 0.02 moves in
steps of 1.2e-4, so updates of 3e-6 of every single weight leave 96 % of them bit-identical after rounding. Shares from
16-bit files measure learning rate and rounding as much as the method; hence every tolerance and both dtypes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rlkit.errors import ConfigError

if TYPE_CHECKING:
    import torch

TOLERANCES = (0.0, 1e-8, 1e-6, 1e-5, 1e-4)
"""Changes of at most this size count as none; 1e-5 is that of Mukherjee et al. 2025, arXiv 2505.11711."""


@dataclass
class ChangeCounts:
    """Sums over weights, fed chunk by chunk; two of them add up."""

    tolerances: Sequence[float] = TOLERANCES
    num_weights: int = 0
    num_within: list[int] = field(default_factory=list)
    """Weights that changed by at most each tolerance."""
    squared_change: float = 0.0
    squared_weight: float = 0.0
    largest_change: float = 0.0

    def __post_init__(self) -> None:
        self.num_within = self.num_within or [0] * len(self.tolerances)

    def add(self, change: torch.Tensor, weight: torch.Tensor) -> None:
        """Count the change of some weights.

        Args:
            change: after minus before, any shape, in a type that holds the difference of two weights (float32).
            weight: the weights before, same shape.
        """
        import torch

        if change.shape != weight.shape:
            raise ConfigError(f"A change of shape {tuple(change.shape)} is not one of weights {tuple(weight.shape)}.")
        if not change.numel():
            return
        sizes = change.abs()
        self.num_weights += change.numel()
        self.num_within = [
            count + int((sizes <= tolerance).sum())
            for count, tolerance in zip(self.num_within, self.tolerances, strict=True)
        ]
        self.squared_change += float(change.square().sum(dtype=torch.float64))
        self.squared_weight += float(weight.float().square().sum(dtype=torch.float64))
        self.largest_change = max(self.largest_change, float(sizes.max()))

    def __add__(self, other: ChangeCounts) -> ChangeCounts:
        """Return the counts of both sets of weights together."""
        return ChangeCounts(
            self.tolerances,
            self.num_weights + other.num_weights,
            [one + two for one, two in zip(self.num_within, other.num_within, strict=True)],
            self.squared_change + other.squared_change,
            self.squared_weight + other.squared_weight,
            max(self.largest_change, other.largest_change),
        )

    @property
    def sparsity(self) -> dict[float, float]:
        """Tolerance -> share of weights that changed by no more, range [0, 1]; at 0, of those bit-identical."""
        return {
            tolerance: count / self.num_weights if self.num_weights else math.nan
            for tolerance, count in zip(self.tolerances, self.num_within, strict=True)
        }

    @property
    def relative_change(self) -> float:
        """Frobenius norm of the change over that of the weights before; NaN where these are all zero."""
        return math.sqrt(self.squared_change / self.squared_weight) if self.squared_weight else math.nan


@dataclass(frozen=True)
class ChangeRank:
    """In how many directions a matrix changed; NaN where it did not change at all."""

    stable_rank: float
    """||D||_F**2 / ||D||_2**2, range [1, min(shape)]: smooth, ruled by the largest direction."""
    effective_rank: float
    """exp of the entropy of singular values over their sum (Roy & Vetterli 2007), range [1, min(shape)]."""
    numerical_rank: int
    """Singular values above largest * max(shape) * eps: near full for almost any update, and for rounding noise."""


def change_rank(change: torch.Tensor) -> ChangeRank:
    """Return three ranks of a change, a matrix; costs O(min(shape)**2 * max(shape)).

    Raises:
        ConfigError: it is no matrix.
    """
    import torch

    if change.ndim != 2:
        raise ConfigError(f"A rank is of a matrix, but the change has shape {tuple(change.shape)}.")
    wide = change.double() if change.shape[0] <= change.shape[1] else change.double().T
    # Eigenvalues of the smaller Gram matrix come several times faster than singular values; in float64, what squaring
    # loses lies below the threshold of the numerical rank.
    values = torch.linalg.eigvalsh(wide @ wide.T).clamp(min=0.0).sqrt()
    largest = float(values.max()) if len(values) else 0.0
    if not largest:
        return ChangeRank(math.nan, math.nan, 0)
    shares = values / values.sum()
    return ChangeRank(
        float((values / largest).square().sum()),
        math.exp(float(torch.special.entr(shares).sum())),
        int((values > largest * max(change.shape) * torch.finfo(torch.float32).eps).sum()),
    )
