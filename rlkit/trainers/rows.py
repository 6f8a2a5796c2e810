"""Rows of a generation batch without their padding: picked, cut into micro-batches, and put together again.

A micro-batch here is a dict like TRL's buffer: prompts padded on the left, everything of the completion on the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rlkit.objective.microbatches import cut_by_tokens

PROMPT_KEYS = ("prompt_ids", "prompt_mask")
"""What is padded on the left; every other tensor of a row is one number, one number a completion token, or nothing."""


@dataclass(frozen=True)
class Pick:
    """One row of one of several micro-batches."""

    batch: int
    row: int
    prompt_length: int
    completion_length: int

    @property
    def length(self) -> int:
        """Tokens of prompt and completion."""
        return self.prompt_length + self.completion_length


def pick_rows(batches: Sequence[dict[str, Any]], is_needed: Sequence[torch.Tensor]) -> list[Pick]:
    """Return the needed rows of micro-batches with their true lengths."""
    picks: list[Pick] = []
    for number, (batch, needed_B) in enumerate(zip(batches, is_needed, strict=True)):
        prompt_lengths = batch["prompt_mask"].sum(dim=1).tolist()
        completion_lengths = measure_completions(batch).tolist()
        rows = needed_B.nonzero().flatten().tolist()
        picks += [Pick(number, row, int(prompt_lengths[row]), int(completion_lengths[row])) for row in rows]
    return picks


def measure_completions(batch: dict[str, Any]) -> torch.Tensor:
    """Return one past the last token of each completion that counts, (B,); later ones cannot matter to the loss."""
    mask_BT = batch["completion_mask"] != 0
    places_T = torch.arange(1, mask_BT.size(1) + 1, device=mask_BT.device)
    lengths_B: torch.Tensor = (mask_BT * places_T).amax(dim=1)
    return lengths_B


def cut_picks(picks: Sequence[Pick], max_tokens: int) -> list[list[Pick]]:
    """Return the rows in micro-batches of like length within the budget, the longest first."""
    rows = cut_by_tokens([pick.length for pick in picks], max_tokens)
    return [[picks[row] for row in batch] for batch in rows]


def measure_budget(batches: Sequence[dict[str, Any]]) -> int:
    """Return the tokens of the largest of the micro-batches, padding included: what one forward pass had to hold."""
    sizes = [batch["completion_ids"].numel() + batch["prompt_ids"].numel() for batch in batches]
    return max(sizes)


def gather_rows(batches: Sequence[dict[str, Any]], picks: Sequence[Pick]) -> dict[str, Any]:
    """Return picked rows as one micro-batch, with no more padding than its longest prompt and completion need."""
    num_prompt = max(pick.prompt_length for pick in picks)
    num_completion = max(1, *(pick.completion_length for pick in picks))
    rows: dict[str, Any] = {}
    for key in PROMPT_KEYS:
        rows[key] = torch.stack([_right(batches[pick.batch][key][pick.row], num_prompt) for pick in picks])
    used = {pick.batch for pick in picks}
    for key in _keys_of_rows(batches[picks[0].batch]):
        if all(key in batches[number] for number in used):
            values = [batches[pick.batch][key][pick.row] for pick in picks]
            # One number a row stays one; where all completions of a batch are one token long, they look alike.
            is_by_token = any(batches[number][key].shape[1:] > (1,) for number in used)
            rows[key] = torch.stack([_left(value, num_completion) for value in values] if is_by_token else values)
    return rows


def _keys_of_rows(batch: dict[str, Any]) -> list[str]:
    """Return the keys that hold something for each row, whoever put it there: a subclass may add its own."""
    num_rows = len(batch["completion_ids"])
    tensors = {key: value for key, value in batch.items() if isinstance(value, torch.Tensor)}
    return [
        key
        for key, value in tensors.items()
        if key not in PROMPT_KEYS and value.dim() > 0 and value.size(0) == num_rows
    ]


def _right(row: torch.Tensor, length: int) -> torch.Tensor:
    # Rows of one window may come from two generation batches, the narrower of which is padded further.
    missing = length - row.size(0)
    return row[-length:] if missing <= 0 else torch.nn.functional.pad(row, (missing, 0))


def _left(row: torch.Tensor, length: int) -> torch.Tensor:
    missing = length - row.size(0)
    return row[:length] if missing <= 0 else torch.nn.functional.pad(row, (0, missing))


def scatter_rows(values_BT: torch.Tensor, picks: Sequence[Pick], batches: Sequence[dict[str, Any]], key: str) -> None:
    """Write values of picked rows back into their micro-batches under `key`, zeros elsewhere, in their shapes."""
    for pick, values_T in zip(picks, values_BT, strict=True):
        batch = batches[pick.batch]
        if key not in batch:
            batch[key] = torch.zeros(batch["completion_ids"].shape, dtype=values_BT.dtype, device=values_BT.device)
        width = min(values_T.size(0), batch[key].size(1))
        batch[key][pick.row, :width] = values_T[:width]
