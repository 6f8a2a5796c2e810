"""TRL's entropy bonus, static or adaptive, for a loss that is ours; state and settings stay TRL's.

TRL saves and loads the controller's state by the attributes named here, so it must live on the trainer. The numbers are
pinned against TRL's own loss in tests/trainers/test_loss.py.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch


class HasEntropyBonus(Protocol):
    """The part of TRL's trainer that holds the bonus."""

    args: Any
    accelerator: Any
    use_adaptive_entropy: bool
    entropy_coef: float
    _last_world_entropy: float
    _entropy_window_stats: torch.Tensor | None


def entropy_coefficient(trainer: HasEntropyBonus) -> float:
    """Return the coefficient of this optimizer step; 0 while an adaptive bonus rests."""
    is_active = not trainer.use_adaptive_entropy or trainer._last_world_entropy <= trainer.args.entropy_target
    return trainer.entropy_coef if is_active else 0.0


def steer_entropy_coefficient(trainer: HasEntropyBonus, total_and_count: torch.Tensor, is_boundary: bool) -> None:
    """Account for the entropies of some passes, and at the end of an optimizer step move an adaptive coefficient.

    Args:
        trainer: holds the settings and the state, which is updated.
        total_and_count: sum and count of the entropies of this rank's tokens, (2,).
        is_boundary: whether the optimizer steps next; all ranks agree.
    """
    if not trainer.use_adaptive_entropy:
        return
    window = trainer._entropy_window_stats
    trainer._entropy_window_stats = total_and_count if window is None else window + total_and_count
    if is_boundary:
        total, count = trainer.accelerator.reduce(trainer._entropy_window_stats, reduction="sum")
        _move(trainer, (total / count.clamp(min=1.0)).item())


def _move(trainer: HasEntropyBonus, entropy: float) -> None:
    args = trainer.args
    change = args.entropy_coef_delta if entropy <= args.entropy_target else -args.entropy_coef_delta
    trainer.entropy_coef = min(max(trainer.entropy_coef + change, args.entropy_coef_min), args.entropy_coef_max)
    trainer._last_world_entropy = entropy
    trainer._entropy_window_stats = None
