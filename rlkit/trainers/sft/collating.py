"""From examples to a micro-batch: TRL's padding, and beside it what every learnt token counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rlkit.objective.row_weighting import weigh_row

OURS = ("row_coefs", "row_divisor", "push_coefs", "sampler_logps")
"""What of a micro-batch is ours; the rest goes into the model."""


class RowCollator:
    """TRL's collator, and `row_coefs` (B, T), `row_divisor` (1,); of negatives `push_coefs`, `sampler_logps` (B,)."""

    def __init__(self, collator: Any, rule: str) -> None:
        self._collator, self._rule = collator, rule

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return a micro-batch of rows to learn."""
        batch = self._collate(examples)
        coefs, divisor = self._weigh(examples, batch["labels"])
        return {**batch, "row_coefs": coefs, "row_divisor": torch.tensor([divisor])}

    def collate_negatives(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return a micro-batch of rows to push down."""
        batch = self._collate(examples)
        coefs, _ = self._weigh(examples, batch["labels"])
        logps = torch.tensor([example["sampler_logp"] for example in examples])
        return {**batch, "push_coefs": coefs, "sampler_logps": logps}

    def sum_divisors(self, examples: Sequence[dict[str, Any]]) -> float:
        """Return what some examples, unpacked, add to the divisor."""
        counts = (sum(label != -100 for label in example["labels"][1:]) for example in examples)
        weights = (example["weights"][0] for example in examples)
        return sum(weigh_row(self._rule, *pair)[1] for pair in zip(weights, counts, strict=True))

    def _collate(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        ours = ("weights", "sampler_logp")
        return self._collator([{key: each[key] for key in each if key not in ours} for each in examples])

    def _weigh(self, examples: Sequence[dict[str, Any]], labels_BT: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Return what every token counts (B, T), and what the rows add to the divisor."""
        lengths = [example.get("seq_lengths") or [len(example["input_ids"])] for example in examples]
        weights = [weight for example in examples for weight in example["weights"]]
        is_learnt_BT = labels_BT != -100
        if len(weights) == labels_BT.shape[0]:
            is_learnt_BT[:, 0] = False  # Nothing comes before a row's first token that could predict it.
            pairs = [weigh_row(self._rule, *pair) for pair in zip(weights, is_learnt_BT.sum(1).tolist(), strict=True)]
            return torch.tensor([coef for coef, _ in pairs])[:, None] * is_learnt_BT, sum(each for _, each in pairs)
        # Packed: all rows lie end to end in one.
        coefs_BT, start, total = torch.zeros(labels_BT.shape), 0, 0.0
        for weight, length in zip(weights, [length for each in lengths for length in each], strict=True):
            here = slice(start, start + length)
            is_learnt_BT[0, start] = False
            coef, divisor = weigh_row(self._rule, weight, int(is_learnt_BT[0, here].sum()))
            coefs_BT[0, here] = coef * is_learnt_BT[0, here]
            total, start = total + divisor, start + length
        return coefs_BT, total


def join_rows(batch: dict[str, Any], negatives: dict[str, Any]) -> dict[str, Any]:
    """Return a micro-batch with rows to push down below those to learn, so that one forward pass takes both.

    Args:
        batch: of rows to learn, padded on the right.
        negatives: of rows to push down, padded likewise.
    """
    fills = {"labels": -100}
    device, num_learnt = batch["input_ids"].device, batch["input_ids"].shape[0]
    num_pushed = negatives["input_ids"].shape[0]
    length = max(batch["input_ids"].shape[1], negatives["input_ids"].shape[1])

    def widen(tensor: torch.Tensor, fill: float) -> torch.Tensor:
        return torch.nn.functional.pad(tensor, (0, length - tensor.shape[1]), value=fill)

    joined = dict(batch)
    for key in ("input_ids", "attention_mask", "labels"):
        # A padded place is hidden from attention, so which token stands there does not matter.
        both = widen(batch[key], fills.get(key, 0)), widen(negatives[key].to(device), fills.get(key, 0))
        joined[key] = torch.cat(both)
    nothing = batch["row_coefs"].new_zeros
    joined["row_coefs"] = torch.cat([widen(batch["row_coefs"], 0), nothing(num_pushed, length)])
    joined["push_coefs"] = torch.cat([nothing(num_learnt, length), widen(negatives["push_coefs"].to(device), 0)])
    joined["sampler_logps"] = torch.cat([nothing(num_learnt), negatives["sampler_logps"].to(device)])
    return joined
