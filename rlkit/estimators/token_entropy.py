"""Entropy of next-token distributions, in float32 whatever the logits' type, in chunks of bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_CHUNK_ENTRIES = 1 << 24


def entropy_from_logits(logits: torch.Tensor, chunk_entries: int = _CHUNK_ENTRIES) -> torch.Tensor:
    """Return the Shannon entropy of `softmax(logits)`, in nats.

    Args:
        logits: shape (..., V), any float type; -inf marks a forbidden token.
        chunk_entries: how many logits are upcast to float32 at a time.

    Returns:
        float32 of shape (...); range [0, ln V]; gradients are kept. NaN for a row of nothing but -inf.
    """
    import torch

    flat_NV = logits.reshape(-1, logits.shape[-1])
    rows = max(1, chunk_entries // max(1, flat_NV.shape[-1]))
    chunks = [_entropy_of_rows(chunk_CV) for chunk_CV in flat_NV.split(rows)]
    entropies_N = torch.cat(chunks) if chunks else flat_NV.new_zeros(0, dtype=torch.float32)
    return entropies_N.reshape(logits.shape[:-1])


def _entropy_of_rows(logits_NV: torch.Tensor) -> torch.Tensor:
    import torch

    logps_NV = torch.log_softmax(logits_NV.float(), dim=-1)
    # 0 * -inf is NaN, in value and gradient; a forbidden token contributes exactly nothing instead.
    finite_NV = logps_NV.masked_fill(torch.isneginf(logps_NV), 0.0)
    return -(logps_NV.exp() * finite_NV).sum(dim=-1)
