"""GRPO with the advantage chain, the objective, the partition and whole-group rewards of a recipe.

What happens in one generation step, in order: TRL samples completions; `_calculate_rewards` scores them (values come
back gathered over ranks) and here also reads off them what the chain will ask for; then the chain turns the groups'
rewards into advantages, which replace TRL's in the batch. On the fast path (`update.py`) or with an objective the loss
is ours (`loss.py`), else TRL's.

Overridden methods of `trl.GRPOTrainer` 1.16, pinned by tests/trainers/test_contract.py: `__init__`,
`_calculate_rewards`, `_generate`, `_generate_and_score_completions`, `_prepare_inputs`, `train`, `training_step`,
`_compute_loss`, `_save_optimizer_and_scheduler`, `_load_optimizer_and_scheduler`.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import clear_device_cache
from trl import GRPOTrainer

from rlkit.advantages import Chain, GroupContext
from rlkit.errors import ConfigError, RewardError
from rlkit.trainers.callbacks import AfterStep
from rlkit.trainers.config import DiverseGRPOConfig
from rlkit.trainers.entropy_bonus import steer_entropy_coefficient
from rlkit.trainers.facts import Readings, gather_ragged, split_groups
from rlkit.trainers.groups import describe_groups
from rlkit.trainers.logprobs import LogProbs
from rlkit.trainers.loss import choose_surrogate, compute_loss, weigh_inputs
from rlkit.trainers.memory import RunMemory
from rlkit.trainers.meters import Meters
from rlkit.trainers.monitoring import Monitoring, log_diversity, replace_logged_rewards
from rlkit.trainers.plan import SUPPORTED, Plan
from rlkit.trainers.ranges import warn_of_combinations
from rlkit.trainers.reference import ReferencePolicy
from rlkit.trainers.rehearsing import Rehearser
from rlkit.trainers.rewards import Rewards, find_verifier
from rlkit.trainers.update import FastUpdate


class DiverseGRPOTrainer(GRPOTrainer):
    """`trl.GRPOTrainer` whose advantages come from a chain of transforms and whose loss may hold an objective.

    Takes TRL's arguments. `reward_funcs` may also hold functions marked by `@rlkit.reward` and `@rlkit.group_reward`;
    `args` is a `DiverseGRPOConfig` (a plain `GRPOConfig` trains exactly as TRL does). A reward that fails costs the
    completions at which it fails; `train` ends with a `RewardError` on all ranks when that is more than
    `max_error_rate` of them.

    Raises:
        ConfigError: `correct_reward` names no reward of this run, or the objective or the rewards' roles do not fit.
        PluginError: a reward that runs in processes cannot be loaded there.
    """

    def __init__(self, model: Any, reward_funcs: Any = None, args: Any = None, **kwargs: Any) -> None:
        if args is None:
            args = DiverseGRPOConfig(output_dir="runs/diverse-grpo")
        sources = reward_funcs if isinstance(reward_funcs, list) else [reward_funcs]
        self.rewards = Rewards([source for source in sources if source is not None], args)
        self.plan = Plan.of(args, self.rewards.roles)
        self.memory = RunMemory()
        self.rehearser: Rehearser | None = None
        self.reference: ReferencePolicy | None = None
        self._readings: Readings | None = None
        self.prompt_ids: list[list[int]] | None = None
        self._newest_reward: float | None = None
        self._window_kls: list[float] = []
        self._window: list[dict[str, Any]] = []
        self.policy_losses: list[torch.Tensor] = []
        self.entropy_stats: list[torch.Tensor] = []
        beta = args.beta
        if self.plan.objective.anchor is not None:
            args.beta = 1.0  # How TRL knows that a reference is needed; the coefficient is the anchor's.
        try:
            self.rewards.scorer.start()
            super().__init__(model=model, reward_funcs=self.rewards.in_trls_form() or None, args=args, **kwargs)
        except BaseException:
            self.rewards.scorer.close()
            raise
        finally:
            args.beta = beta
        self._correct_index = find_verifier(getattr(args, "correct_reward", 0), self.reward_func_names)
        self.monitoring = Monitoring(self.rewards, self.reward_func_names, self._correct_index)
        self._prepare_objective()
        warn_of_combinations(args)

    def _prepare_objective(self) -> None:
        objective = self.plan.objective
        self.update = FastUpdate(self) if self._can_be_fast() else None
        self.logprobs = LogProbs(self, self.update)
        if self.args.loss_type in SUPPORTED:
            bounds = (self.epsilon_low, self.epsilon_high)
            self.surrogate = choose_surrogate(self.args, *bounds, self.importance_sampling_level)
        if objective.is_empty:
            return
        if objective.anchor is not None:
            self.reference = ReferencePolicy(self, self.plan.reference)
        if objective.rehearsal is not None:
            self.rehearser = Rehearser(self, objective.rehearsal)
        if self.plan.coefficient is not None:
            self.memory.anchor_coef = self.plan.coefficient.initial()
        self.add_callback(AfterStep(self))

    def _can_be_fast(self) -> bool:
        # The rest goes TRL's way: losses that are not ours, auxiliary losses, pictures, FSDP, split sequences.
        is_ours = getattr(self.args, "fast_path", False) and self.args.loss_type in SUPPORTED
        is_plain = not self.aux_loss_enabled and not hasattr(self.processing_class, "image_processor")
        is_split = self.is_fsdp_enabled or getattr(self.accelerator, "parallelism_config", None) is not None
        return is_ours and is_plain and not is_split and "lomo" not in str(self.args.optim).lower()

    @property
    def anchor_coef_in_loss(self) -> float:
        """The coefficient of the anchor in the loss now; 0 without one."""
        return 0.0 if self.plan.is_anchored_in_reward else self.memory.anchor_coef or 0.0

    @property
    def num_generations_now(self) -> int:
        """Completions of a prompt; training and evaluation may differ."""
        return self.num_generations if self.model.training else self.num_generations_eval

    def _calculate_rewards(
        self, inputs: list, prompts: list, completions: list, completion_ids_list: list
    ) -> torch.Tensor:
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id}
        truncated = [not ids or ids[-1] not in ends for ids in completion_ids_list]
        rows = (inputs, prompts, completions, completion_ids_list)
        with self.rewards.scored(self, *rows, truncated) as scores:
            rewards_BK = super()._calculate_rewards(*rows)
        # What is left of a completion's rewards when one has failed is another reward.
        rewards_BK[scores.failed_B(len(rewards_BK)).to(rewards_BK.device)] = torch.nan
        found = self.plan.readers.read(inputs, completions, completion_ids_list, truncated)
        self._readings = Readings(rewards_BK=rewards_BK, scores=scores, labels_B=scores.labels_B, **found)
        return rewards_BK

    def _generate(self, prompts: list) -> Any:
        generated = super()._generate(prompts)
        self.prompt_ids = generated[0]
        return generated

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        is_training = self.model.training
        if is_training and self.rehearser is not None and not self.rehearser.is_ready:
            self.rehearser.draw(len(inputs))
        is_fast = is_training and self.update is not None
        with self.logprobs.leaving_out_trls() if is_fast else contextlib.nullcontext():
            output = super()._generate_and_score_completions(inputs)
        if is_fast and self.plan.is_anchored_in_reward:
            self.logprobs.refer(output)
        readings = self._take_readings()
        groups = self._describe_groups(readings, output)
        log_diversity(self, groups)
        totals_PG = self.rewards.compose(groups.rewards_PGK, self.reward_weights)
        if self.rewards.has_roles:
            replace_logged_rewards(self._metrics["train" if is_training else "eval"], totals_PG)
        rows = slice(start := self.accelerator.process_index * len(inputs), start + len(inputs))
        if self.plan.advantage is not None:
            advantages_B = self._compute_advantages(self.plan.advantage, groups, output)
            output["advantages"] = advantages_B.to(output["advantages"].device)[rows]
            self._replace_logged_advantages(advantages_B.tolist())
        if self.plan.is_anchored_by_prompt:
            anchored_PG = self._find_mastered(readings, groups)[:, None].expand(groups.correct_PG.shape)
            output["anchored"] = anchored_PG.flatten()[rows].to(output["advantages"])
            self.record("anchor/mastered", anchored_PG.double().mean().item())
        if is_fast and self.plan.objective.anchor is not None and not self.plan.is_anchored_in_reward:
            self.logprobs.refer(output)
        if is_training:
            self.monitoring.observe(self, readings, groups, totals_PG)
            self._remember(readings, groups)
        return output

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        if self.update is not None and self.model.training and self._buffered_inputs is not before:
            self.logprobs.fill_stale(self._buffered_inputs)
        return inputs

    @property
    def num_waiting(self) -> int:
        """How many micro-batches of the present optimizer step have come before the one at hand."""
        return len(self._window)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as TRL does; what a run that was interrupted in this process left half done is forgotten."""
        self._window, self._window_kls, self.policy_losses, self.entropy_stats = [], [], [], []
        # As in a new process: the batch that lies there was drawn by another policy, for another place in the data.
        self._step = 0
        self._buffered_inputs: Any = None
        self.rewards.scorer.open_book()
        try:
            return super().train(*args, **kwargs)
        except RewardError:
            self._keep_steps()
            raise
        finally:
            self.rewards.scorer.close()

    def _keep_steps(self) -> None:
        """Leave a checkpoint of what was learnt before rewards failed, so that mending them is not starting anew."""
        is_new = not (Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}").exists()
        if self.model.training and self.state.global_step > 0 and is_new:
            # A full disk is the smaller trouble of the two.
            with contextlib.suppress(OSError):
                self._save_checkpoint(self.model, trial=None)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Take one micro-batch; on the fast path all of an optimizer step are learnt from when the last has come."""
        if self.update is None:
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
            return loss
        started = time.perf_counter()
        model.train()
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

    def _take_readings(self) -> Readings:
        readings, self._readings = self._readings, None
        assert readings is not None, "TRL scores completions through _calculate_rewards"
        return readings

    def take_correctness(self) -> list[bool]:
        """Return whether each completion of the batch that was just scored is correct, and forget that batch."""
        verdicts_B = self._take_readings().rewards_BK[:, self._correct_index]
        return [value > self.plan.correct_above for value in verdicts_B.tolist()]

    def _describe_groups(self, readings: Readings, output: dict[str, Any]) -> GroupContext:
        G, needs = self.num_generations_now, self.plan.needs
        place = (self.accelerator.process_index, self.accelerator.num_processes)
        above, partition = self.plan.correct_above, self.plan.readers.partition
        groups = describe_groups(readings, G, self._correct_index, above, partition, needs, *place)
        totals_PG = self.rewards.compose(groups.rewards_PGK, self.reward_weights)
        more: dict[str, Any] = {"step": self.state.global_step, "scored_PG": ~totals_PG.isnan()}
        if "answer_counts_PG" in needs and readings.answers_B is not None:
            answers_PG = split_groups(readings.answers_B, G)
            self._finish_older_batch()
            more["answer_counts_PG"] = self.memory.count_answers(readings.prompt_ids_B[::G], answers_PG)
        if needs & {"logps_PGT", "mean_logps_PG"}:
            local_BT = self.logprobs.of_behaviour(output)
            local_BT = local_BT.masked_fill(output["completion_mask"] == 0, torch.nan)
            more["logps_PGT"] = gather_ragged(local_BT, self.accelerator).unflatten(0, (-1, G))
        if "prompt_logps_PS" in needs:
            more["prompt_logps_PS"] = gather_ragged(self.logprobs.of_prompts(output), self.accelerator)[::G]
        return replace(groups, **more)

    def _compute_advantages(self, chain: Chain, groups: GroupContext, output: dict[str, Any]) -> torch.Tensor:
        """Return float32 advantages of shape (B,) in world order, zero where the chain gave no signal."""
        values_PG = self.rewards.compose(groups.rewards_PGK, self.reward_weights)
        if self.plan.is_anchored_in_reward:
            values_PG = values_PG - self._penalise(output).unflatten(0, values_PG.shape)
        advantages_PG = chain(values_PG, groups)
        if advantages_PG.isinf().any():
            raise ConfigError(f"The advantage chain {chain} gave an infinite advantage; check the rewards.")
        self.record("advantages/no_signal", (advantages_PG.isnan() | (advantages_PG == 0)).double().mean().item())
        self.record("advantages/mean", advantages_PG.nanmean().item())
        return advantages_PG.nan_to_num(nan=0.0).flatten().float()

    def _penalise(self, output: dict[str, Any]) -> torch.Tensor:
        """Return what the anchor takes off each reward of the batch, (B,) in world order: coefficient times the sum."""
        anchor, mask_BT = self.plan.objective.anchor, output["completion_mask"]
        assert anchor is not None
        given = (self.logprobs.of_behaviour(output), output["ref_per_token_logps"])
        penalties_BT = anchor.penalties(*given)
        totals_B = self.accelerator.gather((penalties_BT * mask_BT).sum(dim=1)).cpu().double()
        return totals_B * (self.memory.anchor_coef or 0.0)

    def _find_mastered(self, readings: Readings, groups: GroupContext) -> torch.Tensor:
        """Return (P,) whether the policy has mastered each prompt: its rate so far, or in this batch when it is new."""
        anchor = self.plan.objective.anchor
        assert anchor is not None
        self._finish_older_batch()
        prompt_ids_P = readings.prompt_ids_B[:: groups.correct_PG.shape[1]]
        rates_P = torch.as_tensor(np.asarray(self.memory.pass_rates.rates(prompt_ids_P)))
        rates_P = torch.where(rates_P.isnan(), groups.correct_PG.nanmean(dim=1), rates_P)
        return rates_P >= anchor.mastered_above

    def _finish_older_batch(self) -> None:
        # An evaluation may fall into the middle of a batch, which a checkpoint then is to be saved without.
        if self.model.training:
            self.memory.finish_batch()

    def _remember(self, readings: Readings, groups: GroupContext) -> None:
        G, needs = groups.correct_PG.shape[1], self.plan.needs
        answers_PG = None if readings.answers_B is None else split_groups(readings.answers_B, G)
        wants_answers, wants_rates = "answer_counts_PG" in needs, self.plan.is_anchored_by_prompt
        if wants_answers or wants_rates:
            self.memory.add_batch(
                readings.prompt_ids_B[::G],
                answers_PG if wants_answers else None,
                groups.correct_PG.numpy() if wants_rates else None,
            )
        self._newest_reward = groups.rewards_PGK.nanmean().item()

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        if self.plan.objective.is_empty:
            loss: torch.Tensor = super()._compute_loss(model, inputs)
            return loss
        meters, is_training = Meters(), self.model.training
        windows = self.current_gradient_accumulation_steps if is_training else 1.0
        rows = inputs | weigh_inputs(self, inputs)
        loss, _ = compute_loss(self, model, rows, self.anchor_coef_in_loss, meters)
        if self.rehearser is not None and self.rehearser.has_rows and is_training:
            loss = loss + self.rehearser.loss(model) / windows
        self.finish_update(meters, 1.0 if self.loss_type in ("dapo", "cispo") else windows)
        return loss

    def finish_update(self, meters: Meters, scale: float = 1.0) -> None:
        """Log what forward passes measured, and let the entropy bonus and the anchor see it; a collective.

        Args:
            meters: what they measured.
            scale: undoes the scaling for accumulation in the logged policy loss.
        """
        self.observe_kl(meters.flush(self).get("kl"))
        if self._entropy_bonus_enabled and self.policy_losses:
            policy_loss = torch.stack(self.policy_losses).sum() * scale
            self.record("policy_loss", self.accelerator.gather(policy_loss).nanmean().item())
            if self.model.training:
                steer_entropy_coefficient(self, self.entropy_stats, self.accelerator.sync_gradients)
        self.policy_losses, self.entropy_stats = [], []

    def record(self, name: str, value: float) -> None:
        """Add a value to a metric of the current mode; the log shows the mean since it was last written."""
        self._metrics["train" if self.model.training else "eval"][name].append(value)

    def mean_over_tokens(self, values_BT: torch.Tensor, mask_BT: torch.Tensor) -> float:
        """Return the mean over the counted tokens of all ranks, which must all call it."""
        totals = torch.stack([(values_BT * mask_BT).sum(), mask_BT.sum().to(values_BT.dtype)])
        total, count = self.accelerator.reduce(totals, reduction="sum")
        return (total / count.clamp(min=1.0)).item()

    def observe_kl(self, value: float | None) -> None:
        """Note how far the policy is from its reference, for a coefficient that follows it; None says nothing."""
        if value is not None and not np.isnan(value) and self.model.training:
            self._window_kls.append(value)

    def finish_step(self) -> None:
        """After an optimizer step: move the anchor's coefficient and its reference."""
        step, memory = self.state.global_step, self.memory
        if self.plan.coefficient is not None and memory.anchor_coef is not None:
            self.record("anchor/coef", memory.anchor_coef)
            kl = float(np.mean(self._window_kls)) if self._window_kls else float("nan")
            memory.anchor_coef = self.plan.coefficient.update(memory.anchor_coef, step, kl)
        self._window_kls = []
        reward, self._newest_reward = self._newest_reward, None
        if self.reference is not None and self.reference.after_step(step, memory, reward):
            self.record("anchor/resets", 1.0)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        # Before trainer_state.json, whose presence says that a checkpoint is whole.
        super()._save_optimizer_and_scheduler(output_dir)
        self._finish_whole_batch()
        if self.is_world_process_zero():
            self.memory.save(output_dir)
        if self.reference is not None:
            self.reference.save(output_dir)

    def _finish_whole_batch(self) -> None:
        if self._step % (self.args.steps_per_generation * self.num_iterations) == 0:
            self.memory.finish_batch()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        self.memory.load(Path(checkpoint))
        if self.reference is not None:
            self.reference.load(checkpoint)
        if self.rehearser is not None:
            self.rehearser.load()

    def _replace_logged_advantages(self, advantages_B: list[float]) -> None:
        logged = self._logs["advantages"]
        # Its room is one generation batch, and a batch of an evaluation may be larger.
        for _ in advantages_B[: len(logged)]:
            logged.pop()
        logged.extend(advantages_B)
