"""The loss of a micro-batch: wires the trainer's tensors and settings to the maths of `rlkit.objective`.

Used when a recipe has an `objective`; without one the loss is TRL's own, and with one whose parts are all neutral it
has TRL's value and gradient (tests/trainers/test_loss.py).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from trl.trainer.utils import nanmax, nanmin

from rlkit.objective import Objective, TokenBatch, aggregate, compute_anchor_losses, compute_token_losses, weigh_tokens
from rlkit.objective.surrogates import cispo, clipped, sapo
from rlkit.trainers.entropy_bonus import add_entropy_bonus


def choose_surrogate(args: Any, epsilon_low: float, epsilon_high: float, level: str) -> Any:
    """Return the surrogate of `args.loss_type`, one of `rlkit.trainers.plan.SUPPORTED`, with its settings bound."""
    if args.loss_type == "cispo":
        return partial(cispo, epsilon_high=epsilon_high, level=level)
    if args.loss_type == "sapo":
        temperatures = {"temperature_pos": args.sapo_temperature_pos, "temperature_neg": args.sapo_temperature_neg}
        return partial(sapo, level=level, **temperatures)
    return partial(clipped, epsilon_low=epsilon_low, epsilon_high=epsilon_high, delta=args.delta, level=level)


def compute_loss(trainer: Any, model: Any, inputs: dict[str, Any], objective: Objective, anchor_coef: float) -> Any:
    """Return the scalar to backpropagate for one micro-batch, and log its metrics.

    Args:
        trainer: a `DiverseGRPOTrainer`.
        model: the policy as prepared for training.
        inputs: one micro-batch of the buffer; `anchored` beside TRL's keys says which rows the anchor holds.
        objective: what the loss holds beside the surrogate.
        anchor_coef: the coefficient of an anchor in the loss; 0 without one.
    """
    batch, aux_loss = _forward(trainer, model, inputs)
    kept, entropy_mask = _kept_tokens(trainer, inputs, batch)
    weights_BT = weigh_tokens(objective, batch)
    if weights_BT is not None:
        trainer.record("token_weight/mean", trainer.mean_over_tokens(weights_BT, batch.mask_BT))
    losses = compute_token_losses(objective, trainer.surrogate, batch, anchor_coef, weights_BT, kept)
    is_training = trainer.model.training
    windows = trainer.current_gradient_accumulation_steps if is_training else 1.0
    # `num_items_in_batch` spans the generation batch; the normaliser is one accumulation window of one rank.
    num_items = inputs["num_items_in_batch"].clamp(min=1.0) / trainer.accelerator.num_processes
    if is_training:
        num_items = num_items * windows / trainer.args.steps_per_generation
    loss = aggregate(
        losses,
        batch.mask_BT,
        trainer.loss_type,
        max_completion_length=trainer.max_completion_length,
        num_items=num_items,
    )
    policy_loss = loss.detach()
    if trainer.loss_type not in ("dapo", "cispo"):
        loss = loss / windows
    loss = add_entropy_bonus(trainer, loss, policy_loss, batch, entropy_mask)
    if aux_loss is not None:
        loss = loss + trainer.router_aux_loss_coef * aux_loss / windows
        trainer.record("aux_loss", trainer.accelerator.gather_for_metrics(aux_loss).mean().item())
    if trainer.rehearser is not None and is_training:
        loss = loss + trainer.rehearser.loss(model) / windows
    _log(trainer, objective, batch)
    return loss


def _forward(trainer: Any, model: Any, inputs: dict[str, Any]) -> tuple[TokenBatch, torch.Tensor | None]:
    completion_ids, completion_mask = inputs["completion_ids"], inputs["completion_mask"]
    mask_BT = completion_mask * inputs["tool_mask"] if "tool_mask" in inputs else completion_mask
    logps_BT, entropies_BT, aux_loss = trainer._get_per_token_logps_and_entropies(
        model,
        torch.cat([inputs["prompt_ids"], completion_ids], dim=1),
        torch.cat([inputs["prompt_mask"], completion_mask], dim=1),
        completion_ids.size(1),
        compute_entropy=True,
        compute_aux_loss=trainer.aux_loss_enabled,
    )
    old_logps_BT, advantages = inputs.get("old_per_token_logps"), inputs["advantages"]
    anchored = inputs.get("anchored")
    is_corrected = trainer.use_vllm and trainer.vllm_importance_sampling_correction
    batch = TokenBatch(
        logps_BT=logps_BT,
        old_logps_BT=logps_BT.detach() if old_logps_BT is None else old_logps_BT,
        entropies_BT=entropies_BT,
        advantages=advantages.unsqueeze(1) if advantages.dim() == 1 else advantages,
        mask_BT=mask_BT,
        ref_logps_BT=inputs.get("ref_per_token_logps"),
        anchored_B1=None if anchored is None else anchored.unsqueeze(1),
        importance_BT=inputs["importance_sampling_ratio"] if is_corrected else None,
    )
    return batch, aux_loss


def _kept_tokens(
    trainer: Any, inputs: dict[str, Any], batch: TokenBatch
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
            sampling_per_token_logps=inputs.get("sampling_per_token_logps", batch.old_logps_BT),
            mask=batch.mask_BT,
            off_policy_threshold=trainer.off_policy_mask_threshold,
        )
        kept = off_policy_mask if kept is None else kept * off_policy_mask
    return kept, entropy_mask


def _log(trainer: Any, objective: Objective, batch: TokenBatch) -> None:
    with torch.no_grad():
        if batch.ref_logps_BT is not None and objective.anchor is not None:
            kl = trainer.mean_over_tokens(objective.anchor.values(batch.logps_BT, batch.ref_logps_BT), batch.mask_BT)
            trainer.record("kl", kl)
            trainer.observe_kl(kl)
            if batch.anchored_B1 is not None:
                held = compute_anchor_losses(objective, batch).detach()
                trainer.record("anchor/held", trainer.mean_over_tokens(held, batch.mask_BT))
        trainer.record("entropy", trainer.mean_over_tokens(batch.entropies_BT, batch.mask_BT))
        if trainer.loss_type not in ("cispo", "sapo"):
            _log_clipping(trainer, batch)


def _log_clipping(trainer: Any, batch: TokenBatch) -> None:
    mask_BT, log_ratio_BT = batch.mask_BT, batch.logps_BT - batch.old_logps_BT
    if trainer.importance_sampling_level == "sequence":
        # One ratio a completion counts once, however long it is.
        log_ratio_BT = (log_ratio_BT * mask_BT).sum(1, keepdim=True) / mask_BT.sum(1, keepdim=True).clamp(min=1.0)
        mask_BT = torch.ones_like(log_ratio_BT)
    ratio_BT = log_ratio_BT.exp()
    low_BT = ((ratio_BT < 1 - trainer.epsilon_low) & (batch.advantages < 0)).float()
    high_BT = ((ratio_BT > 1 + trainer.epsilon_high) & (batch.advantages > 0)).float()
    for name, clipped_BT in (("low", low_BT), ("high", high_BT), ("region", torch.maximum(low_BT, high_BT))):
        trainer.record(f"clip_ratio/{name}_mean", trainer.mean_over_tokens(clipped_BT, mask_BT))
    low_B, high_B = ((share * mask_BT).sum(1) / mask_BT.sum(1) for share in (low_BT, high_BT))
    trainer.record("clip_ratio/low_min", nanmin(trainer.accelerator.gather(low_B)).item())
    trainer.record("clip_ratio/high_max", nanmax(trainer.accelerator.gather(high_B)).item())
