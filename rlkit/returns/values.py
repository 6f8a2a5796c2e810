"""What a critic's values lose against returns, and how much of the returns they explain."""

from __future__ import annotations

import math

import torch


def value_losses(
    values_BT: torch.Tensor,
    old_values_BT: torch.Tensor,
    returns_BT: torch.Tensor,
    mask_BT: torch.Tensor,
    clip_range: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of every token and whether clipping stops it, both (B, T) and 0 where the mask is.

    0.5 max((V - R)^2, (clip(V, V_old - e, V_old + e) - R)^2): a movement towards the return beyond e stops, one away
    from it is still corrected. The clip comes from public PPO code, not from the paper (arXiv 1707.06347). Divide the
    sum by the tokens of the whole mini-batch: means over parts of it would overweight the short ones.

    Args:
        values_BT: with gradient.
        old_values_BT: of the critic before it began to learn this batch.
        returns_BT: what it is to learn.
        mask_BT: not 0 where a token counts.
        clip_range: e, above 0; None for no clip.
    """
    ignored_BT = mask_BT == 0
    # Filled before anything is squared: padding may hold anything, and NaN times 0 is NaN.
    errors_BT = (values_BT - returns_BT).masked_fill(ignored_BT, 0)
    losses_BT = 0.5 * errors_BT**2
    if clip_range is None:
        return losses_BT, torch.zeros_like(losses_BT)
    change_BT = values_BT - old_values_BT
    # Inside the range the value itself: what is added up again would differ from it by rounding, and count as clipped.
    moved_BT = torch.where(
        change_BT.abs() <= clip_range, values_BT, old_values_BT + change_BT.clamp(-clip_range, clip_range)
    )
    clipped_BT = 0.5 * (moved_BT - returns_BT).masked_fill(ignored_BT, 0) ** 2
    return torch.maximum(losses_BT, clipped_BT), (clipped_BT > losses_BT).to(losses_BT)


def measure_fit(values_BT: torch.Tensor, returns_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    """Return count and sums of R, R^2, R - V and (R - V)^2 over the tokens of the mask, (5,); those of ranks add up."""
    counted_BT = mask_BT != 0
    returns_N, errors_N = returns_BT[counted_BT].double(), (returns_BT - values_BT)[counted_BT].double()
    count = torch.full((), float(len(returns_N)), dtype=torch.float64, device=returns_N.device)
    return torch.stack([count, returns_N.sum(), (returns_N**2).sum(), errors_N.sum(), (errors_N**2).sum()])


def explain_variance(sums_5: torch.Tensor) -> float:
    """Return 1 - Var(R - V) / Var(R) of what `measure_fit` summed; NaN where all returns are equal or there are none.

    1 is a perfect critic, 0 one that says the mean, below 0 one that is worse than that. Blind to a constant bias, so
    look at the error too. Only returns of lambda 1 make runs comparable: with less, R holds V itself.
    """
    count, total, squares, error, error_squares = sums_5.tolist()
    if count == 0:
        return math.nan
    variance = squares / count - (total / count) ** 2
    if variance <= 1e-12 * max(squares / count, 1e-12):
        return math.nan
    return 1 - (error_squares / count - (error / count) ** 2) / variance
