"""The loss of a whole micro-batch, as the trainer adds it up."""

from __future__ import annotations

from typing import Any

import torch

from rlkit.objective import weigh_rows


def average(losses_BT: torch.Tensor, mask_BT: torch.Tensor, kind: str, **options: Any) -> torch.Tensor:
    """Return the weighted sum of the losses of tokens (B, T) or completions (B, 1) whose mask is not 0."""
    is_counted_BT = mask_BT != 0
    sums_B = losses_BT.expand(mask_BT.shape).masked_fill(~is_counted_BT, 0).sum(dim=1)
    return (sums_B * weigh_rows(is_counted_BT.sum(dim=1), kind, **options).to(sums_B.dtype)).sum()
