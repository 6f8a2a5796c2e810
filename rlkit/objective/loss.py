"""The one place where surrogate, token weights, importance correction and anchor meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rlkit.objective.objective import Objective
from rlkit.objective.surrogates import importance_ratio
from rlkit.objective.user_weights import is_own, penalise_own, run_own


@dataclass(frozen=True)
class TokenBatch:
    """What the loss of a micro-batch is made of; every tensor has one row a completion."""

    logps_BT: torch.Tensor
    """Log-probs of the sampled tokens under the policy, with gradient."""
    old_logps_BT: torch.Tensor
    """The same under the policy that generated them."""
    entropies_BT: torch.Tensor
    """Entropy of the policy's next-token distributions, nats."""
    advantages: torch.Tensor
    """(B, 1) or (B, T)."""
    mask_BT: torch.Tensor
    """1 where a token counts."""
    ref_logps_BT: torch.Tensor | None = None
    """The same under the reference; needed with an anchor in the loss."""
    anchored_B1: torch.Tensor | None = None
    """1 where the anchor holds a completion; None holds all."""
    importance_BT: torch.Tensor | None = None
    """Correction for sampling by another engine, (B, T) or (B, 1); None for none."""


def compute_token_losses(
    objective: Objective,
    surrogate: Callable[..., torch.Tensor],
    batch: TokenBatch,
    anchor_coef: float = 0.0,
    weights_BT: torch.Tensor | None = None,
    kept: torch.Tensor | None = None,
    level: str = "token",
) -> torch.Tensor:
    """Return the loss of every token, (B, T) or (B, 1), before it is masked and averaged.

    The surrogate, times the token weights, times `kept`, times the importance correction; then the weights' own
    penalties and the anchor are added, in that order, uncorrected unless the anchor asks for it.

    Args:
        objective: token weights and anchor; rehearsal rows are a batch of their own.
        surrogate: as in `rlkit.objective.surrogates`, its settings already bound, called with logps, old logps,
            advantages, mask and `clips`.
        batch: the tensors.
        anchor_coef: the anchor's coefficient now.
        weights_BT: what `weigh_tokens` gave for this batch; some weights draw at random, so they are asked once.
        kept: further factors of the surrogate, e.g. an off-policy or entropy mask; no gradient flows through them.
        level: the surrogate's, `token` or `sequence`; see `weigh_anchor`.
    """
    clips = all(getattr(weight, "clips", True) for weight in objective.token_weights)
    losses = surrogate(batch.logps_BT, batch.old_logps_BT, batch.advantages, batch.mask_BT, clips=clips)
    for factor in (weights_BT, kept, batch.importance_BT):
        if factor is not None:
            losses = losses * factor
    for weight in objective.token_weights:
        penalties = penalise_own(weight, _given(batch)) if is_own(weight) else weight.penalties(*_given(batch))
        if penalties is not None:
            losses = losses + penalties
    return losses if anchor_coef == 0 else losses + anchor_coef * compute_anchor_losses(objective, batch, level)


def weigh_tokens(objective: Objective, batch: TokenBatch) -> torch.Tensor | None:
    """Return the product of all token weights, (B, T), without gradient; None where there are none.

    Raises:
        PluginError: one of a user's own fails, or gives no weight of every token.
    """
    weights_BT = None
    for weight in objective.token_weights:
        factor_BT = run_own(weight, _given(batch)) if is_own(weight) else weight(*_given(batch))
        weights_BT = factor_BT if weights_BT is None else weights_BT * factor_BT
    return weights_BT


def _given(batch: TokenBatch) -> tuple[torch.Tensor, ...]:
    return batch.logps_BT, batch.old_logps_BT, batch.entropies_BT, batch.advantages, batch.mask_BT


def compute_anchor_losses(objective: Objective, batch: TokenBatch, level: str = "token") -> torch.Tensor:
    """Return the anchor's loss of every token without its coefficient, zero where it does not hold; shape (B, T)."""
    assert objective.anchor is not None, "an anchor coefficient comes with an anchor"
    assert batch.ref_logps_BT is not None, "an anchor comes with reference log-probs"
    losses_BT = objective.anchor.losses(batch.logps_BT, batch.ref_logps_BT)
    ratio = weigh_anchor(objective, batch, level)
    losses_BT = losses_BT if ratio is None else losses_BT * ratio
    return losses_BT if batch.anchored_B1 is None else losses_BT * batch.anchored_B1


def weigh_anchor(objective: Objective, batch: TokenBatch, level: str = "token") -> torch.Tensor | None:
    """Return the ratio policy / old policy that an importance-corrected anchor is multiplied by; None for none.

    (B, T), or (B, 1) where the surrogate has one ratio a completion and the estimator is k3: as TRL 1.16 does, which
    lets the gradient through. The other estimators carry exact weights a token, which both would spoil.
    """
    if objective.anchor is None or not objective.anchor.importance_corrected:
        return None
    is_trls = objective.anchor.estimator == "k3"
    given = (batch.logps_BT, batch.old_logps_BT, batch.mask_BT)
    ratio = importance_ratio(*given, level if is_trls else "token")
    return ratio if is_trls else ratio.detach()
