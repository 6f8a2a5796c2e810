"""Surrogates: the loss of every token from log-probs and advantages, with the values TRL 1.16 computes.

All take the same arguments in front: `logps_BT` with gradient, `old_logps_BT` of the policy that generated the tokens,
`advantages_B1` of shape (B,), (B, 1) or (B, T), and `mask_BT`, not 0 where a token counts. What stands in padding does
not matter: its log ratio counts as 0. Gradient flows through `logps_BT` alone. Losses are (B, T), or (B, 1) at
`level="sequence"` where one ratio serves a whole completion. `clips=False` takes the bounds off the ratio.
"""

from __future__ import annotations

import torch

from rlkit.parameters import check_choice


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
