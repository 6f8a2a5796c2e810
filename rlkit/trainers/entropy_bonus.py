"""TRL's entropy bonus, static or adaptive, for a loss that is ours; state and settings stay TRL's.

The numbers are pinned against TRL's own loss in tests/trainers/test_loss.py.
"""

from __future__ import annotations

from typing import Any

import torch


def entropy_coefficient(trainer: Any) -> float:
    """Return the coefficient of this optimizer step; 0 while an adaptive bonus rests."""
    is_active = not trainer.use_adaptive_entropy or trainer._last_world_entropy <= trainer.args.entropy_target
    return trainer.entropy_coef if is_active else 0.0


def steer_entropy_coefficient(trainer: Any, stats: list[torch.Tensor], is_boundary: bool) -> None:
    """Account for the entropies of a micro-batch, and at the end of an optimizer step move the coefficient.

    Args:
        trainer: holds TRL's entropy settings and the adaptive controller's state, which is updated.
        stats: sum and count of the entropies of this rank's tokens, one pair a forward pass.
        is_boundary: whether the optimizer steps next; all ranks agree.
    """
    if trainer.use_adaptive_entropy:
        window = trainer._entropy_window_stats
        trainer._entropy_window_stats = sum(
            stats, torch.zeros(2, device=trainer.accelerator.device) if window is None else window
        )
        if is_boundary:
            _move(trainer)
    if is_boundary:
        trainer.record("entropy_coef", trainer.entropy_coef)


def _move(trainer: Any) -> None:
    total, count = trainer.accelerator.reduce(trainer._entropy_window_stats, reduction="sum")
    entropy = (total / count.clamp(min=1.0)).item()
    args = trainer.args
    change = args.entropy_coef_delta if entropy <= args.entropy_target else -args.entropy_coef_delta
    trainer.entropy_coef = min(max(trainer.entropy_coef + change, args.entropy_coef_min), args.entropy_coef_max)
    trainer._last_world_entropy = entropy
    trainer._entropy_window_stats = None
