"""The loss of some rows: wires the trainer's tensors and settings to the maths of `rlkit.objective`.

Every row carries its own weight, which its micro-batch gave it before any row was left out or moved (`weigh_inputs`):
the loss does not depend on how rows are cut into forward passes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from rlkit.objective import (
    TokenBatch,
    compute_token_losses,
    correct_for_sampler,
    weigh_anchor,
    weigh_rows,
    weigh_tokens,
)
from rlkit.objective.surrogates import cispo, clipped, sapo
from rlkit.trainers.entropy_bonus import entropy_coefficient
from rlkit.trainers.meters import Meters


def choose_surrogate(args: Any, epsilon_low: float, epsilon_high: float, level: str) -> Any:
    """Return the surrogate of `args.loss_type`, one of `rlkit.trainers.plan.SUPPORTED`, with its settings bound."""
    if args.loss_type == "cispo":
        return partial(cispo, epsilon_high=epsilon_high, level=level)
    if args.loss_type == "sapo":
        temperatures = {"temperature_pos": args.sapo_temperature_pos, "temperature_neg": args.sapo_temperature_neg}
        return partial(sapo, level=level, **temperatures)
    return partial(clipped, epsilon_low=epsilon_low, epsilon_high=epsilon_high, delta=args.delta, level=level)


def weigh_inputs(trainer: Any, inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return what each row of a whole micro-batch weighs in the loss of its optimizer step.

    `row_weights` (B,) multiplies the sum over its tokens, `entropy_weights` (B,) the sum of its entropies.
    """
    counts_B = token_mask(inputs).sum(dim=1)
    is_training = trainer.model.training
    windows = trainer.current_gradient_accumulation_steps if is_training else 1.0
    # `num_items_in_batch` spans the generation batch; the normaliser is one accumulation window of one rank.
    num_items = inputs["num_items_in_batch"].clamp(min=1.0) / trainer.accelerator.num_processes
    if is_training:
        num_items = num_items * windows / trainer.args.steps_per_generation
    bound = trainer.max_completion_length
    weights_B = weigh_rows(counts_B, trainer.loss_type, max_completion_length=bound, num_items=num_items)
    if trainer.loss_type not in ("dapo", "cispo"):
        weights_B = weights_B / windows
    entropy_weights_B = torch.ones_like(weights_B) / counts_B.sum().clamp(min=1) / windows
    return {"row_weights": weights_B.float(), "entropy_weights": entropy_weights_B.float()}


def token_mask(inputs: dict[str, Any]) -> torch.Tensor:
    """Return which completion tokens count, (B, T)."""
    mask_BT: torch.Tensor = inputs["completion_mask"]
    return mask_BT * inputs["tool_mask"] if "tool_mask" in inputs else mask_BT


def compute_loss(trainer: Any, model: Any, rows: dict[str, Any], anchor_coef: float, meters: Meters) -> Any:
    """Return the scalar to backpropagate for some rows and the log-probs (B, T) of their tokens, detached.

    Args:
        trainer: a `DiverseGRPOTrainer`.
        model: the policy as prepared for training.
        rows: TRL's keys, those of `weigh_inputs`, and `anchored` where the anchor holds some rows only.
        anchor_coef: the coefficient of an anchor in the loss; 0 without one.
        meters: collects what is logged.
    """
    objective = trainer.plan.objective
    batch, aux_loss = _forward(trainer, model, rows, meters)
    kept, entropy_mask = _kept_tokens(trainer, rows, batch)
    weights_BT = weigh_tokens(objective, batch)
    if weights_BT is not None:
        meters.add("token_weight/mean", weights_BT, batch.mask_BT)
    losses = compute_token_losses(
        objective, trainer.surrogate, batch, anchor_coef, weights_BT, kept, trainer.importance_sampling_level
    )
    counted = losses.expand(batch.mask_BT.shape).masked_fill(batch.mask_BT == 0, 0)
    loss = (counted.sum(dim=1) * rows["row_weights"]).sum()
    trainer.policy_losses.append(loss.detach())
    if trainer._entropy_bonus_enabled:
        loss = loss - entropy_coefficient(trainer) * _mean_entropy(trainer, rows, batch, entropy_mask)
    if aux_loss is not None:
        windows = trainer.current_gradient_accumulation_steps if trainer.model.training else 1.0
        loss = loss + trainer.router_aux_loss_coef * aux_loss / windows
        trainer.record("aux_loss", trainer.accelerator.gather_for_metrics(aux_loss).mean().item())
    _measure(trainer, batch, meters)
    return loss, batch.logps_BT.detach()


def _forward(trainer: Any, model: Any, rows: dict[str, Any], meters: Meters) -> tuple[TokenBatch, torch.Tensor | None]:
    mask_BT = token_mask(rows)
    logps_BT, entropies_BT, aux_loss = trainer._get_per_token_logps_and_entropies(
        model,
        torch.cat([rows["prompt_ids"], rows["completion_ids"]], dim=1),
        torch.cat([rows["prompt_mask"], rows["completion_mask"]], dim=1),
        rows["completion_ids"].size(1),
        compute_entropy=True,
        compute_aux_loss=trainer.aux_loss_enabled,
    )
    old_logps_BT, advantages, anchored = rows.get("old_per_token_logps"), rows["advantages"], rows.get("anchored")
    old_logps_BT = logps_BT.detach() if old_logps_BT is None else old_logps_BT
    batch = TokenBatch(
        logps_BT=logps_BT,
        old_logps_BT=old_logps_BT,
        entropies_BT=entropies_BT,
        advantages=advantages.unsqueeze(1) if advantages.dim() == 1 else advantages,
        mask_BT=mask_BT,
        ref_logps_BT=rows.get("ref_per_token_logps"),
        anchored_B1=None if anchored is None else anchored.unsqueeze(1),
        importance_BT=_correct_sampler(trainer, rows, old_logps_BT, mask_BT, meters),
    )
    return batch, aux_loss


def _correct_sampler(
    trainer: Any, rows: dict[str, Any], old_logps_BT: torch.Tensor, mask_BT: torch.Tensor, meters: Meters
) -> torch.Tensor | None:
    if not (trainer.use_vllm and trainer.vllm_importance_sampling_correction):
        return None
    if "importance_sampling_ratio" in rows:
        ratio: torch.Tensor = rows["importance_sampling_ratio"]
        return ratio
    sampler_BT = rows["sampling_per_token_logps"]
    mode = trainer.vllm_importance_sampling_mode
    bounds = (trainer.vllm_importance_sampling_clip_min, trainer.vllm_importance_sampling_clip_max)
    ratio = correct_for_sampler(old_logps_BT, sampler_BT, mask_BT, mode, *bounds)
    difference_BT = (old_logps_BT - sampler_BT).abs()
    is_known_BT = (mask_BT != 0) & ~difference_BT.isnan()
    meters.add("sampling/sampling_logp_difference/mean", difference_BT, is_known_BT)
    meters.add_high("sampling/sampling_logp_difference/max", difference_BT[is_known_BT])
    is_counted = mask_BT != 0 if ratio.size(1) != 1 else (mask_BT != 0).any(dim=1, keepdim=True)
    meters.add("sampling/importance_sampling_ratio/mean", ratio, is_counted)
    meters.add_low("sampling/importance_sampling_ratio/min", ratio[is_counted])
    meters.add_high("sampling/importance_sampling_ratio/max", ratio[is_counted])
    return ratio


def _kept_tokens(
    trainer: Any, rows: dict[str, Any], batch: TokenBatch
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return TRL's own masks on the surrogate: both together, and the entropy mask alone."""
    kept = entropy_mask = None
    if trainer.top_entropy_quantile < 1.0:
        entropy_mask = trainer.get_high_entropy_mask(
            batch.entropies_BT, batch.mask_BT, 1 - trainer.top_entropy_quantile
        )
        kept = entropy_mask
    if trainer.off_policy_mask_threshold is not None:
        off_policy_mask = trainer.get_off_policy_mask(
            advantages=batch.advantages,
            per_token_logps=batch.logps_BT,
            sampling_per_token_logps=rows.get("sampling_per_token_logps", batch.old_logps_BT),
            mask=batch.mask_BT,
            off_policy_threshold=trainer.off_policy_mask_threshold,
        )
        kept = off_policy_mask if kept is None else kept * off_policy_mask
    return kept, entropy_mask


def _mean_entropy(
    trainer: Any, rows: dict[str, Any], batch: TokenBatch, entropy_mask: torch.Tensor | None
) -> torch.Tensor:
    """Return what these rows add to the mean token entropy of their micro-batch, scaled for accumulation."""
    mask_BT = batch.mask_BT if entropy_mask is None else batch.mask_BT * entropy_mask
    sums_B = (batch.entropies_BT * mask_BT).sum(dim=1)
    trainer.entropy_stats.append(torch.stack([sums_B.sum(), mask_BT.sum()]).detach())
    if entropy_mask is None:
        return (sums_B * rows["entropy_weights"]).sum()
    windows = trainer.current_gradient_accumulation_steps if trainer.model.training else 1.0
    return sums_B.sum() / mask_BT.sum().clamp(min=1.0) / windows


def _measure(trainer: Any, batch: TokenBatch, meters: Meters) -> None:
    with torch.no_grad():
        anchor = trainer.plan.objective.anchor
        if anchor is not None and batch.ref_logps_BT is not None:
            held = batch.mask_BT if batch.anchored_B1 is None else batch.mask_BT * batch.anchored_B1
            values_BT = anchor.values(batch.logps_BT, batch.ref_logps_BT)
            ratio = weigh_anchor(trainer.plan.objective, batch, trainer.importance_sampling_level)
            meters.add("kl", values_BT if ratio is None else values_BT * ratio, held)
        meters.add("entropy", batch.entropies_BT, batch.mask_BT)
        if trainer.loss_type != "sapo":
            _measure_clipping(trainer, batch, meters)


def _measure_clipping(trainer: Any, batch: TokenBatch, meters: Meters) -> None:
    mask_BT, log_ratio_BT = batch.mask_BT, batch.logps_BT - batch.old_logps_BT
    if trainer.importance_sampling_level == "sequence":
        # One ratio a completion counts once, however long it is.
        log_ratio_BT = (log_ratio_BT * mask_BT).sum(1, keepdim=True) / mask_BT.sum(1, keepdim=True).clamp(min=1.0)
        mask_BT = (mask_BT != 0).any(dim=1, keepdim=True)
    ratio_BT = log_ratio_BT.exp()
    if trainer.loss_type == "cispo":
        # Its bound is the ratio's own, not a distance from 1.
        clipped_BT = ((ratio_BT > trainer.epsilon_high) & (batch.advantages > 0)).float()
        meters.add("cispo_clip_ratio", clipped_BT, mask_BT)
        return
    low_BT = ((ratio_BT < 1 - trainer.epsilon_low) & (batch.advantages < 0)).float()
    high_BT = ((ratio_BT > 1 + trainer.epsilon_high) & (batch.advantages > 0)).float()
    for name, clipped_BT in (("low", low_BT), ("high", high_BT), ("region", torch.maximum(low_BT, high_BT))):
        meters.add(f"clip_ratio/{name}_mean", clipped_BT, mask_BT)
    low_B, high_B = ((share * mask_BT).sum(1) / mask_BT.sum(1) for share in (low_BT, high_BT))
    meters.add_low("clip_ratio/low_min", low_B)
    meters.add_high("clip_ratio/high_max", high_B)
