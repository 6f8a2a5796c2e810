"""A weighted sum of tensors whose ends are exact: pure, a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def combine(values: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """Return the sum of w_i x_i, written as x_c + sum of w_i (x_i - x_c) around the x_c of the largest weight.

    Copies of one tensor come out bit by bit, and so does the tensor of weight 1 among those of weight 0; the plain sum
    would round a third three times. Differences of models of one origin are small, so what is rounded is too.

    Args:
        values: tensors of one shape, any floating types.
        weights: one for each, of sum 1; negative ones extrapolate.

    Returns:
        The sum in the widest type of those that weigh anything, accumulated in float32, or float64 where one is that.
    """
    import torch

    center = max(range(len(weights)), key=lambda place: abs(weights[place]))
    parts = [(value, weight) for value, weight in zip(values, weights, strict=True) if weight]
    kept = parts[0][0].dtype
    for value, _ in parts:
        kept = torch.promote_types(kept, value.dtype)
    if len(parts) == 1:
        return values[center].to(kept)
    exact = torch.promote_types(kept, torch.float32)
    around = values[center].to(exact)
    total = around.clone()
    for place, (value, weight) in enumerate(zip(values, weights, strict=True)):
        if weight and place != center:
            total.add_(value.to(exact).sub_(around) if value.dtype != exact else value - around, alpha=weight)
    return total.to(kept)
