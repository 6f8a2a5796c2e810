"""What the k most likely tokens tell: mass, entropy, and bounds of the entropy of the whole distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError

if TYPE_CHECKING:
    import torch

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TopK:
    """Numbers of the k most likely tokens of each distribution, tensors of shape (...)."""

    mass: torch.Tensor
    """Their probability together, range [k / V, 1]."""
    entropy_nats: torch.Tensor
    """-sum p ln p over them with the probabilities as they are, range [0, ln V]."""
    entropy_renormalised_nats: torch.Tensor
    """The same with probabilities divided by their mass, range [0, ln k]."""


def top_k_of_logps(logps: torch.Tensor, k: int = 10) -> TopK:
    """Return mass and entropies of the k most likely tokens.

    Args:
        logps: log-probabilities, shape (..., V); -inf for a token that cannot come.
        k: at least 1; with k >= V the mass is 1 and both entropies are the whole one.

    Raises:
        ConfigError: k is below 1.

    Source: the indicators of Shi et al. 2024, arXiv 2410.11677, section 4, on k = 10, with entropy in bits. The paper
    does not say whether the probabilities are renormalised, hence both.
    """
    import torch

    if k < 1:
        raise ConfigError(f"k was given as {k}; write at least 1 token.")
    top_K = logps.topk(min(k, logps.shape[-1]), dim=-1).values
    # p ln p and p stay exactly 0 where p is: entr of torch knows the limit.
    probabilities_K = top_K.exp()
    mass = probabilities_K.sum(dim=-1)
    renormalised_K = probabilities_K / mass[..., None]
    return TopK(mass, torch.special.entr(probabilities_K).sum(dim=-1), torch.special.entr(renormalised_K).sum(dim=-1))


def in_bits(nats: float) -> float:
    """Return an entropy in bits from nats."""
    return nats / math.log(2)


def entropy_bounds_from_top_k(logps_NK: ArrayLike, vocab_size: int) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and highest entropy, in nats, that distributions with these top k tokens can have.

    The tail's mass m adds -m ln m and m times its own entropy. That is at most that of an even spread over the V - k
    other tokens, ln(V - k). From below, no other token may be likelier than the last of the top k, q: the tail is then
    at least as spread out as tokens of q each and one for the rest. Without that, a single token of mass m would be a
    lower bound too, and a worse one.

    Args:
        logps_NK: natural logs of the k largest probabilities of N distributions, shape (N, K), any order.
        vocab_size: V, at least K.

    Returns:
        two arrays of shape (N,), NaN where a log-prob is NaN; equal where the top k hold everything.

    Raises:
        ConfigError: more log-probs than tokens.
    """
    logps = np.atleast_2d(np.asarray(logps_NK, dtype=np.float64))
    rest = vocab_size - logps.shape[-1]
    if rest < 0:
        raise ConfigError(f"{logps.shape[-1]} log-probs a token were given for a vocabulary of {vocab_size}.")
    probabilities = np.exp(logps)
    known = _plogp(probabilities).sum(axis=-1)
    # Rounding can leave a mass of a hair above 1; nothing is then left for the tail.
    tail = np.clip(1.0 - probabilities.sum(axis=-1), 0.0, 1.0) if rest else np.zeros(len(logps))
    smallest = probabilities.min(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        full = np.where(smallest > 0, np.floor(tail / smallest), 0.0)
    low = known + full * _plogp(smallest) + _plogp(np.clip(tail - full * smallest, 0.0, 1.0))
    high = known + _plogp(tail) + tail * (math.log(rest) if rest else 0.0)
    return np.minimum(low, high), high


def _plogp(probabilities: FloatArray) -> FloatArray:
    """Return -p ln p, 0 at 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(probabilities == 0, 0.0, -probabilities * np.log(probabilities))
