"""Losses on rows that are stored and trained on beside the rollouts: what each of their tokens loses, and its weight.

Rehearsal is one, an archive's likelihood another. Both are sums over rows of a weight times the sum over the row's
tokens, with weights that the rows of the whole optimizer step give each other: so the loss does not depend on how rows
are shared out among ranks and cut into forward passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class StoredRow:
    """One prompt with one completion, as tokens."""

    prompt_ids: list[int]
    completion_ids: list[int]
    """At least one."""
    logps: list[float] | None = None
    """Log-probs of the completion's tokens under the policy that is compared with; None where none is."""
    weight: float = 1.0
    """What the row counts beside the others; more than 0."""


class StoredLoss:
    """A loss on stored rows."""

    def weigh(self, rows: Sequence[StoredRow]) -> list[float]:
        """Return what the sum over each row's tokens weighs in the loss of an optimizer step, coefficient included.

        Args:
            rows: all of the step, over all ranks.
        """
        raise NotImplementedError

    def losses(self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor) -> torch.Tensor:
        """Return what every token loses, (B, T), with gradient; finite where both log-probs are 0, as at padding."""
        raise NotImplementedError

    def loss(
        self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor, mask_BT: torch.Tensor, weights_B: torch.Tensor
    ) -> torch.Tensor:
        """Return what some rows add to the loss of their step; a scalar.

        Args:
            logps_BT: log-probs under the policy, with gradient.
            ref_logps_BT: stored log-probs; anything where the loss compares with none.
            mask_BT: not 0 where there is a token; padding may hold anything.
            weights_B: of these rows, from `weigh`.
        """
        is_padding_BT = mask_BT == 0
        # Padding may hold anything, even infinities; 0 on both sides has value and gradient 0.
        losses_BT = self.losses(logps_BT.masked_fill(is_padding_BT, 0), ref_logps_BT.masked_fill(is_padding_BT, 0))
        return (losses_BT.masked_fill(is_padding_BT, 0).sum(dim=1) * weights_B).sum()
