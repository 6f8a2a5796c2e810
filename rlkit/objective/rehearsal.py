"""Rehearsal: frozen samples of the initial policy that keep it good at what it already masters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rlkit.estimators.divergence import rehearsal_divergence
from rlkit.objective.stored import StoredLoss, StoredRow
from rlkit.parameters import check_choice, check_count, check_number


@dataclass(frozen=True)
class Rehearsal(StoredLoss):
    """A mass-covering divergence from the initial policy, on its own correct samples of prompts it mastered.

    Li et al., DPH-RL (arXiv 2509.07430). Samples and their log-probs are drawn once, so no reference model stays in
    memory. Every divergence has zero gradient as long as policy and reference agree: it acts on drift alone, unlike
    log-likelihood training on the same rows. The authors' coefficients: forward and alpha 0.01 to 0.05, js 0.05 to 0.2.

    Where we differ from the released code: `js` and `alpha` are clamped as well, so that no ratio overflows; values are
    not cut at 10, which there takes the gradient from the tokens that drifted most; rehearsal rows are never mixed with
    rollouts, which there are told apart by the first row of a micro-batch.

    Raises:
        ConfigError: a value is out of range.
    """

    divergence: str = "forward"
    """`forward` KL(initial, policy); `js`, twice the Jensen-Shannon divergence; or `alpha`."""
    coef: float = 0.02
    """Weight of the mean over the rehearsed tokens of an optimizer step in the loss; 0 or more."""
    alpha: float = 0.2
    """Order of `alpha`, between 0 and 1; the authors' is 0.2."""
    num_prompts: int = 64
    """Prompts that the initial policy is asked, `num_generations` completions each; the correct ones of those that it
    masters are kept."""
    mastered_above: float = 0.875
    """Share of correct completions, 0 to 1, *from* which on a prompt is mastered; the authors take 6/8 or 7/8."""
    rows_per_step: int = 8
    """Completions rehearsed in each optimizer step, over all ranks."""
    log_ratio_clamp: float | None = 20.0
    """Log ratios beyond count as this large and pass no gradient, as in the authors' forward divergence; None: off."""

    def __post_init__(self) -> None:
        check_choice("rehearsal", "divergence", self.divergence, ("forward", "js", "alpha"))
        check_number("rehearsal", "coef", self.coef, at_least=0)
        check_number("rehearsal", "alpha", self.alpha, above=0, below=1)
        for field in ("num_prompts", "rows_per_step"):
            check_count("rehearsal", field, getattr(self, field))
        check_number("rehearsal", "mastered_above", self.mastered_above, at_least=0, at_most=1)
        if self.log_ratio_clamp is not None:
            check_number("rehearsal", "log_ratio_clamp", self.log_ratio_clamp, above=0)

    def is_mastered(self, share_correct: float) -> bool:
        """Return whether a prompt with that share of correct completions counts as mastered; False for NaN."""
        return share_correct >= self.mastered_above

    def losses(self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor) -> torch.Tensor:
        """Return the divergence's estimate of every token without the coefficient; nothing is masked.

        Args:
            logps_BT: log-probs of the rehearsed tokens under the policy, with gradient.
            ref_logps_BT: their frozen log-probs under the initial policy, which sampled them.

        Returns:
            Shape (B, T), nats, 0 or more; the expected gradient is exactly that of the divergence.
        """
        return rehearsal_divergence(logps_BT, ref_logps_BT.detach(), self.divergence, self.alpha, self.log_ratio_clamp)

    def weigh(self, rows: Sequence[StoredRow]) -> list[float]:
        """Return `coef` over the number of tokens for each row: the loss is a mean over the tokens of a step."""
        return [self.coef / sum(len(row.completion_ids) for row in rows)] * len(rows)
