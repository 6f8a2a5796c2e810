"""Correction for rollouts that another engine sampled: its log-probs differ a little from the trainer's."""

from __future__ import annotations

import torch

from rlkit.errors import ConfigError, suggest

MODES = ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")


def correct_for_sampler(
    old_logps_BT: torch.Tensor,
    sampler_logps_BT: torch.Tensor,
    mask_BT: torch.Tensor,
    mode: str = "sequence_mask",
    low: float | None = None,
    high: float | None = 3.0,
) -> torch.Tensor:
    """Return the importance ratio policy / sampler that multiplies the surrogate, without gradient.

    Args:
        old_logps_BT: log-probs under the policy that the sampler was a copy of.
        sampler_logps_BT: what the sampler says it gave them; NaN where it does not say, which corrects nothing.
        mask_BT: 1 where a token counts.
        mode: ratio of each token or of the whole sequence; `truncate` clamps it to [low, high], `mask` makes it 0
            outside.
        low: smallest ratio, None for none.
        high: largest ratio, None for none.

    Returns:
        (B, T) for token modes, (B, 1) for sequence modes; the values of TRL 1.16.

    Raises:
        ConfigError: no such mode.

    Source: truncated importance sampling, https://fengyao.notion.site/off-policy-rl; TRL's
    `vllm_importance_sampling_mode`.
    """
    if mode not in MODES:
        raise ConfigError(f"No importance sampling mode is called {mode!r}.{suggest(mode, MODES)}")
    differences_BT = ((old_logps_BT - sampler_logps_BT).detach() * mask_BT).nan_to_num(nan=0.0)
    if mode.startswith("sequence"):
        differences_BT = differences_BT.sum(dim=1, keepdim=True)
    ratio = differences_BT.exp()
    if mode.endswith("truncate"):
        return ratio.clamp(min=low, max=high) if (low, high) != (None, None) else ratio
    outside = torch.zeros_like(ratio, dtype=torch.bool)
    if low is not None:
        outside = outside | (ratio < low)
    if high is not None:
        outside = outside | (ratio > high)
    return ratio.masked_fill(outside, 0.0)
