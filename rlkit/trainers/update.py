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
from typing import Any

import torch
from accelerate.utils import DistributedType
from trl.models.utils import disable_gradient_checkpointing

from rlkit.objective import find_needed_rows
from rlkit.trainers.loss import compute_loss, token_mask, weigh_inputs
from rlkit.trainers.meters import Meters
from rlkit.trainers.rows import Pick, cut_picks, gather_rows, measure_budget, pick_rows, scatter_rows

Rows = dict[str, Any]


class FastUpdate:
    """Does the forward and backward passes of one optimizer step for a trainer."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    @property
    def keeps_microbatches(self) -> bool:
        """Whether statistics over a micro-batch are part of the method, so that its rows must stay together."""
        return bool(self._trainer.plan.objective.token_weights) or self._trainer.top_entropy_quantile < 1.0

    def run(self, model: Any, window: list[Rows]) -> torch.Tensor:
        """Accumulate the gradient of one optimizer step; return the loss, detached. A collective.

        Args:
            model: the policy as prepared for training.
            window: the micro-batches of the step, as they lie in the buffer; log-probs that a later iteration will need
                are written back into them.
        """
        trainer = self._trainer
        for inputs in window:
            inputs.update(weigh_inputs(trainer, inputs))
        self._complete_old_logps(window)
        parts = self._cut(window)
        num_parts = self._agree_on(len(parts))
        num_rows = sum(len(inputs["advantages"]) for inputs in window)
        trainer.record("update/forwarded", self._share(sum(len(part) for part in parts), num_rows))
        rehearsals = self._rehearse(model, len(window))
        total = torch.zeros((), device=trainer.accelerator.device)
        if num_parts == 0 and rehearsals is None:
            if trainer.accelerator.scaler is None:
                # Without gradients no optimizer moves; with zero ones, Adam would go on where it was going.
                trainer.record("update/skipped_steps", 1.0)
                return total
            num_parts = 1  # The scaler of fp16 refuses a step without gradients.
        meters = Meters()
        found: list[tuple[list[Pick], torch.Tensor]] = []
        passes = [
            *([] if rehearsals is None else rehearsals),
            *self._losses(model, window, parts, num_parts, meters, found),
        ]
        for number, compute in enumerate(passes):
            with self._accumulating(model, is_last=number == len(passes) - 1):
                loss = compute()
                self._backward(loss)
                total = total + loss.detach()
        self._keep_old_logps(window, found)
        trainer.finish_update(meters)
        return total

    def _cut(self, window: list[Rows]) -> list[list[Pick]]:
        if self.keeps_microbatches:
            everything = [torch.ones(len(inputs["advantages"]), dtype=torch.bool) for inputs in window]
            picks = pick_rows(window, everything)
            return [[pick for pick in picks if pick.batch == number] for number in range(len(window))]
        return cut_picks(pick_rows(window, [self.find_needed(inputs) for inputs in window]), self._budget(window))

    def find_needed(self, inputs: Rows) -> torch.Tensor:
        """Return which rows weigh anything in the loss, (B,)."""
        trainer = self._trainer
        return find_needed_rows(
            inputs["advantages"],
            token_mask(inputs),
            anchored_B=inputs.get("anchored"),
            # A coefficient that is 0 now may grow while this batch is still learnt from.
            has_anchor=trainer.anchor_coef_in_loss != 0 or trainer.plan.has_moving_anchor_in_loss,
            has_entropy_term=trainer._entropy_bonus_enabled,
        )

    def _losses(
        self, model: Any, window: list[Rows], parts: list[list[Pick]], num_parts: int, meters: Meters, found: list
    ) -> list[Any]:
        trainer = self._trainer

        def compute_part(part: list[Pick]) -> torch.Tensor:
            loss, logps_BT = compute_loss(
                trainer, model, gather_rows(window, part), trainer.anchor_coef_in_loss, meters
            )
            found.append((part, logps_BT))
            return loss

        def compute_idle() -> torch.Tensor:
            # Another rank has one more pass; this one must take part in its collectives.
            rows = gather_rows(window, [Pick(0, 0, 1, 1)])
            rows["completion_mask"] = torch.zeros_like(rows["completion_mask"])
            return compute_loss(trainer, model, rows, trainer.anchor_coef_in_loss, meters)[0] * 0

        idle = [compute_idle] * (num_parts - len(parts))
        return [*idle, *((lambda part=part: compute_part(part)) for part in parts)]

    def _rehearse(self, model: Any, num_windows: int) -> list[Any] | None:
        rehearser = self._trainer.rehearser
        if rehearser is None or not rehearser.has_rows:
            return None
        return [(lambda turn=turn: rehearser.loss(model, turn) / num_windows) for turn in range(num_windows)]

    def _backward(self, loss: torch.Tensor) -> None:
        accelerator = self._trainer.accelerator
        # As transformers does: the loss is scaled already.
        kwargs = {"scale_wrt_gas": False} if accelerator.distributed_type == DistributedType.DEEPSPEED else {}
        accelerator.backward(loss, **kwargs)

    @contextlib.contextmanager
    def _accumulating(self, model: Any, is_last: bool) -> Iterator[None]:
        """Exchange gradients after the last pass only."""
        if is_last:
            yield
            return
        accelerator = self._trainer.accelerator
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
            self.fill_logps(self._trainer.model, unknown, "old_per_token_logps")

    def _keep_old_logps(self, window: list[Rows], found: list[tuple[list[Pick], torch.Tensor]]) -> None:
        if self._trainer.num_iterations == 1 or "old_per_token_logps" in window[0]:
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
            needed: which rows, (B,) each; None asks `find_needed`.
        """
        trainer = self._trainer
        picks = pick_rows(batches, [self.find_needed(rows) for rows in batches] if needed is None else needed)
        parts = cut_picks(picks, self._budget(batches))
        idle = [Pick(0, 0, 1, 1)]
        with disable_gradient_checkpointing(trainer.model, trainer.args.gradient_checkpointing_kwargs):
            for number in range(self._agree_on(len(parts))):
                part = parts[number] if number < len(parts) else idle
                logps_BT = self._forward(model, gather_rows(batches, part))
                if part is not idle:
                    scatter_rows(logps_BT, part, batches, key)
        for rows in batches:
            rows.setdefault(key, torch.zeros_like(rows["completion_ids"], dtype=torch.float32))

    def _forward(self, model: Any, rows: Rows) -> torch.Tensor:
        ids = torch.cat([rows["prompt_ids"], rows["completion_ids"]], dim=1)
        mask = torch.cat([rows["prompt_mask"], rows["completion_mask"]], dim=1)
        logps_BT: torch.Tensor = self._trainer._get_per_token_logps_and_entropies(
            model, ids, mask, rows["completion_ids"].size(1)
        )[0]
        return logps_BT

    def _budget(self, batches: Sequence[Rows]) -> int:
        """Return the most tokens of one pass: what TRL's largest micro-batch holds, or what the recipe says."""
        given = getattr(self._trainer.args, "tokens_per_pass", None)
        if given is not None:
            return int(given)
        rows = max(len(rows["completion_ids"]) for rows in batches)
        share = max(1, rows // self._trainer.args.per_device_train_batch_size)
        return measure_budget(batches) // share

    def _agree_on(self, count: int) -> int:
        """Return the largest count of any rank."""
        accelerator = self._trainer.accelerator
        if accelerator.num_processes == 1:
            return count
        return int(accelerator.gather(torch.tensor([count], device=accelerator.device)).max().item())

    def _share(self, count: int, total: int) -> float:
        accelerator = self._trainer.accelerator
        counts = torch.tensor([count, total], device=accelerator.device, dtype=torch.float32)
        part, whole = accelerator.reduce(counts, reduction="sum")
        return (part / whole).item()
