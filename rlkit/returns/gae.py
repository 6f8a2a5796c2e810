"""Generalised advantage estimation over the tokens of completions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rlkit.errors import ConfigError
from rlkit.parameters import check_number


def gae(
    rewards_BT: Any,
    values_BT: Any,
    mask_BT: Any,
    gamma: float = 1.0,
    lam: Any = 0.95,
    bootstrap_B: Any = None,
) -> Any:
    """Return the advantages (B, T) of tokens: sums of one-step errors, weighted by (gamma lam)^distance.

    With delta[t] = r[t] + gamma V[t+1] - V[t]: A[t] = delta[t] + gamma lam A[t+1] (Schulman et al., arXiv 1506.02438,
    equation 16). lam = 1 gives reward-to-go less the value, lam = 0 the one-step error; A + V are the returns that a
    critic learns. Tokens of mask 0 hand V[t+1] and A[t+1] on as they are, as verl's `core_algos` does: a completion
    with a gap equals the same completion without it. OpenRLHF sets their values to 0 instead, which is wrong before a
    gap.

    Args:
        rewards_BT: reward of each token; anything where the mask is 0.
        values_BT: what the critic expected before each token; anything where the mask is 0.
        mask_BT: not 0 where a token counts.
        gamma: discount a token, in [0, 1].
        lam: one number in [0, 1], or one a row (B,).
        bootstrap_B: what is expected after the last token that counts, 0 where the completion ended; None is 0 for all.

    Returns:
        float32 (float64 where the values are), 0 where the mask is; a numpy array where `values_BT` is one, else a
        tensor. No gradient flows through it.

    Raises:
        ConfigError: shapes do not agree, or gamma or lam is outside [0, 1].
    """
    check_number("gae", "gamma", gamma, at_least=0, at_most=1)
    values = torch.as_tensor(values_BT).detach()
    values = values if values.dtype == torch.float64 else values.float()
    rewards, mask = (torch.as_tensor(given).detach().to(values.device) for given in (rewards_BT, mask_BT))
    if values.ndim != 2 or rewards.shape != values.shape or mask.shape != values.shape:
        shapes = [tuple(given.shape) for given in (rewards, values, mask)]
        raise ConfigError(
            f"gae was given rewards, values and a mask of shapes {', '.join(map(str, shapes))}; give one shape "
            "(completions, tokens)."
        )
    lambdas_B = _read_rows("lam", lam, values)
    if not ((lambdas_B >= 0) & (lambdas_B <= 1)).all():
        raise ConfigError(f"gae was given lam={_first_outside(lambdas_B)}; it takes numbers from 0 to 1.")
    after_B = _read_rows("bootstrap_B", 0.0 if bootstrap_B is None else bootstrap_B, values)
    advantages = _accumulate(rewards.to(values), values, mask != 0, gamma, lambdas_B, after_B)
    return advantages.numpy() if isinstance(values_BT, np.ndarray) else advantages


def _accumulate(
    rewards_BT: torch.Tensor,
    values_BT: torch.Tensor,
    counts_BT: torch.Tensor,
    gamma: float,
    lambdas_B: torch.Tensor,
    after_B: torch.Tensor,
) -> torch.Tensor:
    next_values_B, next_advantages_B = after_B, torch.zeros_like(after_B)
    advantages_BT = torch.zeros_like(values_BT)
    for place in reversed(range(values_BT.size(1))):
        counts_B, values_B = counts_BT[:, place], values_BT[:, place]
        deltas_B = rewards_BT[:, place] + gamma * next_values_B - values_B
        advantages_B = deltas_B + gamma * lambdas_B * next_advantages_B
        # Chosen, not multiplied: what stands at a masked token may be NaN.
        next_advantages_B = torch.where(counts_B, advantages_B, next_advantages_B)
        next_values_B = torch.where(counts_B, values_B, next_values_B)
        advantages_BT[:, place] = torch.where(counts_B, advantages_B, 0.0)
    return advantages_BT


def _read_rows(name: str, given: Any, values_BT: torch.Tensor) -> torch.Tensor:
    # Read as precisely as the values are: a plain number would become float32 first.
    rows_B = torch.as_tensor(given, dtype=values_BT.dtype, device=values_BT.device).detach()
    if rows_B.ndim > 1 or (rows_B.ndim == 1 and len(rows_B) != len(values_BT)):
        raise ConfigError(
            f"gae was given {name} of shape {tuple(rows_B.shape)} for {len(values_BT)} completions; give a number, or "
            "one a completion."
        )
    return rows_B.expand(len(values_BT))


def _first_outside(lambdas_B: torch.Tensor) -> float:
    return float(lambdas_B[~((lambdas_B >= 0) & (lambdas_B <= 1))][0])


def place_terminal_rewards(rewards_B: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    """Return rewards of tokens (B, T): each completion's own on its last token that counts, 0 elsewhere.

    That is the last generated token, as in verl and NeMo-RL; TRL's experimental trainer wrote it one place later, on
    padding. A completion of no tokens earns nothing: there is no token to earn it.
    """
    counts_BT = mask_BT != 0
    places_T = torch.arange(counts_BT.size(1), device=mask_BT.device)
    last_B = torch.where(counts_BT, places_T, -1).amax(dim=1) if counts_BT.size(1) else places_T.new_zeros(0)
    is_last_BT = (places_T == last_B[:, None]) & counts_BT if counts_BT.size(1) else counts_BT
    rewards_BT: torch.Tensor = torch.where(is_last_BT, rewards_B[:, None].float(), 0.0)
    return rewards_BT
