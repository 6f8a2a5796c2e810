"""The loss of some rows: settings and tensors go in, the loss, its log-probs and what was measured come out.

The maths is in `rlkit.objective`; here TRL's batch becomes its tensors. Every row carries its own weight, which its
micro-batch gave it before any row was left out or moved (`weigh_inputs`), because TRL normalises by the micro-batch: so
the loss does not depend on how rows are cut into forward passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from trl import GRPOTrainer

from rlkit.objective import (
    Objective,
    TokenBatch,
    TokenWeight,
    compute_token_losses,
    correct_for_sampler,
    find_needed_rows,
    weigh_anchor,
    weigh_rows,
    weigh_tokens,
)
from rlkit.objective.loss import cispo, clipped, sapo
from rlkit.trainers.statistics import Statistics

Rows = dict[str, Any]
"""Some rows of a generation batch: tensors by TRL's names and ours, one row a completion."""

MODEL_INPUTS = (
    *("pixel_values", "image_grid_thw", "num_images", "pixel_attention_mask", "spatial_shapes", "num_tiles"),
    *("image_sizes", "token_type_ids", "mm_token_type_ids", "image_position_ids"),
)
"""What TRL puts into a batch for the model beside tokens: pictures, and what says where they are. Rows that hold any of
it cannot be cut anew, because several pictures of a row lie one after the other."""

BY_TOKENS = ("dapo", "cispo")
"""Loss types that divide by the tokens of a whole optimizer step, so that accumulation is in the normaliser already."""


@dataclass(frozen=True)
class SamplerCorrection:
    """How tokens that vLLM sampled are weighed for its log-probs being others than ours."""

    mode: str
    clip_min: float | None
    clip_max: float | None


@dataclass(frozen=True)
class LossSettings:
    """What the loss of a run is; nothing of it changes from step to step."""

    objective: Objective
    loss_type: str
    surrogate: Callable[..., torch.Tensor]
    level: str
    """One importance ratio a `token` or a `sequence`."""
    epsilon_low: float
    epsilon_high: float
    max_completion_length: int
    steps_per_generation: int
    num_processes: int
    has_entropy_bonus: bool
    top_entropy_quantile: float
    """Share of tokens, those of highest entropy, that the surrogate acts on."""
    off_policy_threshold: float | None
    sampler: SamplerCorrection | None
    aux_loss_coef: float
    """Weight of the load-balancing loss of a mixture of experts; 0 leaves it out."""
    mask_by_entropy: Callable[..., torch.Tensor]
    """TRL's own, a collective: the quantile is over the tokens of all ranks."""
    mask_off_policy: Callable[..., torch.Tensor]
    """TRL's own."""

    @classmethod
    def of(cls, trainer: GRPOTrainer, objective: Objective) -> LossSettings:
        """Read TRL's settings of the loss off a trainer."""
        sampler = SamplerCorrection(
            trainer.vllm_importance_sampling_mode,
            trainer.vllm_importance_sampling_clip_min,
            trainer.vllm_importance_sampling_clip_max,
        )
        is_corrected = trainer.use_vllm and trainer.vllm_importance_sampling_correction
        bounds = (trainer.epsilon_low, trainer.epsilon_high)
        return cls(
            objective=objective,
            loss_type=trainer.loss_type,
            surrogate=_choose_surrogate(trainer.args, *bounds, trainer.importance_sampling_level),
            level=trainer.importance_sampling_level,
            epsilon_low=trainer.epsilon_low,
            epsilon_high=trainer.epsilon_high,
            max_completion_length=trainer.max_completion_length,
            steps_per_generation=trainer.args.steps_per_generation,
            num_processes=trainer.accelerator.num_processes,
            has_entropy_bonus=trainer._entropy_bonus_enabled,
            top_entropy_quantile=trainer.top_entropy_quantile,
            off_policy_threshold=trainer.off_policy_mask_threshold,
            sampler=sampler if is_corrected else None,
            aux_loss_coef=trainer.router_aux_loss_coef if trainer.aux_loss_enabled else 0.0,
            mask_by_entropy=trainer.get_high_entropy_mask,
            mask_off_policy=trainer.get_off_policy_mask,
        )

    @property
    def keeps_microbatches(self) -> bool:
        """Whether statistics over a micro-batch are part of the method, so that its rows must stay together."""
        return bool(self.objective.token_weights) or self.top_entropy_quantile < 1.0


@dataclass(frozen=True)
class LossState:
    """What of the loss moves from step to step."""

    anchor_coef: float = 0.0
    """Coefficient of the anchor in the loss; 0 without one."""
    may_anchor: bool = False
    """Whether that coefficient is other than 0 now or may become so while a batch is still learnt from."""
    entropy_coef: float = 0.0
    num_microbatches: float = 1.0
    """Micro-batches of an optimizer step, whose gradients add up; 1 in an evaluation."""
    is_training: bool = True
    token_weights: tuple[TokenWeight, ...] | None = None
    """The objective's, as they are now where they move; None for as they were built."""
    needs_every_row: bool = False
    """Whether something else than the policy's loss is learnt from rows that weigh nothing in it."""


class LossResult(NamedTuple):
    """What some rows come to."""

    loss: torch.Tensor
    """The scalar to backpropagate."""
    logps_BT: torch.Tensor
    """Log-probs of the completions' tokens, detached."""
    statistics: Statistics
    """What will be logged; as sums, `policy_loss` and `entropy` (sum and count of the entropy bonus's tokens)."""


def _choose_surrogate(args: Any, epsilon_low: float, epsilon_high: float, level: str) -> Callable[..., torch.Tensor]:
    if args.loss_type == "cispo":
        return partial(cispo, epsilon_high=epsilon_high, level=level)
    if args.loss_type == "sapo":
        temperatures = {"temperature_pos": args.sapo_temperature_pos, "temperature_neg": args.sapo_temperature_neg}
        return partial(sapo, level=level, **temperatures)
    return partial(clipped, epsilon_low=epsilon_low, epsilon_high=epsilon_high, delta=args.delta, level=level)


def weigh_inputs(settings: LossSettings, state: LossState, inputs: Rows) -> dict[str, torch.Tensor]:
    """Return what each row of a whole micro-batch weighs in the loss of its optimizer step.

    `row_weights` (B,) multiplies the sum over its tokens, `entropy_weights` (B,) the sum of its entropies.
    """
    counts_B = token_mask(inputs).sum(dim=1)
    # `num_items_in_batch` spans the generation batch; the normaliser is one accumulation window of one rank.
    num_items = inputs["num_items_in_batch"].clamp(min=1.0) / settings.num_processes
    if state.is_training:
        num_items = num_items * state.num_microbatches / settings.steps_per_generation
    bound = settings.max_completion_length
    weights_B = weigh_rows(counts_B, settings.loss_type, max_completion_length=bound, num_items=num_items)
    if settings.loss_type not in BY_TOKENS:
        weights_B = weights_B / state.num_microbatches
    entropy_weights_B = torch.ones_like(weights_B) / counts_B.sum().clamp(min=1) / state.num_microbatches
    return {"row_weights": weights_B.float(), "entropy_weights": entropy_weights_B.float()}


def find_needed(settings: LossSettings, state: LossState, inputs: Rows) -> torch.Tensor:
    """Return which rows weigh anything in the loss, (B,); the gradient of the others is exactly zero."""
    needed_B = find_needed_rows(
        inputs["advantages"],
        token_mask(inputs),
        anchored_B=inputs.get("anchored"),
        has_anchor=state.may_anchor,
        has_entropy_term=settings.has_entropy_bonus or state.needs_every_row,
    )
    if "nll_weights" in inputs:
        needed_B = needed_B | ((inputs["nll_weights"] != 0) & (token_mask(inputs) != 0).any(dim=1))
    return needed_B


def token_mask(inputs: Rows) -> torch.Tensor:
    """Return which completion tokens count, (B, T); what a tool wrote does not."""
    mask_BT: torch.Tensor = inputs["completion_mask"]
    return mask_BT * inputs["tool_mask"] if "tool_mask" in inputs else mask_BT


def compute_loss(
    settings: LossSettings,
    state: LossState,
    forward: Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]],
    rows: Rows,
) -> LossResult:
    """Return the loss of some rows; a collective where tokens are masked by entropy.

    Args:
        settings: what the loss is.
        state: what of it moves.
        forward: called with rows, `compute_entropy` and `compute_aux_loss`; returns log-probs (B, T), entropies (B, T)
            and the auxiliary loss.
        rows: TRL's keys, those of `weigh_inputs`, `anchored` where the anchor holds some rows only, and `nll_weights`
            (B,) where the negative log-likelihood of rows is learnt from too, of as many times the policy's weight.
    """
    statistics = Statistics()
    batch, aux_loss = _forward(settings, forward, rows, statistics)
    kept, entropy_mask = _kept_tokens(settings, rows, batch)
    objective = settings.objective
    if state.token_weights is not None:
        objective = replace(objective, token_weights=state.token_weights)
    weights_BT = weigh_tokens(objective, batch)
    if weights_BT is not None:
        statistics.add("token_weight/mean", weights_BT, batch.mask_BT)
    losses = compute_token_losses(
        objective, settings.surrogate, batch, state.anchor_coef, weights_BT, kept, settings.level
    )
    # Filled, not multiplied: padding may hold NaN, and NaN times 0 is NaN.
    loss = _sum_rows(losses, batch.mask_BT, rows["row_weights"])
    statistics.add_sum("policy_loss", loss)
    if "nll_weights" in rows:
        likelihood = _sum_rows(-batch.logps_BT, batch.mask_BT, rows["row_weights"] * rows["nll_weights"])
        statistics.add_sum("loss/positive_nll", likelihood)
        loss = loss + likelihood
    if settings.has_entropy_bonus:
        loss = loss - state.entropy_coef * _mean_entropy(state, rows, batch, entropy_mask, statistics)
    if aux_loss is not None:
        loss = loss + settings.aux_loss_coef * aux_loss / state.num_microbatches
        statistics.add("aux_loss", aux_loss.reshape(1, 1), torch.ones_like(aux_loss).reshape(1, 1))
    _measure(settings, batch, statistics)
    return LossResult(loss, batch.logps_BT.detach(), statistics)


def _sum_rows(losses: torch.Tensor, mask_BT: torch.Tensor, weights_B: torch.Tensor) -> torch.Tensor:
    counted_BT = losses.expand(mask_BT.shape).masked_fill(mask_BT == 0, 0)
    return (counted_BT.sum(dim=1) * weights_B).sum()


def _forward(
    settings: LossSettings, forward: Callable[..., Any], rows: Rows, statistics: Statistics
) -> tuple[TokenBatch, torch.Tensor | None]:
    mask_BT = token_mask(rows)
    logps_BT, entropies_BT, aux_loss = forward(
        rows, compute_entropy=True, compute_aux_loss=settings.aux_loss_coef != 0.0
    )
    old_logps_BT, advantages, anchored = rows.get("old_per_token_logps"), rows["advantages"], rows.get("anchored")
    # Where TRL kept none, the policy has not moved since it sampled: what it says now is what it said then.
    old_logps_BT = logps_BT.detach() if old_logps_BT is None else old_logps_BT
    batch = TokenBatch(
        logps_BT=logps_BT,
        old_logps_BT=old_logps_BT,
        entropies_BT=entropies_BT,
        advantages=advantages.unsqueeze(1) if advantages.dim() == 1 else advantages,
        mask_BT=mask_BT,
        ref_logps_BT=rows.get("ref_per_token_logps"),
        anchored_B1=None if anchored is None else anchored.unsqueeze(1),
        importance_BT=_correct_sampler(settings.sampler, rows, old_logps_BT, mask_BT, statistics),
    )
    return batch, aux_loss


def _correct_sampler(
    sampler: SamplerCorrection | None,
    rows: Rows,
    old_logps_BT: torch.Tensor,
    mask_BT: torch.Tensor,
    statistics: Statistics,
) -> torch.Tensor | None:
    if sampler is None:
        return None
    if "importance_sampling_ratio" in rows:
        ratio: torch.Tensor = rows["importance_sampling_ratio"]
        return ratio
    sampler_BT = rows["sampling_per_token_logps"]
    ratio = correct_for_sampler(old_logps_BT, sampler_BT, mask_BT, sampler.mode, sampler.clip_min, sampler.clip_max)
    difference_BT = (old_logps_BT - sampler_BT).abs()
    # vLLM gives no log-prob of some tokens; they are corrected by 1 and left out of what is logged.
    is_known_BT = (mask_BT != 0) & ~difference_BT.isnan()
    statistics.add("sampling/sampling_logp_difference/mean", difference_BT, is_known_BT)
    statistics.add_high("sampling/sampling_logp_difference/max", difference_BT[is_known_BT])
    is_counted = mask_BT != 0 if ratio.size(1) != 1 else (mask_BT != 0).any(dim=1, keepdim=True)
    statistics.add("sampling/importance_sampling_ratio/mean", ratio, is_counted)
    statistics.add_low("sampling/importance_sampling_ratio/min", ratio[is_counted])
    statistics.add_high("sampling/importance_sampling_ratio/max", ratio[is_counted])
    return ratio


def _kept_tokens(
    settings: LossSettings, rows: Rows, batch: TokenBatch
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return TRL's own masks on the surrogate: both together, and the entropy mask alone."""
    kept = entropy_mask = None
    if settings.top_entropy_quantile < 1.0:
        kept = entropy_mask = settings.mask_by_entropy(
            batch.entropies_BT, batch.mask_BT, 1 - settings.top_entropy_quantile
        )
    if settings.off_policy_threshold is not None:
        off_policy_mask = settings.mask_off_policy(
            advantages=batch.advantages,
            per_token_logps=batch.logps_BT,
            # The sampler's own where it is another engine: drift of both kinds counts.
            sampling_per_token_logps=rows.get("sampling_per_token_logps", batch.old_logps_BT),
            mask=batch.mask_BT,
            off_policy_threshold=settings.off_policy_threshold,
        )
        kept = off_policy_mask if kept is None else kept * off_policy_mask
    return kept, entropy_mask


def _mean_entropy(
    state: LossState, rows: Rows, batch: TokenBatch, entropy_mask: torch.Tensor | None, statistics: Statistics
) -> torch.Tensor:
    """Return what these rows add to the mean token entropy of their micro-batch, scaled for accumulation."""
    mask_BT = batch.mask_BT if entropy_mask is None else batch.mask_BT * entropy_mask
    sums_B = (batch.entropies_BT * mask_BT).sum(dim=1)
    statistics.add_sum("entropy", torch.stack([sums_B.sum(), mask_BT.sum()]))
    if entropy_mask is None:
        return (sums_B * rows["entropy_weights"]).sum()
    # The mask is known only now; rows of a micro-batch stay together under it, so its count is the micro-batch's.
    return sums_B.sum() / mask_BT.sum().clamp(min=1.0) / state.num_microbatches


def _measure(settings: LossSettings, batch: TokenBatch, statistics: Statistics) -> None:
    with torch.no_grad():
        anchor = settings.objective.anchor
        if anchor is not None and batch.ref_logps_BT is not None:
            held = batch.mask_BT if batch.anchored_B1 is None else batch.mask_BT * batch.anchored_B1
            values_BT = anchor.values(batch.logps_BT, batch.ref_logps_BT)
            ratio = weigh_anchor(settings.objective, batch, settings.level)
            statistics.add("kl", values_BT if ratio is None else values_BT * ratio, held)
        statistics.add("entropy", batch.entropies_BT, batch.mask_BT)
        if settings.loss_type != "sapo":
            _measure_clipping(settings, batch, statistics)


def _measure_clipping(settings: LossSettings, batch: TokenBatch, statistics: Statistics) -> None:
    mask_BT, log_ratio_BT = batch.mask_BT, batch.logps_BT - batch.old_logps_BT
    if settings.level == "sequence":
        # One ratio a completion counts once, however long it is.
        log_ratio_BT = (log_ratio_BT * mask_BT).sum(1, keepdim=True) / mask_BT.sum(1, keepdim=True).clamp(min=1.0)
        mask_BT = (mask_BT != 0).any(dim=1, keepdim=True)
    ratio_BT = log_ratio_BT.exp()
    if settings.loss_type == "cispo":
        # Its bound is the ratio's own, not a distance from 1.
        clipped_BT = ((ratio_BT > settings.epsilon_high) & (batch.advantages > 0)).float()
        statistics.add("cispo_clip_ratio", clipped_BT, mask_BT)
        return
    low_BT = ((ratio_BT < 1 - settings.epsilon_low) & (batch.advantages < 0)).float()
    high_BT = ((ratio_BT > 1 + settings.epsilon_high) & (batch.advantages > 0)).float()
    for name, clipped_BT in (("low", low_BT), ("high", high_BT), ("region", torch.maximum(low_BT, high_BT))):
        statistics.add(f"clip_ratio/{name}_mean", clipped_BT, mask_BT)
    low_B, high_B = ((share * mask_BT).sum(1) / mask_BT.sum(1) for share in (low_BT, high_BT))
    statistics.add_low("clip_ratio/low_min", low_B)
    statistics.add_high("clip_ratio/high_max", high_B)
