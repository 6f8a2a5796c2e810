"""Advantages scaled to mean 0 and variance 1 over every token of a batch, whichever rank holds it."""

from __future__ import annotations

import torch

_EPS = 1e-8
"""Added to the variance, as verl and NeMo-RL do."""
_EQUAL = 1e-12
"""A variance below this share of the mean square is rounding: all values are equal."""


def measure_moments(advantages_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    """Return count, sum and sum of squares over the tokens of the mask, (3,) float64; those of ranks add up."""
    values_N = advantages_BT[mask_BT != 0].double()
    count = torch.full((), float(len(values_N)), dtype=torch.float64, device=values_N.device)
    return torch.stack([count, values_N.sum(), (values_N**2).sum()])


def whiten(advantages_BT: torch.Tensor, mask_BT: torch.Tensor, moments_3: torch.Tensor) -> torch.Tensor:
    """Return (A - mean) / sqrt(variance + 1e-8), 0 where the mask is.

    The variance divides by n - 1, as verl and NeMo-RL do. Where all advantages are equal, or there is one, nothing sets
    a token apart, and all become 0. Longer completions weigh more, token by token; returns are never whitened.

    Args:
        advantages_BT: this rank's.
        mask_BT: not 0 where a token counts.
        moments_3: of all ranks, from `measure_moments`.
    """
    count, total, squares = moments_3.tolist()
    if count < 2:
        return torch.zeros_like(advantages_BT)
    mean = total / count
    variance = max(squares - count * mean**2, 0.0) / (count - 1)
    if variance <= _EQUAL * squares / count:
        return torch.zeros_like(advantages_BT)
    whitened_BT = (advantages_BT - mean) / (variance + _EPS) ** 0.5
    return whitened_BT.masked_fill(mask_BT == 0, 0)
