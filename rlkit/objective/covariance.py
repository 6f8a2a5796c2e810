"""Token weights on the few tokens whose log-prob and advantage covary most, through which entropy falls.

Cui et al. (arXiv 2505.22617): to first order a step changes the entropy by minus the covariance of log-prob and
advantage. Neither variant asks for the sign of A, so that rare tokens of *wrong* answers (low log-prob, low advantage)
are chosen too: pushing them further down also costs entropy, but silencing them spares the wrong answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rlkit.objective.base import Tokens, TokenWeight, select_tokens
from rlkit.parameters import check_flag, check_number


def token_covariances(tokens: Tokens) -> torch.Tensor:
    """Return `(A - mean A) (logp - mean logp)` of every token, shape (N,), means over the tokens given.

    A token whose advantage or log-prob is not finite is NaN and stays out of the means.
    """
    is_known_N = tokens.advantages_N.isfinite() & tokens.logps_N.isfinite()
    advantages_N = tokens.advantages_N.masked_fill(~is_known_N, torch.nan)
    logps_N = tokens.logps_N.masked_fill(~is_known_N, torch.nan)
    return (advantages_N - advantages_N.nanmean()) * (logps_N - logps_N.nanmean())


@dataclass(frozen=True)
class ClipCov(TokenWeight):
    """Silence a few tokens, drawn at random among those of large covariance (Clip-Cov).

    Chosen are `max(1, int(fraction * N))` of the N tokens, without replacement, among those with low < covariance <
    high that the surrogate has not clipped already; fewer when there are not as many. They still count in the
    denominator of the mean. The draw is from torch's global generator on the CPU, whose state checkpoints keep, and so
    every call draws anew: call it once a micro-batch.

    Raises:
        ConfigError: a value is out of range.
    """

    fraction: float = 2e-4
    """Share of all tokens that is silenced, above 0, at most 1."""
    low: float = 1.0
    """Candidates have a covariance above this."""
    high: float = 5.0
    """Candidates have a covariance below this."""
    clip_low: float = 1.0
    """With A < 0, a ratio below 1 - clip_low counts as clipped. The authors' scripts have 1, the surrogate's too."""
    clip_high: float = 1.0
    """With A > 0, a ratio above 1 + clip_high counts as clipped."""

    def __post_init__(self) -> None:
        check_number("clip_cov", "fraction", self.fraction, above=0, at_most=1)
        check_number("clip_cov", "low", self.low, at_least=0)
        check_number("clip_cov", "high", self.high, at_least=self.low)
        check_number("clip_cov", "clip_low", self.clip_low, at_least=0, at_most=1)
        check_number("clip_cov", "clip_high", self.clip_high, at_least=0)

    def weigh(self, tokens: Tokens) -> torch.Tensor:
        weights_N = torch.ones_like(tokens.logps_N)
        candidates = self.is_candidate(tokens).nonzero().squeeze(1)
        num_chosen = max(1, int(self.fraction * len(weights_N)))
        chosen = torch.randperm(len(candidates))[:num_chosen].to(candidates.device)
        weights_N[candidates[chosen]] = 0
        return weights_N

    def is_candidate(self, tokens: Tokens) -> torch.Tensor:
        """Return which tokens may be silenced, bool of shape (N,)."""
        covariances_N = token_covariances(tokens)
        ratios_N = (tokens.logps_N - tokens.old_logps_N).exp()
        is_clipped_N = (tokens.advantages_N > 0) & (ratios_N > 1 + self.clip_high)
        is_clipped_N |= (tokens.advantages_N < 0) & (ratios_N < 1 - self.clip_low)
        return (covariances_N > self.low) & (covariances_N < self.high) & ~is_clipped_N


@dataclass(frozen=True)
class KlCov(TokenWeight):
    """Hold the tokens of largest covariance to the old policy (KL-Cov): `coef * |logp - old logp|` is added there.

    Chosen are the top `max(1, int(N * percent / 100))` of the N tokens. In the first pass over on-policy samples the
    two log-probs are equal, |.| has gradient 0 and nothing is held: it acts from the second optimizer step on a batch
    on. By default the surrogate's clip is off, as in the released code; `clips: true` keeps it.

    Raises:
        ConfigError: a value is out of range.
    """

    percent: float = 0.2
    """How many tokens, in **percent**: 0.2 is 2 of 1000, the authors' for 7B models; for 32B they have 0.02."""
    coef: float = 1.0
    """Weight of the penalty; 0 or more."""
    clips: bool = False
    """Whether the surrogate's clip stays on."""

    def __post_init__(self) -> None:
        check_number("kl_cov", "percent", self.percent, above=0, at_most=100)
        check_number("kl_cov", "coef", self.coef, at_least=0)
        check_flag("kl_cov", "clips", self.clips)

    def weigh(self, tokens: Tokens) -> torch.Tensor:
        return torch.ones_like(tokens.logps_N)

    def penalties(
        self,
        logps_BT: torch.Tensor,
        old_logps_BT: torch.Tensor,
        entropies_BT: torch.Tensor | None,
        advantages: torch.Tensor,
        mask_BT: torch.Tensor,
    ) -> torch.Tensor:
        is_counted_BT = mask_BT != 0
        tokens = select_tokens(logps_BT, old_logps_BT, None, advantages, mask_BT)
        is_chosen_BT = is_counted_BT.clone()
        is_chosen_BT[is_counted_BT] = self.is_chosen(tokens)
        # Filled before they are subtracted, so that what stands in padding passes no NaN back.
        drifts_BT = logps_BT.masked_fill(~is_chosen_BT, 0) - old_logps_BT.detach().masked_fill(~is_chosen_BT, 0)
        return self.coef * drifts_BT.abs()

    def is_chosen(self, tokens: Tokens) -> torch.Tensor:
        """Return which tokens are held, bool of shape (N,); tokens of unknown covariance never are."""
        covariances_N = token_covariances(tokens).nan_to_num(nan=-torch.inf)
        is_chosen_N = torch.zeros_like(covariances_N, dtype=torch.bool)
        if len(covariances_N):
            top = covariances_N.topk(max(1, int(len(covariances_N) * self.percent / 100)))
            is_chosen_N[top.indices] = top.values > -torch.inf
        return is_chosen_N
