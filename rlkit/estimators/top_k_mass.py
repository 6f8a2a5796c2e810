"""What the k most likely tokens tell: mass, entropy, and bounds of the entropy of the whole distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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
