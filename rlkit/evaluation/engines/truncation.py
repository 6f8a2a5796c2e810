"""The distribution a token is drawn from: temperature, then min-p, top-k and top-p, in the order vLLM applies them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlkit.evaluation.sampling import SamplingConfig

if TYPE_CHECKING:
    import torch


def sampling_probabilities(logits_NV: torch.Tensor, sampling: SamplingConfig) -> torch.Tensor:
    """Return the probabilities tokens are drawn with.

    Args:
        logits_NV: float32 logits, shape (N, V).
        sampling: temperature, min_p, top_k, top_p; temperature 0 puts all mass on the most likely token.

    Returns:
        float32 of shape (N, V), rows sum to 1, dropped tokens exactly 0.
    """
    import torch

    if sampling.temperature == 0.0:
        return torch.nn.functional.one_hot(logits_NV.argmax(dim=-1), logits_NV.shape[-1]).float()
    probabilities_NV = torch.softmax(logits_NV / sampling.temperature, dim=-1)
    if sampling.min_p > 0.0:
        floor_N1 = sampling.min_p * probabilities_NV.amax(dim=-1, keepdim=True)
        probabilities_NV = _renormalised(probabilities_NV.masked_fill(probabilities_NV < floor_N1, 0.0))
    if 0 < sampling.top_k < probabilities_NV.shape[-1] or sampling.top_p < 1.0:
        probabilities_NV = _renormalised(_keep_top(probabilities_NV, sampling.top_k, sampling.top_p))
    return probabilities_NV


def draw(probabilities_NV: torch.Tensor, uniforms_N: torch.Tensor) -> torch.Tensor:
    """Return one token id a row, shape (N,), by inverting the cumulative distribution at `uniforms_N` in [0, 1).

    The sum runs in float64: in float32 the tail of a large vocabulary, thousands of tokens below 1e-7, rounds away.
    """
    import torch

    cumulative_NV = probabilities_NV.double().cumsum(dim=-1)
    # Right of every entry <= the target: a token of zero probability is never hit, not even by a uniform of exactly 0.
    targets_N1 = uniforms_N[:, None] * cumulative_NV[:, -1:]
    tokens_N = torch.searchsorted(cumulative_NV, targets_N1, right=True).squeeze(-1)
    last_N = probabilities_NV.shape[-1] - 1 - (probabilities_NV > 0).flip(-1).int().argmax(dim=-1)
    return torch.minimum(tokens_N, last_N)


def _keep_top(probabilities_NV: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    ranked_NV, order_NV = probabilities_NV.sort(dim=-1, descending=True)
    if top_k > 0:
        ranked_NV[:, top_k:] = 0.0
    # A token stays while those before it hold less than top_p of what is left, so the most likely one always does.
    before_NV = ranked_NV.cumsum(dim=-1) - ranked_NV
    ranked_NV = ranked_NV.masked_fill(before_NV >= top_p * ranked_NV.sum(dim=-1, keepdim=True), 0.0)
    return ranked_NV.new_zeros(ranked_NV.shape).scatter_(-1, order_NV, ranked_NV)


def _renormalised(weights_NV: torch.Tensor) -> torch.Tensor:
    return weights_NV / weights_NV.sum(dim=-1, keepdim=True)
