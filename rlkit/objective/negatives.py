"""Wrong samples of a frozen sampler, pushed down: the negative half of REINFORCE, on stored rows.

NSR (Zhu et al., arXiv 2506.01347) descends L = E_x sum_{y wrong} pi(y|x). Of one token v, d pi_v / d logits is
pi_v (1 - pi_v) at v and -pi_v pi_u at every other u: the mass that is taken goes to the alternatives by their own
probability, and the push fades once the token is unlikely, so that a row may come again and again. Two forms of it:

    probability   sum_t pi(y_t | y_<t), whose gradient is sum_t pi_t * grad log pi_t: the published logit gradient,
                  token by token; asks nothing of who drew the row
    ratio         min(pi(y) / q(y), max_ratio) * sum_t grad log pi_t, the ratio of the whole row held constant. For
                  rows drawn from q its mean is, up to the cut, grad E_{y ~ pi}[y is wrong]: the on-policy gradient

Both are gradients of log-probs times a weight that no gradient flows through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from rlkit.parameters import check_choice, check_count, check_number

PUSHES = ("probability", "ratio")


@dataclass(frozen=True)
class Negatives:
    """How wrong samples are pushed down beside the rows that are learnt.

    Raises:
        ConfigError: a value is out of range.
    """

    weight: float = 1.0
    """Of the negative term in the loss, 0 or more; 5 was too much on Countdown."""
    rows_per_step: int = 128
    """Wrong samples of each optimizer step, over all ranks."""
    push: str = "probability"
    """`probability`, or `ratio`, which needs each row's log-prob under its sampler (`logp`)."""
    max_ratio: float = 1.0
    """Of `ratio`: largest pi(y) / q(y) that counts."""

    def __post_init__(self) -> None:
        check_number("negatives", "weight", self.weight, at_least=0)
        check_count("negatives", "rows_per_step", self.rows_per_step)
        check_choice("negatives", "push", self.push, PUSHES)
        check_number("negatives", "max_ratio", self.max_ratio, above=0)

    def token_losses(
        self, logps_BT: torch.Tensor, mask_BT: torch.Tensor, sampler_logps_B: torch.Tensor
    ) -> torch.Tensor:
        """Return each token's loss before row weights: its value is the push, its gradient push * grad log pi.

        Args:
            logps_BT: log-probs of the drawn tokens, with gradient; 0 where nothing is learnt.
            mask_BT: whether a token is one of the completion.
            sampler_logps_B: log-prob of each completion under its sampler, nats; read by `ratio` only.

        Returns:
            (B, T), 0 where the mask is.
        """
        held_BT = logps_BT.detach()
        if self.push == "probability":
            push_BT = held_BT.exp()
        else:
            log_ratios_B = (held_BT * mask_BT).sum(1) - sampler_logps_B
            push_BT = log_ratios_B.clamp(max=math.log(self.max_ratio)).exp()[:, None].expand_as(held_BT)
        return push_BT * (1 + logps_BT - held_BT) * mask_BT
