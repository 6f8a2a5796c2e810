"""From the losses of tokens to the loss of a micro-batch, with the values TRL 1.16 computes."""

from __future__ import annotations

import torch

from rlkit.errors import MissingInputError
from rlkit.parameters import check_choice

AGGREGATIONS = ("grpo", "sapo", "bnpo", "dr_grpo", "dapo", "cispo")
"""TRL's names of losses that differ in how they average."""


def weigh_rows(
    counts_B: torch.Tensor,
    kind: str,
    *,
    max_completion_length: int | None = None,
    num_items: float | torch.Tensor | None = None,
) -> torch.Tensor:
    """Return what the sum over each completion's tokens counts in the loss of a micro-batch, shape (B,), float64.

    It depends on the whole micro-batch, so a part of its rows, cut anew, still adds up to the same loss. Dividing by
    gradient accumulation steps is the caller's, as in TRL.

    Args:
        counts_B: tokens that count in each completion; a completion without any adds 0.
        kind: `grpo`, `sapo`: mean over completions of the mean over their tokens (arXiv 2402.03300);
            `bnpo`: mean over all tokens of the micro-batch;
            `dr_grpo`: sum over tokens / (B max_completion_length) (arXiv 2503.20783);
            `dapo`, `cispo`: sum over tokens / num_items (arXiv 2503.14476, 2506.13585).
        max_completion_length: T's bound in the run, not in this micro-batch; needed by `dr_grpo`.
        num_items: tokens that share this normaliser; needed by `dapo` and `cispo`; at least 1 is taken. It belongs to
            the whole optimizer step, so that sums over micro-batches and ranks add up to one mean.

    Raises:
        ConfigError: no such kind (TRL's `luspo` and `vespo` are none of them).
        MissingInputError: the kind needs a number that was not given.
    """
    check_choice("the loss", "aggregation", kind, AGGREGATIONS)
    ones_B = torch.ones(counts_B.shape, dtype=torch.float64, device=counts_B.device)
    if kind in ("grpo", "sapo"):
        return ones_B / counts_B.clamp(min=1) / len(counts_B)
    if kind == "bnpo":
        return ones_B / counts_B.sum().clamp(min=1)
    if kind == "dr_grpo":
        return ones_B / (len(counts_B) * _require(max_completion_length, "max_completion_length", kind))
    return ones_B / torch.as_tensor(_require(num_items, "num_items", kind)).clamp(min=1)


def _require(value: float | torch.Tensor | None, field: str, kind: str) -> float | torch.Tensor:
    if value is None:
        raise MissingInputError(f"The aggregation {kind} divides by {field}; give weigh_rows(..., {field}=...).")
    return value
