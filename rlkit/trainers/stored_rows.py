"""Rows that are stored, trained on beside the rollouts: chosen alike on every rank, shared out, and forwarded.

What kinds of rows there are, and what is learnt from them, is behind `RowStore`: rehearsal in `rehearsing.py`, an
archive of solutions in `archived.py`. On the fast path the rows of a step are cut into passes of like length, as
rollouts are; on TRL's, each micro-batch takes its turn of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from trl.trainer.utils import pad

from rlkit.objective.microbatches import cut_by_tokens
from rlkit.objective.stored import StoredLoss, StoredRow
from rlkit.trainers.host import TrainerHost
from rlkit.trainers.statistics import Statistics

Pass = Callable[[], torch.Tensor]
"""Computes the loss of one forward pass."""


class RowStore(Protocol):
    """Where stored rows come from, and what is learnt from them."""

    @property
    def stored_loss(self) -> StoredLoss:
        """What a row loses."""

    def choose(self) -> Sequence[StoredRow]:
        """Return the rows of the present optimizer step over all ranks: the same on each, however often it asks."""

    def measure(self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor, mask_BT: torch.Tensor) -> Statistics:
        """Return what is to be logged of some rows; nothing has a gradient."""


class StoredRows:
    """The stored rows of all kinds, as a trainer learns from them."""

    def __init__(self, host: TrainerHost, stores: Sequence[RowStore]) -> None:
        self._host, self._stores = host, stores

    def passes(self, model: Any, max_tokens: int, statistics: Statistics) -> list[Pass]:
        """Return the forward passes over this rank's rows of an optimizer step, as many as on every rank; a collective.

        Args:
            model: the policy as prepared for training.
            max_tokens: of one pass, padding included.
            statistics: takes what they measure.
        """
        passes: list[Pass] = []
        num_turns = self._host.current_gradient_accumulation_steps
        for store in self._stores:
            rows = store.choose()
            if not rows:
                continue
            places = [place for turn in range(num_turns) for place in self._share(len(rows), turn)]
            lengths = [len(rows[place].prompt_ids) + len(rows[place].completion_ids) for place in places]
            parts = [[places[at] for at in part] for part in cut_by_tokens(lengths, max_tokens)]
            # Another rank may have more; this one must take part in its collectives.
            idle: list[list[int]] = [[]] * (agree_on_largest(self._host.accelerator, len(parts)) - len(parts))
            passes += [partial(self._compute, model, store, rows, part, statistics) for part in [*idle, *parts]]
        return passes

    def loss(self, model: Any, turn: int, statistics: Statistics) -> torch.Tensor:
        """Return what a micro-batch's turn of the rows adds to the loss of its optimizer step.

        Args:
            model: the policy as prepared for training.
            turn: which micro-batch of its step it is, counted from any multiple of their number.
            statistics: takes what is measured.
        """
        total = torch.zeros((), device=self._host.accelerator.device)
        for store in self._stores:
            if rows := store.choose():
                total = total + self._compute(model, store, rows, self._share(len(rows), turn), statistics)
        return total

    def _share(self, num_rows: int, turn: int) -> list[int]:
        """Return the places of this rank's rows in a turn; the rows are dealt out in order, turn by turn."""
        accelerator, num_turns = self._host.accelerator, self._host.current_gradient_accumulation_steps
        number, of = (
            turn % num_turns * accelerator.num_processes + accelerator.process_index,
            num_turns * accelerator.num_processes,
        )
        return list(range(num_rows * number // of, num_rows * (number + 1) // of))

    def _compute(
        self, model: Any, store: RowStore, rows: Sequence[StoredRow], places: list[int], statistics: Statistics
    ) -> torch.Tensor:
        # Gradients of ranks are averaged, so that each counts for as many as there are.
        scale = self._host.accelerator.num_processes if places else 0
        weights = store.stored_loss.weigh(rows)
        chosen = places or [0]
        logps_BT, ref_logps_BT, mask_BT = self._forward(model, [rows[place] for place in chosen])
        weights_B = logps_BT.new_tensor([weights[place] * scale for place in chosen])
        with torch.no_grad():
            counted_BT = mask_BT if places else torch.zeros_like(mask_BT)
            statistics.merge(store.measure(logps_BT.detach(), ref_logps_BT, counted_BT))
        return store.stored_loss.loss(logps_BT, ref_logps_BT, mask_BT, weights_B)

    def _forward(self, model: Any, rows: list[StoredRow]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        device, pad_id = self._host.accelerator.device, self._host.pad_id
        prompts = [torch.tensor(row.prompt_ids, device=device) for row in rows]
        completions = [torch.tensor(row.completion_ids, device=device) for row in rows]
        mask_BT = pad([torch.ones_like(ids) for ids in completions], padding_value=0)
        logps_BT = self._host.forward(
            model,
            {
                "prompt_ids": pad(prompts, pad_id, "left"),
                "prompt_mask": pad([torch.ones_like(ids) for ids in prompts], 0, "left"),
                "completion_ids": pad(completions, pad_id),
                "completion_mask": mask_BT,
            },
        )[0]
        known = [torch.tensor(row.logps or [0.0] * len(row.completion_ids), device=device) for row in rows]
        return logps_BT, pad(known, padding_value=0.0).to(logps_BT.dtype), mask_BT


def agree_on_largest(accelerator: Any, count: int) -> int:
    """Return the largest count of any rank; a collective."""
    if accelerator.num_processes == 1:
        return count
    return int(accelerator.gather(torch.tensor([count], device=accelerator.device)).max().item())
