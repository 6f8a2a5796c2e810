"""From what completions earned to what their tokens did: rewards of tokens, returns, advantages; of one rank's rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from rlkit.returns import gae, place_terminal_rewards, read_lambda


@dataclass(frozen=True)
class CreditSettings:
    """How a reward is handed back along a completion."""

    gamma: float
    lambda_policy: Callable[[torch.Tensor], torch.Tensor]
    """From the lengths (B,) of completions to the lambda of their advantages."""
    lambda_value: Callable[[torch.Tensor], torch.Tensor]
    """To the lambda of what the critic learns."""
    kl_in_gae: bool
    """Whether penalties are rewards of tokens, or taken off advantages."""

    @classmethod
    def of(cls, args: Any) -> CreditSettings:
        """Read a `DiversePPOConfig`."""
        policy, value = (read_lambda(getattr(args, key), f"train.{key}") for key in ("lambda_policy", "lambda_value"))
        return cls(args.gamma, policy, value, args.kl_in_gae)


@dataclass(frozen=True)
class Credit:
    """What the tokens of some completions come to; 0 where a token does not count."""

    advantages_BT: torch.Tensor
    """Not whitened."""
    returns_BT: torch.Tensor
    """What the critic learns."""
    lambdas_B: torch.Tensor
    """Of the advantages."""


def assign_credit(
    settings: CreditSettings,
    rewards_B: torch.Tensor,
    values_BT: torch.Tensor,
    mask_BT: torch.Tensor,
    bootstrap_B: torch.Tensor | None = None,
    penalties_BT: torch.Tensor | None = None,
    is_monte_carlo: bool = False,
) -> Credit:
    """Return advantages and returns of tokens, by two passes over the same values (VC-PPO, arXiv 2503.01491).

    Args:
        settings: gamma, both lambdas, and where penalties go.
        rewards_B: what each completion earned; finite.
        values_BT: what the critic expected before each token.
        mask_BT: not 0 where a token counts.
        bootstrap_B: what the critic expects after the last token, 0 where the completion ended; None for all 0.
        penalties_BT: what an anchor takes off each token; None for none.
        is_monte_carlo: learn plain returns whatever `lambda_value` says, as while the policy waits for its critic.
    """
    rewards_BT, lengths_B = place_terminal_rewards(rewards_B, mask_BT), (mask_BT != 0).sum(dim=1)
    if penalties_BT is not None and settings.kl_in_gae:
        rewards_BT = rewards_BT - penalties_BT
    lambdas_B = settings.lambda_policy(lengths_B)
    value_lambdas_B = torch.ones_like(lambdas_B) if is_monte_carlo else settings.lambda_value(lengths_B)
    given = (rewards_BT, values_BT, mask_BT, settings.gamma)
    returns_BT = (gae(*given, value_lambdas_B, bootstrap_B) + values_BT).masked_fill(mask_BT == 0, 0)
    advantages_BT = gae(*given, lambdas_B, bootstrap_B)
    if penalties_BT is not None and not settings.kl_in_gae:
        advantages_BT = advantages_BT - penalties_BT.masked_fill(mask_BT == 0, 0)
    return Credit(advantages_BT, returns_BT, lambdas_B)
