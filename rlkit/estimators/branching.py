"""Branching factor: how many equally likely ways on the model has at a step, exp of the average entropy a token.

Source: Yang & Holtzman, arXiv 2506.17871; released code yangalan123/LLMBranchingFactor,
uncertainty_quantification/uncertainty_computation.py. Where we differ: logs are averaged over prompts and exponentiated
last (the code averages the factors, which a few open prompts dominate), and the curve ends where too few samples are
alive, without the code's further cut at the 95 % quantile of lengths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

FloatArray = NDArray[np.float64]

ASYMPTOTIC_LIMIT = 50
"""Prefixes longer than this have a mean surprisal that stands for the entropy rate (asymptotic equipartition)."""
MIN_ALIVE = 4
"""Samples that a position needs; with fewer samples altogether, all of them."""


@dataclass(frozen=True)
class PromptBranching:
    """Logs of the branching factor of one prompt, by position; T positions, the first token being 0."""

    prefix_T: FloatArray
    """Log factor of the prefix that ends here, nats; its last entry stands for the prompt. Range [0, ln V] within the
    asymptotic limit; beyond it, it is an estimate that can lie outside."""
    local_T: FloatArray
    """Sample-averaged entropy of the token at this position, nats."""
    num_alive_T: NDArray[np.int64]
    """Samples that have a token here."""
    num_dropped: int
    """Samples left out because a log-prob or an entropy of theirs is not finite."""

    @property
    def log_factor(self) -> float:
        """The prompt's log branching factor; NaN without a usable sample."""
        return float(self.prefix_T[-1]) if len(self.prefix_T) else math.nan


def prompt_branching(
    entropies: Sequence[ArrayLike],
    logps: Sequence[ArrayLike] | None = None,
    *,
    asymptotic_limit: int = ASYMPTOTIC_LIMIT,
    min_alive: int = MIN_ALIVE,
) -> PromptBranching:
    """Return the log branching factor of one prompt's samples, with its curve over position.

    Up to the asymptotic limit the log factor of a prefix is the mean over its positions of the entropy averaged over
    the samples still alive there; beyond it, minus the mean over those of the mean log-prob of their prefix.

    Args:
        entropies: next-token entropies of each sample, nats, under the distribution that was sampled from.
        logps: log-probs of the drawn tokens, same shapes; None keeps to entropies at every length.
        asymptotic_limit: longest prefix, in tokens, of which entropies are averaged.
        min_alive: the curve ends before the first position with fewer samples, or with fewer than all where there are
            no more than that.

    Raises:
        ConfigError: shapes of entropies and log-probs differ.
    """
    kept, kept_logps, num_dropped = _finite_samples(entropies, logps)
    longest = max(map(len, kept), default=0)
    table_ST = np.full((len(kept), longest), math.nan)
    for row_T, values in zip(table_ST, kept, strict=True):
        row_T[: len(values)] = values
    num_alive_T = (~np.isnan(table_ST)).sum(axis=0)
    # Alive samples only become fewer, so the positions with enough of them are the first ones.
    length = int((num_alive_T >= min(min_alive, max(1, len(kept)))).sum())
    table_ST, num_alive_T = table_ST[:, :length], num_alive_T[:length]
    local_T = _mean_of_alive(table_ST, num_alive_T)
    prefix_T = local_T.cumsum() / np.arange(1, length + 1)
    if kept_logps is not None and length > asymptotic_limit:
        prefix_T[asymptotic_limit:] = _prefix_surprisals(kept_logps, length)[asymptotic_limit:]
    return PromptBranching(prefix_T, local_T, num_alive_T, num_dropped)


def _prefix_surprisals(logps: Sequence[FloatArray], length: int) -> FloatArray:
    table_ST = np.full((len(logps), length), math.nan)
    for row_T, values in zip(table_ST, logps, strict=True):
        means = -np.cumsum(values[:length]) / np.arange(1, min(length, len(values)) + 1)
        row_T[: len(means)] = means
    return _mean_of_alive(table_ST, (~np.isnan(table_ST)).sum(axis=0))


def _mean_of_alive(table_ST: FloatArray, num_alive_T: NDArray[np.int64]) -> FloatArray:
    return np.asarray(np.nansum(table_ST, axis=0) / num_alive_T)


def _finite_samples(
    entropies: Sequence[ArrayLike], logps: Sequence[ArrayLike] | None
) -> tuple[list[FloatArray], list[FloatArray] | None, int]:
    profiles = [np.asarray(each, dtype=np.float64) for each in entropies]
    companions = profiles if logps is None else [np.asarray(each, dtype=np.float64) for each in logps]
    if [each.shape for each in profiles] != [each.shape for each in companions]:
        raise ConfigError("Entropies and log-probs must have the same shapes, one entry a token of each sample.")
    pairs = zip(profiles, companions, strict=True)
    usable = [(one, two) for one, two in pairs if np.isfinite(one).all() and np.isfinite(two).all()]
    kept = [one for one, _ in usable if len(one)]
    kept_logps = None if logps is None else [two for _, two in usable if len(two)]
    return kept, kept_logps, len(profiles) - len(usable)
