"""Log-probs of rollouts that no gradient flows through: of prompts, of the behaviour policy, of the reference."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from trl import GRPOTrainer
from trl.models.utils import disable_gradient_checkpointing
from trl.trainer.utils import use_adapter

from rlkit.errors import ConfigError
from rlkit.trainers.host import TrainerHost
from rlkit.trainers.loss import MODEL_INPUTS, Rows, token_mask
from rlkit.trainers.sampler import Sampler
from rlkit.trainers.update import FastUpdate


class TrlsPasses:
    """What TRL asks the model for while it samples and scores, which is not always what its settings say.

    The fast path leaves TRL's forward passes out, and an anchor needs the reference's whatever `beta` is. TRL decides
    both in the middle of one long method by attributes of the trainer, so the only way is to change those for as long
    as it lasts. What a user put there, a rollout function or a reward, must find the trainer as it is: `in_place`.
    """

    def __init__(self, trainer: GRPOTrainer) -> None:
        self._own = vars(trainer)
        self._changes: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}

    @contextlib.contextmanager
    def changed(self, is_fast: bool, has_anchor: bool) -> Iterator[None]:
        """Leave all passes out on the fast path, else add the reference's where there is an anchor."""
        self._changes = dict(_LEFT_OUT) if is_fast else {"beta": 1.0} if has_anchor else {}
        self._apply()
        try:
            yield
        finally:
            self._undo()
            self._changes = {}

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the block, inside one that changes it, the trainer as it is otherwise."""
        self._undo()
        try:
            yield
        finally:
            self._apply()

    def _apply(self) -> None:
        self._kept = {name: self._own[name] for name in self._changes if name in self._own}
        self._own.update(self._changes)

    def _undo(self) -> None:
        # What was the class's must not stay behind on the trainer, where it would hide a later change.
        for name in self._changes.keys() - self._kept.keys():
            del self._own[name]
        self._own.update(self._kept)
        self._kept = {}


_LEFT_OUT: dict[str, Any] = {
    "beta": 0.0,
    "vllm_importance_sampling_correction": False,
    "_get_per_token_logps_and_entropies": lambda *_, **__: (None, None, None),
}
"""Attributes of the trainer, and what they are in the meantime."""


class LogProbs:
    """Computes log-probs for a trainer, by the fast path where there is one; every method is a collective."""

    def __init__(self, host: TrainerHost, update: FastUpdate | None, sampler: Sampler | None = None) -> None:
        self._host, self._update, self._sampler = host, update, sampler

    @torch.no_grad()
    def of_behaviour(self, output: dict[str, Any]) -> torch.Tensor:
        """Return the log-probs (B, T) of this rank's completions under the policy that generated them."""
        known = output.get("old_per_token_logps")
        if known is not None:
            return torch.as_tensor(known)
        is_training = self._host.model.training
        with self._behaving(is_training):
            if self._update is not None and is_training:
                everything_B = torch.ones(len(output["completion_ids"]), dtype=torch.bool)
                self._update.fill_logps(self._host.model, [output], "old_per_token_logps", [everything_B])
                return torch.as_tensor(output["old_per_token_logps"])
            return self._forward(output)

    def _behaving(self, is_training: bool) -> contextlib.AbstractContextManager[None]:
        """Have the policy that generates be in place for the block; in an evaluation that is the one at hand."""
        is_other = self._sampler is not None and is_training
        return self._sampler.in_place() if self._sampler is not None and is_other else contextlib.nullcontext()

    @torch.no_grad()
    def note_behaviour(self, output: dict[str, Any]) -> None:
        """Add to a generation batch what a sampler other than the policy gave its tokens, where that matters.

        No forward pass of an update can say it, not even the first one after sampling.
        """
        if self._update is None or "old_per_token_logps" in output:
            output["old_per_token_logps"] = self.of_behaviour(output)
            return
        with self._behaving(is_training=True):
            self._update.fill_logps(self._host.model, [output], "old_per_token_logps")

    @torch.no_grad()
    def of_prompts(self, output: dict[str, Any]) -> torch.Tensor:
        """Return the log-probs (B, S) of this rank's prompts; NaN at padding and at each prompt's first token."""
        _refuse_pictures(output, "The advantage chain asks for prompt_logps_PS")
        mask_BS = output["prompt_mask"].bool()
        prompts, place_B = torch.unique(output["prompt_ids"], dim=0, return_inverse=True)
        first = torch.stack([(place_B == place).nonzero()[0, 0] for place in range(len(prompts))])
        # One column less than tokens: nothing predicts the first.
        nothing_B0 = torch.zeros((len(prompts), 0), dtype=prompts.dtype, device=prompts.device)
        rows = {"prompt_ids": nothing_B0, "prompt_mask": nothing_B0}
        rows |= {"completion_ids": prompts, "completion_mask": output["prompt_mask"][first]}
        predicted = self._forward(rows)[place_B]
        has_context = mask_BS[:, 1:] & mask_BS[:, :-1]
        return torch.nn.functional.pad(predicted.masked_fill(~has_context, torch.nan), (1, 0), value=torch.nan)

    @torch.no_grad()
    def mean_of(self, prompt_ids: list[list[int]] | None, completion_ids: list[list[int]]) -> list[float]:
        """Return the mean log-prob of each completion's tokens, by a forward pass; NaN for one without tokens.

        Raises:
            ConfigError: the prompts were not sampled in TRL's way, so that their tokens are not known.
        """
        if prompt_ids is None:
            raise ConfigError("A reward asks for mean_logps, which only a trainer that samples in TRL's way has.")
        device, pad = self._host.accelerator.device, self._host.pad_id

        def pad_rows(rows: list[list[int]], side: str) -> tuple[torch.Tensor, torch.Tensor]:
            tensors = [torch.tensor(row, dtype=torch.long, device=device) for row in rows]
            masks = [torch.ones_like(row) for row in tensors]
            pads = ((tensors, pad), (masks, 0))
            padded = [pad_sequence(x, batch_first=True, padding_value=v, padding_side=side) for x, v in pads]
            return padded[0], padded[1]

        prompts_BS, prompt_mask_BS = pad_rows(prompt_ids, "left")
        # One column more, for a rank whose completions all are empty has to take part in the forward pass too.
        completions_BT, mask_BT = pad_rows([[*row, pad] for row in completion_ids], "right")
        lengths_B = torch.tensor([len(row) for row in completion_ids], device=device)
        mask_BT = mask_BT * (torch.arange(mask_BT.size(1), device=device) < lengths_B[:, None])
        rows = {"prompt_ids": prompts_BS, "prompt_mask": prompt_mask_BS}
        logps_BT = self._forward(rows | {"completion_ids": completions_BT, "completion_mask": mask_BT})
        sums_B = logps_BT.masked_fill(mask_BT == 0, 0.0).double().sum(dim=1)
        return list((sums_B / lengths_B).tolist())

    def _forward(self, rows: Rows) -> torch.Tensor:
        host = self._host
        with disable_gradient_checkpointing(host.model, host.args.gradient_checkpointing_kwargs):
            return host.forward(host.model, rows, batch_size=host.args.per_device_train_batch_size)[0]

    def refer(self, output: dict[str, Any]) -> None:
        """Add reference log-probs to a generation batch, for the rows that the anchor holds."""
        assert self._update is not None, "without the fast path TRL has added them"
        held_B = (token_mask(output) != 0).any(dim=1)
        if "anchored" in output:
            held_B = held_B & (output["anchored"] > 0)
        with self._reference() as model:
            self._update.fill_logps(model, [output], "ref_per_token_logps", [held_B])

    @contextlib.contextmanager
    def _reference(self) -> Iterator[Any]:
        if self._host.ref_model is not None:
            yield self._host.ref_model
            return
        model = self._host.accelerator.unwrap_model(self._host.model)
        # An adapter that was there before training is kept by TRL as "ref".
        with use_adapter(model, adapter_name="ref" if "ref" in model.peft_config else None):
            yield self._host.model

    def fill_stale(self, buffer: Sequence[dict[str, Any]]) -> None:
        """Note the log-probs of micro-batches that will be learnt from only after the policy has moved.

        Args:
            buffer: the micro-batches of a generation batch that has just been sampled.
        """
        host = self._host
        # The last window of an epoch may be shorter, so that steps do not tell the place in a window.
        room = host.current_gradient_accumulation_steps - host.num_waiting
        later = buffer[max(0, room) :]
        unknown = [inputs for inputs in later if "old_per_token_logps" not in inputs]
        if unknown and self._update is not None:
            self._update.fill_logps(host.model, unknown, "old_per_token_logps")


def _refuse_pictures(rows: Rows, what: str) -> None:
    if any(key in rows for key in MODEL_INPUTS):
        raise ConfigError(f"{what}, which is not known of prompts with pictures; leave it out.")
