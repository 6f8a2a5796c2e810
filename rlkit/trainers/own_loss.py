"""TRL's trainer with a loss of ours: the fast path or micro-batch by micro-batch, and what is logged of either.

`DiverseGRPOTrainer` is built on it and adds where rewards and advantages come from. Overridden methods of
`trl.GRPOTrainer` 1.16, pinned by tests/trainers/test_contract.py: `training_step`, `_compute_loss`,
`_save_optimizer_and_scheduler`, `_load_optimizer_and_scheduler`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache
from trl import GRPOTrainer

from rlkit.errors import ConfigError
from rlkit.recipe.fitting import LOSS_TYPES
from rlkit.recipe.plan import Plan
from rlkit.trainers.anchoring import Anchoring
from rlkit.trainers.archived import ArchivedSolutions
from rlkit.trainers.callbacks import AfterStep
from rlkit.trainers.entropy_bonus import entropy_coefficient, steer_entropy_coefficient
from rlkit.trainers.logprobs import LogProbs, TrlsPasses
from rlkit.trainers.loss import (
    BY_TOKENS,
    MODEL_INPUTS,
    LossResult,
    LossSettings,
    LossState,
    Rows,
    compute_loss,
    token_mask,
    weigh_inputs,
)
from rlkit.trainers.memory import RunMemory
from rlkit.trainers.reference import ReferencePolicy
from rlkit.trainers.rehearsing import Rehearser
from rlkit.trainers.sampler import Sampler, refuse_sharded_weights
from rlkit.trainers.statistics import Statistics
from rlkit.trainers.stored_rows import StoredRows
from rlkit.trainers.update import FastUpdate
from rlkit.trainers.weighting import Weighting
from rlkit.types import Prompt


class OwnLossTrainer(GRPOTrainer):
    """`trl.GRPOTrainer` whose loss may hold an objective and further losses, and is computed by the fast path."""

    plan: Plan
    """What the run is made of; set before `_prepare_loss`."""
    memory: RunMemory
    """What outlives a step; set before `_prepare_loss`."""
    sampler: Sampler | None = None
    """Who draws the rollouts; None is the policy."""

    def auxiliary_losses(self, model: Any, rows: Rows) -> Mapping[str, torch.Tensor]:
        """Return further losses of some rows by name, to be added to the policy's and logged as `loss/<name>`.

        Called with every row that has a token, once an optimizer step, in parts that may be cut anywhere. So a loss is
        a sum over rows of what the row's tokens lose, times `rows["row_weights"]` (B,), which normalise it as the
        policy's: then the cut does not change it.

        Args:
            model: the policy as prepared for training.
            rows: TRL's tensors, `row_weights`, and what `compute_advantages` put beside them.
        """
        return {}

    def _prepare_loss(self) -> None:
        objective = self.plan.objective
        self._window: list[Rows] = []
        self.rehearser = None if objective.rehearsal is None else Rehearser(self, objective.rehearsal)
        self.archive = self._build_archive()
        learnt = None if objective.archive is None else self.archive
        self.stored = StoredRows(self, [store for store in (self.rehearser, learnt) if store is not None])
        self.update = FastUpdate(self, self.stored) if self._can_be_fast() else None
        self.sampler = self._build_sampler()
        self.logprobs = LogProbs(self, self.update, self.sampler)
        self.reference = None if objective.anchor is None else ReferencePolicy(self, self.plan)
        self.anchoring = Anchoring(self.plan, self.memory, self.reference)
        self.weighting = Weighting(objective.token_weights, self.memory)
        if not objective.is_empty or self.sampler is not None:
            self.add_callback(AfterStep(self._finish_step))

    def _build_archive(self) -> ArchivedSolutions | None:
        archive = self.plan.archive
        if archive is None or not (archive.is_learnt or archive.grow):
            return None
        return ArchivedSolutions(self, self.plan, archive)

    def _build_sampler(self) -> Sampler | None:
        if self.plan.sampler is None:
            return None
        refuse_sharded_weights(self.is_fsdp_enabled)
        if self.update is None and self.use_vllm and self.vllm_importance_sampling_correction:
            raise ConfigError(
                "TRL's own update corrects what vLLM sampled by the policy's log-probs, and the sampler is another; "
                "write train.fast_path: true, or train.vllm_importance_sampling_correction: false."
            )
        return Sampler(self, self.plan.sampler)

    def _can_be_fast(self) -> bool:
        # The rest goes TRL's way: losses that are not ours, auxiliary losses, pictures, FSDP, split sequences.
        is_ours = getattr(self.args, "fast_path", False) and self.args.loss_type in LOSS_TYPES
        # A subclass that says what the loss of a micro-batch is must be asked, micro-batch by micro-batch.
        is_ours = is_ours and type(self)._compute_loss is OwnLossTrainer._compute_loss
        is_ours = is_ours and type(self).compute_loss is GRPOTrainer.compute_loss
        is_plain = not self.aux_loss_enabled and not hasattr(self.processing_class, "image_processor")
        is_split = self.is_fsdp_enabled or getattr(self.accelerator, "parallelism_config", None) is not None
        return is_ours and is_plain and not is_split and "lomo" not in str(self.args.optim).lower()

    @cached_property
    def _trls_passes(self) -> TrlsPasses:
        return TrlsPasses(self)

    @cached_property
    def loss_settings(self) -> LossSettings:
        """What the loss is, read off TRL's settings when it is first needed."""
        return LossSettings.of(self, self.plan.objective)

    @property
    def loss_state(self) -> LossState:
        """What of the loss moves, now."""
        is_training, coef = self.model.training, self.anchoring.coef_in_loss
        return LossState(
            anchor_coef=coef,
            may_anchor=coef != 0 or self.plan.has_moving_anchor_in_loss,
            entropy_coef=entropy_coefficient(self),
            num_microbatches=self.current_gradient_accumulation_steps if is_training else 1.0,
            is_training=is_training,
            token_weights=self.weighting.weights,
            needs_every_row=self.needs_every_row,
        )

    @property
    def pad_id(self) -> int:
        """The token that fills up shorter rows."""
        return int(self._tokenizer.pad_token_id)

    @property
    def num_waiting(self) -> int:
        """How many micro-batches of the present optimizer step have come before the one at hand."""
        return len(self._window)

    def encode_prompts(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Return the tokens of prompts, texts or chats, as rollouts begin with them."""
        return [list(self._tokenize_prompts([prompt])[0][0]) for prompt in prompts]

    def forward(self, model: Any, rows: Rows, **wanted: Any) -> tuple[torch.Tensor, Any, Any]:
        """Return what TRL's forward pass says of the completions of some rows.

        Args:
            model: the policy or a reference.
            rows: TRL's tensors.
            wanted: `compute_entropy`, `compute_aux_loss`, `batch_size`, as TRL takes them.

        Returns:
            Log-probs (B, T); entropies (B, T) and the auxiliary loss where they are wanted, else None.
        """
        found: tuple[torch.Tensor, Any, Any] = self._get_per_token_logps_and_entropies(
            model,
            torch.cat([rows["prompt_ids"], rows["completion_ids"]], dim=1),
            torch.cat([rows["prompt_mask"], rows["completion_mask"]], dim=1),
            rows["completion_ids"].size(1),
            **wanted,
            **{key: rows[key] for key in MODEL_INPUTS if key in rows},
        )
        return found

    def compute_policy_loss(self, model: Any, rows: Rows) -> LossResult:
        """Return the loss of some rows, with what a subclass adds to it."""
        result = compute_loss(self.loss_settings, self.loss_state, partial(self.forward, model), rows)
        loss = result.loss
        if self.sampler is not None and "old_per_token_logps" in rows:
            old_logps_BT = rows["old_per_token_logps"]
            # Rows that weigh nothing were not asked for.
            is_known_BT = token_mask(rows) * (old_logps_BT != 0)
            result.statistics.add("sampler/kl", old_logps_BT - result.logps_BT, is_known_BT)
        for name, auxiliary in self.auxiliary_losses(model, rows).items():
            result.statistics.add_sum(f"loss/{name}", auxiliary)
            loss = loss + auxiliary
        return result._replace(loss=loss)

    @property
    def needs_every_row(self) -> bool:
        """Whether rows are to be forwarded that weigh nothing in the policy's loss; so where a subclass adds losses."""
        return type(self).auxiliary_losses is not OwnLossTrainer.auxiliary_losses

    @property
    def has_own_loss(self) -> bool:
        """Whether the loss holds anything that TRL's does not, so that it is ours without the fast path too."""
        return not self.plan.objective.is_empty or self.needs_every_row

    def record(self, name: str, value: float) -> None:
        """Add a value to a metric of the current mode; the log shows the mean since it was last written."""
        self._metrics["train" if self.model.training else "eval"][name].append(value)

    def finish_update(self, statistics: Statistics, num_microbatches: int) -> None:
        """Log what forward passes measured, and let the entropy bonus and the anchor see it; a collective.

        Args:
            statistics: what they measured.
            num_microbatches: of how many micro-batches.
        """
        means = statistics.reduce(self.accelerator)
        self._record_all(means)
        self._record_sums(statistics, num_microbatches)
        if self.model.training:
            self.anchoring.observe_kl(means.get("kl", float("nan")))
            self.weighting.observe_entropy(means.get("entropy", float("nan")))
            if self.archive is not None:
                self.archive.observe_nll(means.get("archive/nll", float("nan")))
        entropies = statistics.sum_of("entropy")
        if entropies is None or not self.model.training:
            return
        steer_entropy_coefficient(self, entropies, self.accelerator.sync_gradients)
        if self.accelerator.sync_gradients:
            self.record("entropy_coef", self.entropy_coef)

    def _record_all(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.record(name, value)

    def _record_sums(self, statistics: Statistics, num_microbatches: int) -> None:
        """Log losses, as means over micro-batches and ranks, as TRL does."""
        # By tokens, a micro-batch's part of the loss; else its own mean, which was scaled down to add up.
        is_training = self.model.training
        windows = float(self.current_gradient_accumulation_steps) if is_training else 1.0
        scale = 1 / num_microbatches * (1.0 if self.loss_type in BY_TOKENS else windows)
        names = ["policy_loss"] if self._entropy_bonus_enabled else []
        for name in [*names, *statistics.names_of_sums("loss/")]:
            if (total := statistics.sum_of(name)) is not None:
                self.record(name, self.accelerator.gather(total * scale).nanmean().item())

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Take one micro-batch; on the fast path all of an optimizer step are learnt from when the last has come."""
        if self.update is None:
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
            return loss
        started = time.perf_counter()
        model.train()
        # Schedule-free optimizers have a mode of their own.
        if callable(getattr(self.optimizer, "train", None)):
            self.optimizer.train()
        self._window.append(self._prepare_inputs(inputs))
        loss = torch.zeros((), device=self.accelerator.device)
        if self.accelerator.sync_gradients:
            window, self._window = self._window, []
            with self.compute_loss_context_manager():
                loss = self.update.run(model, window)
            every = self.args.torch_empty_cache_steps
            if every is not None and self.state.global_step % every == 0:
                clear_device_cache()
        self._step += 1
        self._current_train_step_time: float = self._current_train_step_time + time.perf_counter() - started
        if self.accelerator.sync_gradients:
            self.record("step_time", self._current_train_step_time)
            self._current_train_step_time = 0.0
        return loss

    def _compute_loss(self, model: Any, inputs: Rows) -> torch.Tensor:
        if not self.has_own_loss:
            loss: torch.Tensor = super()._compute_loss(model, inputs)
            return loss
        rows = inputs | weigh_inputs(self.loss_settings, self.loss_state, inputs)
        result = self.compute_policy_loss(model, rows)
        loss = result.loss
        if self.model.training:
            loss = loss + self.stored.loss(model, self._step, result.statistics)
        self.finish_update(result.statistics, 1)
        return loss

    def _finish_step(self) -> None:
        self._record_all(self.anchoring.finish_step(self.state.global_step))
        self._record_all(self.weighting.finish_step())
        if self.sampler is not None:
            self.sampler.after_step(self.state.global_step)
        if self.archive is not None:
            self.archive.finish_step()

    # What a continued run needs of the parts, beside what TRL saves.

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        # Before trainer_state.json, whose presence says that a checkpoint is whole.
        super()._save_optimizer_and_scheduler(output_dir)
        if self._step % (self.args.steps_per_generation * self.num_iterations) == 0:
            self.memory.finish_batch()
            if self.archive is not None:
                self.archive.finish_batch()
        if self.is_world_process_zero():
            self.memory.save(output_dir)
            if self.archive is not None:
                self.archive.save(output_dir)
            if self.sampler is not None:
                self.sampler.save(output_dir)
        if self.reference is not None:
            self.reference.save(output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        self.memory.load(Path(checkpoint))
        if self.archive is not None:
            self.archive.load(checkpoint)
        if self.sampler is not None:
            self.sampler.load(checkpoint)
        if self.reference is not None:
            self.reference.load(checkpoint)
        if self.rehearser is not None:
            self.rehearser.load()
