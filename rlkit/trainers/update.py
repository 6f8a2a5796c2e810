"""The fast update: nothing twice, and nothing for nothing.

TRL forwards every row of every micro-batch, padded to the longest of the generation batch. Here the micro-batches of
one optimizer step are taken together: rows that weigh exactly nothing in the loss are left out, the others are sorted
by length and cut anew by a token budget, and log-probs of the policy that generated them come from the first forward
pass wherever the policy has not moved since. The gradient is the same to rounding, because every row keeps the weight
that its micro-batch gave it. All ranks do the same number of passes, so that collectives never go out of step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate.utils import DistributedType
from trl.models.utils import disable_gradient_checkpointing

from rlkit.objective.microbatches import cut_by_tokens
from rlkit.trainers.host import TrainerHost
from rlkit.trainers.loss import LossResult, Rows, find_needed, token_mask, weigh_inputs
from rlkit.trainers.statistics import Statistics
from rlkit.trainers.stored_rows import Pass, StoredRows, agree_on_largest


class FastUpdate:
    """Does the forward and backward passes of one optimizer step for a trainer."""

    def __init__(self, host: TrainerHost, stored: StoredRows) -> None:
        self._host, self._stored = host, stored

    def run(self, model: Any, window: list[Rows]) -> torch.Tensor:
        """Accumulate the gradient of one optimizer step; return the loss, detached. A collective.

        Args:
            model: the policy as prepared for training.
            window: the micro-batches of the step, as they lie in the buffer; log-probs that a later iteration will need
                are written back into them.
        """
        host = self._host
        for inputs in window:
            inputs.update(weigh_inputs(host.loss_settings, host.loss_state, inputs))
        self._complete_old_logps(window)
        parts = self._cut(window)
        num_parts = agree_on_largest(host.accelerator, len(parts))
        num_rows = sum(len(inputs["advantages"]) for inputs in window)
        host.record("update/forwarded", self._share(sum(len(part) for part in parts), num_rows))
        statistics = Statistics()
        stored = self._stored.passes(model, self._budget(window), statistics)
        total = torch.zeros((), device=host.accelerator.device)
        if num_parts == 0 and not stored:
            # The scaler of fp16 refuses a step without gradients.
            if getattr(host.args, "skip_steps_without_signal", False) and host.accelerator.scaler is None:
                # Without gradients no optimizer moves; with zero ones, Adam goes on where it was going.
                host.record("update/skipped_steps", 1.0)
                return total
            host.record("update/steps_without_signal", 1.0)
            # Rows without weight give gradients of exactly zero, as all of them would, and something to log.
            parts, num_parts = self._any_part(window), 1
        found: list[tuple[list[Pick], torch.Tensor]] = []
        passes = [*stored, *self._losses(model, window, parts, num_parts, statistics, found)]
        for number, compute in enumerate(passes):
            with self._accumulating(model, is_last=number == len(passes) - 1):
                loss = compute()
                self._backward(loss)
                total = total + loss.detach()
        self._keep_old_logps(window, found)
        host.finish_update(statistics, len(window))
        return total

    def _cut(self, window: list[Rows]) -> list[list[Pick]]:
        picks = pick_rows(window, [self._asked(inputs) for inputs in window])
        if self._host.loss_settings.keeps_microbatches:
            return [[pick for pick in picks if pick.batch == number] for number in range(len(window))]
        return cut_picks(picks, self._budget(window))

    def _asked(self, inputs: Rows) -> torch.Tensor:
        """Return which rows are forwarded: those that weigh something, or all where micro-batches stay together."""
        if self._host.loss_settings.keeps_microbatches:
            return torch.ones(len(inputs["advantages"]), dtype=torch.bool)
        return self._needed(inputs)

    def _any_part(self, window: list[Rows]) -> list[list[Pick]]:
        """Return one part of rows that have tokens, whatever they weigh; none where no row has any."""
        picks = pick_rows(window, [(token_mask(inputs) != 0).any(dim=1) for inputs in window])
        return cut_picks(picks, self._budget(window))[:1]

    def _needed(self, inputs: Rows) -> torch.Tensor:
        return find_needed(self._host.loss_settings, self._host.loss_state, inputs)

    def _losses(
        self,
        model: Any,
        window: list[Rows],
        parts: list[list[Pick]],
        num_parts: int,
        statistics: Statistics,
        found: list[tuple[list[Pick], torch.Tensor]],
    ) -> list[Pass]:
        def compute(rows: Rows) -> LossResult:
            result = self._host.compute_policy_loss(model, rows)
            statistics.merge(result.statistics)
            return result

        def compute_part(part: list[Pick]) -> torch.Tensor:
            result = compute(gather_rows(window, part))
            found.append((part, result.logps_BT))
            return result.loss

        def compute_idle() -> torch.Tensor:
            # Another rank has one more pass; this one must take part in its collectives.
            rows = gather_rows(window, [Pick(0, 0, 1, 1)])
            rows["completion_mask"] = torch.zeros_like(rows["completion_mask"])
            return compute(rows).loss * 0

        idle: list[Pass] = [compute_idle] * (num_parts - len(parts))
        return [*idle, *(partial(compute_part, part) for part in parts)]

    def _backward(self, loss: torch.Tensor) -> None:
        accelerator = self._host.accelerator
        # As transformers does: the loss is scaled already.
        kwargs = {"scale_wrt_gas": False} if accelerator.distributed_type == DistributedType.DEEPSPEED else {}
        accelerator.backward(loss, **kwargs)

    @contextlib.contextmanager
    def _accumulating(self, model: Any, is_last: bool) -> Iterator[None]:
        """Exchange gradients after the last pass only."""
        if is_last:
            yield
            return
        accelerator = self._host.accelerator
        accelerator.gradient_state._set_sync_gradients(False)
        try:
            with accelerator.no_sync(model):
                yield
        finally:
            accelerator.gradient_state._set_sync_gradients(True)

    def _complete_old_logps(self, window: list[Rows]) -> None:
        """Where only some micro-batches of a step know their old log-probs, ask the policy for the others'."""
        unknown = [inputs for inputs in window if "old_per_token_logps" not in inputs]
        if 0 < len(unknown) < len(window):
            self.fill_logps(self._host.model, unknown, "old_per_token_logps")

    def _keep_old_logps(self, window: list[Rows], found: list[tuple[list[Pick], torch.Tensor]]) -> None:
        if self._host.num_iterations == 1 or "old_per_token_logps" in window[0]:
            return
        for part, logps_BT in found:
            scatter_rows(logps_BT, part, window, "old_per_token_logps")
        for inputs in window:
            inputs.setdefault("old_per_token_logps", torch.zeros_like(inputs["completion_ids"], dtype=torch.float32))

    @torch.no_grad()
    def fill_logps(
        self, model: Any, batches: Sequence[Rows], key: str, needed: Sequence[torch.Tensor] | None = None
    ) -> None:
        """Write log-probs (B, T) of the needed rows under `model` into their batches, 0 elsewhere. A collective.

        Args:
            model: the policy or a reference.
            batches: micro-batches, or a whole generation batch as one.
            key: where to put them.
            needed: which rows, (B,) each; None takes those that the loss will ask for.
        """
        host = self._host
        picks = pick_rows(batches, [self._asked(rows) for rows in batches] if needed is None else needed)
        parts = cut_picks(picks, self._budget(batches))
        idle = [Pick(0, 0, 1, 1)]
        with disable_gradient_checkpointing(host.model, host.args.gradient_checkpointing_kwargs):
            for number in range(agree_on_largest(host.accelerator, len(parts))):
                part = parts[number] if number < len(parts) else idle
                logps_BT = host.forward(model, gather_rows(batches, part))[0]
                if part is not idle:
                    scatter_rows(logps_BT, part, batches, key)
        for rows in batches:
            rows.setdefault(key, torch.zeros_like(rows["completion_ids"], dtype=torch.float32))

    def _budget(self, batches: Sequence[Rows]) -> int:
        """Return the most tokens of one pass: what TRL's largest micro-batch holds, or what the recipe says."""
        given = getattr(self._host.args, "max_tokens_per_microbatch", None)
        if given is not None:
            return int(given)
        rows = max(len(rows["completion_ids"]) for rows in batches)
        share = max(1, rows // self._host.args.per_device_train_batch_size)
        return measure_budget(batches) // share

    def _share(self, count: int, total: int) -> float:
        accelerator = self._host.accelerator
        counts = torch.tensor([count, total], device=accelerator.device, dtype=torch.float32)
        part, whole = accelerator.reduce(counts, reduction="sum")
        return (part / whole).item()


# Rows of a generation batch without their padding: picked, cut into micro-batches, and put together again. A
# micro-batch here is a dict like TRL's buffer: prompts padded on the left, everything of the completion on the right.

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
