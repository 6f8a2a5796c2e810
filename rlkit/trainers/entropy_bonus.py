"""TRL's entropy bonus, static or adaptive, for a loss that is ours; state and settings stay TRL's.

The numbers are pinned against TRL's own loss in tests/trainers/test_loss.py.
"""

from __future__ import annotations

from typing import Any

import torch

from rlkit.objective import TokenBatch


def add_entropy_bonus(
    trainer: Any, loss: torch.Tensor, policy_loss: torch.Tensor, batch: TokenBatch, entropy_mask: torch.Tensor | None
) -> torch.Tensor:
    """Return the loss minus the coefficient times the mean token entropy; the loss itself where there is no bonus.

    Args:
        trainer: holds TRL's entropy settings and the adaptive controller's state, which is updated.
        loss: scalar, scaled for accumulation.
        policy_loss: scalar, for the log.
        batch: entropies and mask of the micro-batch.
        entropy_mask: tokens that `top_entropy_quantile` keeps; None for all.
    """
    if not trainer._entropy_bonus_enabled:
        return loss
    is_training = trainer.model.training
    mask_BT = batch.mask_BT if entropy_mask is None else batch.mask_BT * entropy_mask
    total, count = (batch.entropies_BT * mask_BT).sum(), mask_BT.sum()
    windows = trainer.current_gradient_accumulation_steps if is_training else 1.0
    is_active = not trainer.use_adaptive_entropy or trainer._last_world_entropy <= trainer.args.entropy_target
    coef = trainer.entropy_coef if is_active else 0.0
    trainer.record("policy_loss", trainer.accelerator.gather(policy_loss).nanmean().item())
    if trainer.use_adaptive_entropy and is_training:
        _steer_coefficient(trainer, torch.stack([total, count]).detach())
    if is_training and trainer.accelerator.sync_gradients:
        trainer.record("entropy_coef", trainer.entropy_coef)
    return loss - coef * total / count.clamp(min=1.0) / windows


def _steer_coefficient(trainer: Any, stats: torch.Tensor) -> None:
    window = trainer._entropy_window_stats
    trainer._entropy_window_stats = stats if window is None else window + stats
    if not trainer.accelerator.sync_gradients:
        return
    total, count = trainer.accelerator.reduce(trainer._entropy_window_stats, reduction="sum")
    entropy = (total / count.clamp(min=1.0)).item()
    args = trainer.args
    change = args.entropy_coef_delta if entropy <= args.entropy_target else -args.entropy_coef_delta
    trainer.entropy_coef = min(max(trainer.entropy_coef + change, args.entropy_coef_min), args.entropy_coef_max)
    trainer._last_world_entropy = entropy
    trainer._entropy_window_stats = None
