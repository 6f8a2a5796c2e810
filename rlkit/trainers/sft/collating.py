"""From examples to a micro-batch: TRL's padding, and beside it what every learnt token counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rlkit.objective.row_weighting import weigh_row

OURS = ("row_coefs", "row_divisors", "starts", "push_coefs", "sampler_logps")
"""What of a micro-batch is ours; the rest goes into the model."""


class RowCollator:
    """TRL's collator, and `row_coefs` (B, T); of negatives `push_coefs` (B, T) and `sampler_logps` (B,).

    `row_divisors` has what each example adds to the divisor; `starts`, of packed examples, where each begins in the row
    that they all lie in.
    """

    def __init__(self, collator: Any, rule: str) -> None:
        self._collator, self._rule = collator, rule

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return a micro-batch of rows to learn."""
        batch = self._collate(examples)
        coefs, divisors = self._weigh(examples, batch["labels"])
        weighed = {**batch, "row_coefs": coefs, "row_divisors": torch.tensor(divisors)}
        if "seq_lengths" not in examples[0]:
            return weighed
        lengths = [len(example["input_ids"]) for example in examples]
        return {**weighed, "starts": torch.tensor([sum(lengths[:at]) for at in range(len(lengths))])}

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

    def _weigh(self, examples: Sequence[dict[str, Any]], labels_BT: torch.Tensor) -> tuple[torch.Tensor, list[float]]:
        """Return what every token counts (B, T), and what each example adds to the divisor."""
        is_learnt_BT = labels_BT != -100
        if "seq_lengths" not in examples[0]:
            is_learnt_BT[:, 0] = False  # Nothing comes before a row's first token that could predict it.
            counts = is_learnt_BT.sum(1).tolist()
            weights = (example["weights"][0] for example in examples)
            pairs = [weigh_row(self._rule, *pair) for pair in zip(weights, counts, strict=True)]
            coefs_B = torch.tensor([coef for coef, _ in pairs])
            return coefs_B[:, None] * is_learnt_BT, [divisor for _, divisor in pairs]
        # Packed: all rows of all examples lie end to end in one.
        coefs_BT, start, divisors = torch.zeros(labels_BT.shape), 0, []
        for example in examples:
            divisors.append(0.0)
            for weight, length in zip(example["weights"], example["seq_lengths"], strict=True):
                here = slice(start, start + length)
                is_learnt_BT[0, start] = False
                coef, divisor = weigh_row(self._rule, weight, int(is_learnt_BT[0, here].sum()))
                coefs_BT[0, here] = coef * is_learnt_BT[0, here]
                divisors[-1], start = divisors[-1] + divisor, start + length
        return coefs_BT, divisors


def leave_out_examples(batch: dict[str, Any], first: int) -> dict[str, Any]:
    """Return a micro-batch in which the examples from the `first` on count nothing."""
    if first >= len(batch["row_divisors"]):
        return batch
    coefs, divisors = batch["row_coefs"].clone(), batch["row_divisors"].clone()
    divisors[first:] = 0
    if "starts" in batch:
        coefs[0, int(batch["starts"][first]) :] = 0
    else:
        coefs[first:] = 0
    return {**batch, "row_coefs": coefs, "row_divisors": divisors}


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
