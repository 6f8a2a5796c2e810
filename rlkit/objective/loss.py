"""Surrogates, and the one place where they meet token weights, importance correction and anchor.

A surrogate is the loss of every token from log-probs and advantages, with the values TRL 1.16 computes. All take the
same arguments in front: `logps_BT` with gradient, `old_logps_BT` of the policy that generated the tokens,
`advantages_B1` of shape (B,), (B, 1) or (B, T), and `mask_BT`, not 0 where a token counts. What stands in padding does
not matter: its log ratio counts as 0. Gradient flows through `logps_BT` alone. Losses are (B, T), or (B, 1) at
`level="sequence"` where one ratio serves a whole completion. `clips=False` takes the bounds off the ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rlkit.objective.objective import Objective
from rlkit.objective.user_weights import is_own, penalise_own, run_own
from rlkit.parameters import check_choice


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
        surrogate: one of this file, its settings already bound, called with logps, old logps,
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


def clipped(
    logps_BT: torch.Tensor,
    old_logps_BT: torch.Tensor,
    advantages_B1: torch.Tensor,
    mask_BT: torch.Tensor,
    *,
    epsilon_low: float = 0.2,
    epsilon_high: float = 0.2,
    delta: float | None = None,
    level: str = "token",
    clips: bool = True,
) -> torch.Tensor:
    """Return PPO's clipped surrogate: `-min(A min(rho, delta), A clip(rho, 1 - epsilon_low, 1 + epsilon_high))`.

    PPO, arXiv 1707.06347, eq. 7; epsilon_high above epsilon_low is DAPO's clip-higher (arXiv 2503.14476); delta bounds
    the loss of tokens with A < 0 whose probability grew (two-sided clip, arXiv 2505.07291).

    Args:
        logps_BT, old_logps_BT, advantages_B1, mask_BT: see the module.
        epsilon_low, epsilon_high: how far the ratio may fall below and rise above 1.
        delta: largest ratio, above 1 + epsilon_high; None for none. verl calls it the dual clip's c.
        level: `token`, or `sequence`: one ratio a completion, the exponential of its mean log ratio (GSPO, arXiv
            2507.18071).
        clips: False gives `-A min(rho, delta)`, the plain policy gradient with importance weights.

    Raises:
        ConfigError: no such level.
    """
    ratio = importance_ratio(logps_BT, old_logps_BT, mask_BT, level)
    advantages = _as_columns(advantages_B1)
    bounded = ratio if delta is None else ratio.clamp(max=delta)
    if not clips:
        return -bounded * advantages
    return -torch.min(bounded * advantages, ratio.clamp(1 - epsilon_low, 1 + epsilon_high) * advantages)


def cispo(
    logps_BT: torch.Tensor,
    old_logps_BT: torch.Tensor,
    advantages_B1: torch.Tensor,
    mask_BT: torch.Tensor,
    *,
    epsilon_high: float = 5.0,
    level: str = "token",
    clips: bool = True,
) -> torch.Tensor:
    """Return `-min(rho, epsilon_high) A logp` with the ratio detached: no token loses its gradient to the clip.

    MiniMax-M1, arXiv 2506.13585, eq. 4; 5 is ScaleRL's bound (arXiv 2510.13786). As in TRL `epsilon_high` is the
    largest ratio itself, not its distance from 1. The shape is (B, T) at either level.

    Args:
        logps_BT, old_logps_BT, advantages_B1, mask_BT: see the module.
        epsilon_high: largest ratio.
        level: as in `clipped`.
        clips: False leaves the ratio unbounded.

    Raises:
        ConfigError: no such level.
    """
    ratio = importance_ratio(logps_BT, old_logps_BT, mask_BT, level).detach()
    bounded = ratio.clamp(max=epsilon_high) if clips else ratio
    return -bounded * _as_columns(advantages_B1) * logps_BT.masked_fill(mask_BT == 0, 0)


def sapo(
    logps_BT: torch.Tensor,
    old_logps_BT: torch.Tensor,
    advantages_B1: torch.Tensor,
    mask_BT: torch.Tensor,
    *,
    temperature_pos: float = 1.0,
    temperature_neg: float = 1.05,
    level: str = "token",
    clips: bool = True,
) -> torch.Tensor:
    """Return `-A sigmoid(tau (rho - 1)) 4 / tau`: a soft gate in place of the clip.

    SAPO, arXiv 2511.20347. The gate's slope at rho = 1 is 1, as without it; its *value* there is 2 / tau, not 1.

    Args:
        logps_BT, old_logps_BT, advantages_B1, mask_BT: see the module.
        temperature_pos: tau of tokens with A > 0; positive.
        temperature_neg: tau of the others; positive.
        level: as in `clipped`.
        clips: False takes the gate away and gives `-A rho`.

    Raises:
        ConfigError: no such level.
    """
    ratio = importance_ratio(logps_BT, old_logps_BT, mask_BT, level)
    advantages = _as_columns(advantages_B1)
    if not clips:
        return -ratio * advantages
    temperatures = ratio.new_full(advantages.shape, temperature_neg).masked_fill(advantages > 0, temperature_pos)
    return -torch.sigmoid(temperatures * (ratio - 1)) * 4 / temperatures * advantages


def _as_columns(advantages: torch.Tensor) -> torch.Tensor:
    advantages = advantages.detach()
    return advantages.unsqueeze(1) if advantages.dim() == 1 else advantages


def importance_ratio(
    logps_BT: torch.Tensor, old_logps_BT: torch.Tensor, mask_BT: torch.Tensor, level: str
) -> torch.Tensor:
    """Return policy / old policy, (B, T) or (B, 1)."""
    check_choice("the surrogate", "level", level, ("token", "sequence"))
    is_padding_BT = mask_BT == 0
    # Filled before they are subtracted: a difference of infinities would pass NaN back even from behind a mask.
    log_ratio_BT = logps_BT.masked_fill(is_padding_BT, 0) - old_logps_BT.detach().masked_fill(is_padding_BT, 0)
    if level == "token":
        return log_ratio_BT.exp()
    num_tokens_B1 = (~is_padding_BT).sum(dim=1, keepdim=True).clamp(min=1)
    return (log_ratio_BT.sum(dim=1, keepdim=True) / num_tokens_B1).exp()
