"""KL divergence summed over the whole vocabulary, in float32, in chunks of bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlkit.errors import ConfigError

if TYPE_CHECKING:
    import torch

_CHUNK_ENTRIES = 1 << 24


def exact_kl(logits: torch.Tensor, ref_logits: torch.Tensor, chunk_entries: int = _CHUNK_ENTRIES) -> torch.Tensor:
    """Return KL(softmax(logits) || softmax(ref_logits)) of each distribution, in nats.

    Swap the arguments for the other direction: on the policy's own samples KL(policy || base) is the drift, on the
    base's samples KL(base || policy) is the mass that the policy lost.

    Args:
        logits: shape (..., V), any float type; -inf marks a forbidden token. Log-probs are logits too.
        ref_logits: of the same shape.
        chunk_entries: how many logits are upcast to float32 at a time.

    Returns:
        float32 of shape (...); range [0, inf], inf where the reference forbids a token that the policy can say. Not
        below zero: a sum that rounding put there is 0.

    Raises:
        ConfigError: shapes differ, as with two vocabularies.
    """
    import torch

    if logits.shape != ref_logits.shape:
        raise ConfigError(
            f"The two logits have shapes {tuple(logits.shape)} and {tuple(ref_logits.shape)}; a divergence needs one "
            "vocabulary."
        )
    flat_NV, ref_NV = logits.reshape(-1, logits.shape[-1]), ref_logits.reshape(-1, logits.shape[-1])
    rows = max(1, chunk_entries // max(1, flat_NV.shape[-1]))
    chunks = [_kl_of_rows(*pair) for pair in zip(flat_NV.split(rows), ref_NV.split(rows), strict=True)]
    values_N = torch.cat(chunks) if chunks else flat_NV.new_zeros(0, dtype=torch.float32)
    return values_N.reshape(logits.shape[:-1])


def _kl_of_rows(logits_NV: torch.Tensor, ref_NV: torch.Tensor) -> torch.Tensor:
    import torch

    logps_NV = torch.log_softmax(logits_NV.float(), dim=-1)
    ref_logps_NV = torch.log_softmax(ref_NV.float(), dim=-1)
    # A token the policy never says adds nothing, whatever the reference thinks of it: not 0 * inf.
    ratio_NV = (logps_NV - ref_logps_NV).masked_fill(torch.isneginf(logps_NV), 0.0)
    return (logps_NV.exp() * ratio_NV).sum(dim=-1).clamp(min=0.0)
