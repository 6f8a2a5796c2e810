"""GRPO with the advantage chain, the objective, the partition and whole-group rewards of a recipe.

What happens in one generation step, in order: TRL samples completions; `_calculate_rewards` scores them (values come
back gathered over ranks) and here also reads off them what the chain will ask for; then `compute_advantages` turns the
groups' rewards into advantages, which replace TRL's in the batch. The loss is in `own_loss.py`.

Another algorithm replaces what it does otherwise in a subclass: `compute_advantages`, which is given a whole scored
batch and may put tensors of its own beside TRL's, and `auxiliary_losses`, which adds to the loss of every micro-batch
(a critic's, say) and finds those tensors there.

Overridden methods of `trl.GRPOTrainer` 1.16 beside those of `own_loss.py`, pinned by tests/trainers/test_contract.py:
`__init__`, `_calculate_rewards`, `_generate`, `_generate_and_score_completions`, `_prepare_inputs`, `train`.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlkit.advantages import compose_rewards
from rlkit.errors import ConfigError, RewardError
from rlkit.recipe.correctness import find_verifier
from rlkit.recipe.plan import Plan
from rlkit.rewards import BoundReward
from rlkit.terminal import note
from rlkit.trainers.config import DiverseGRPOConfig
from rlkit.trainers.groups import (
    BatchFeatures,
    ScoredBatch,
    describe_groups,
    gather_ragged,
    identify_prompt,
    read_batch,
    split_groups,
)
from rlkit.trainers.loss import (
    Rows,
)
from rlkit.trainers.memory import RunMemory
from rlkit.trainers.monitoring import (
    Monitoring,
    measure_diversity,
    replace_logged_advantages,
    replace_logged_rewards,
)
from rlkit.trainers.own_loss import OwnLossTrainer
from rlkit.trainers.ranges import warn_of_combinations
from rlkit.trainers.scoring import RewardScorer, Rollouts, Scores, count_rates
from rlkit.trainers.stack import keep_weights_loadable


class DiverseGRPOTrainer(OwnLossTrainer):
    """`trl.GRPOTrainer` whose advantages come from a chain of transforms and whose loss may hold an objective.

    Takes TRL's arguments, in TRL's order. `reward_funcs` may also hold functions marked by `@rlkit.reward` and
    `@rlkit.group_reward`; `args` is a `DiverseGRPOConfig` (a plain `GRPOConfig` trains exactly as TRL does). A reward
    that fails costs the completions at which it fails; `train` ends with a `RewardError` on all ranks when that is more
    than `max_error_rate` of them. `plan`, where given, has been fitted to `args` and holds the rewards; without
    one it is built here, from `args` and `reward_funcs`.

    Raises:
        ConfigError: `correct_reward` names no reward of this run, or what is asked for does not fit together.
        PluginError: something named does not exist, or a reward that runs in processes cannot be loaded there.
    """

    reward_funcs: list[Any]
    """TRL's: the rewards as they were given, and those of environments."""

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: Any = None,
        *rest: Any,
        plan: Plan | None = None,
        **kwargs: Any,
    ) -> None:
        if args is None:
            args = DiverseGRPOConfig(output_dir="runs/diverse-grpo")
        if plan is not None and reward_funcs is not None:
            raise ConfigError("A trainer was given both a plan and reward_funcs; the plan holds the rewards already.")
        if plan is not None:
            plan.check_fits(args)
        sources = reward_funcs if isinstance(reward_funcs, list) else [reward_funcs]
        self.plan = plan or Plan.from_config(args, [source for source in sources if source is not None])
        self.scorer = RewardScorer(self.plan, (args.process_index, args.world_size))
        self.memory = RunMemory()
        self.prompt_ids: list[list[int]] | None = None
        self._scored: tuple[torch.Tensor, Scores, BatchFeatures] | None = None
        self._has_signal: list[bool] = []
        beta = args.beta
        if self.plan.needs_reference:
            args.beta = 1.0  # How TRL knows that a reference is needed; an anchor's coefficient is its own.
        if args.use_vllm and args.vllm_mode == "colocate":
            keep_weights_loadable()
        try:
            self.scorer.start()
            super().__init__(model, self.scorer.in_trls_form() or None, args, *rest, **kwargs)
        except BaseException:
            self.scorer.close()
            raise
        finally:
            args.beta = beta
        self.beta = beta
        # TRL was given readers of what is scored; who asks the trainer for its rewards means the rewards themselves.
        self._readers = list(self.reward_funcs)
        for place, reward in enumerate(self.plan.rewards):
            if isinstance(reward, BoundReward):
                self.reward_funcs[place] = reward.function
        self._scored_funcs = list(self.reward_funcs)
        self._correct_index = find_verifier(self.plan, self.reward_func_names)
        self.monitoring = Monitoring(self.plan, self.reward_func_names, self._correct_index)
        self._prepare_loss()
        warn_of_combinations(args)

    # What another algorithm replaces.

    def compute_advantages(self, batch: ScoredBatch) -> torch.Tensor | None:
        """Return the advantages of this rank's rows, (B,) or one a token (B, T); None keeps TRL's. A collective.

        Here: the chain's, 0 where it gave no signal. A subclass may put what its losses need into `batch.rows`.
        """
        if self.plan.advantage is None:
            return None
        values_PG, groups = batch.groups.summed_rewards_PG, batch.groups
        if self.plan.is_anchored_in_reward:
            rows = batch.rows
            given = self.logprobs.of_behaviour(rows), rows["ref_per_token_logps"], rows["completion_mask"]
            penalties_B = self.accelerator.gather(self.anchoring.penalise(*given)).cpu().double()
            values_PG = values_PG - penalties_B.unflatten(0, values_PG.shape)
            groups = replace(groups, summed_rewards_PG=values_PG)
        advantages_PG = self.plan.advantage(values_PG, groups)
        if advantages_PG.isinf().any():
            raise ConfigError(
                f"The advantage chain {self.plan.advantage} gave an infinite advantage; check the rewards."
            )
        self.record("advantages/no_signal", (advantages_PG.isnan() | (advantages_PG == 0)).double().mean().item())
        self.record("advantages/mean", advantages_PG.nanmean().item())
        # NaN is no signal: nothing was scored, or nothing sets the completion apart from its siblings.
        return advantages_PG.nan_to_num(nan=0.0).flatten().float()[batch.place]

    def sample(self, inputs: list[dict[str, Any]]) -> tuple[Rows, list[bool], torch.Tensor]:
        """Sample and score rows of the dataset as they are, and log nothing of it; a collective.

        Returns:
            TRL's tensors, whether each completion of all ranks is correct, and the log-probs (B, T) of this rank's.
        """
        kept = {name: copy.deepcopy(getattr(self, name)) for name in ("_metrics", "_logs")}
        num_tokens_seen = self.state.num_input_tokens_seen
        with self._trls_passes.changed(is_fast=False, has_anchor=False):
            rows = super()._generate_and_score_completions(inputs)
        rewards_BK, _, _ = self._take_scored()
        correct_B = [value > self.plan.correct_above for value in rewards_BK[:, self._correct_index].tolist()]
        logps_BT = self.logprobs.of_behaviour(rows)
        for name, value in kept.items():
            setattr(self, name, value)
        self.state.num_input_tokens_seen = num_tokens_seen
        return rows, correct_B, logps_BT

    # What TRL calls.

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as TRL does; what a run that was interrupted in this process left half done is forgotten."""
        self._window = []
        self.anchoring.forget_step()
        self.weighting.forget_step()
        # As in a new process: the batch that lies there was drawn by another policy, for another place in the data.
        self._step = 0
        self._buffered_inputs: Any = None
        self.scorer.open_book()
        self._has_signal = []
        try:
            found = super().train(*args, **kwargs)
            self._say_if_nothing_was_learnt()
            return found
        except RewardError:
            self._keep_steps()
            raise
        finally:
            self.scorer.close()

    def _say_if_nothing_was_learnt(self) -> None:
        if self._has_signal and not any(self._has_signal):
            note(
                f"Warning: in none of {len(self._has_signal)} batches had any completion an advantage, so no reward "
                "was learnt from: the completions of each prompt earned the same, or none was scored. Look at rewards/ "
                "in the log, or at the completions themselves (train.log_completions: true)."
            )

    def _keep_steps(self) -> None:
        """Leave a checkpoint of what was learnt before rewards failed, so that mending them is not starting anew."""
        is_new = not (Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}").exists()
        if self.model.training and self.state.global_step > 0 and is_new:
            # A full disk is the smaller trouble of the two.
            with contextlib.suppress(OSError):
                self._save_checkpoint(self.model, trial=None)

    def _generate(self, prompts: list) -> Any:
        is_training = self.model.training
        drawing = contextlib.nullcontext() if self.sampler is None else self.sampler.drawing(is_training)
        with self._trls_passes.in_place(), drawing:
            generated = super()._generate(prompts)
        self.prompt_ids = generated[0]
        return generated

    def _calculate_rewards(
        self, inputs: list, prompts: list, completions: list, completion_ids_list: list
    ) -> torch.Tensor:
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id}
        truncated = [not ids or ids[-1] not in ends for ids in completion_ids_list]
        with self._trls_passes.in_place():
            scores = self._score(inputs, prompts, completions, completion_ids_list, truncated)
            with self.scorer.holding(scores, len(completions)), self._reading_scores():
                rewards_BK = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        # What is left of a completion's rewards when one has failed is another reward.
        rewards_BK[scores.failed_B(len(rewards_BK)).to(rewards_BK.device)] = torch.nan
        features = read_batch(self.plan, inputs, completions, completion_ids_list, truncated)
        if self.log_completions:
            self._log_facts(inputs, rewards_BK, truncated)
        # TRL's method that called this one takes the rewards only; the rest waits for `_take_scored` right after it.
        self._scored = rewards_BK, scores, features
        return rewards_BK

    def _log_facts(self, inputs: list, rewards_BK: torch.Tensor, truncated: list[bool]) -> None:
        """Put into the table of completions what `rlkit archive collect --rollouts` needs of them."""
        first = self.accelerator.process_index * len(inputs)
        judged_B = rewards_BK[first : first + len(inputs), self._correct_index].tolist()
        correct = [None if value != value else value > self.plan.correct_above for value in judged_B]
        facts = {"problem": [identify_prompt(row) for row in inputs], "correct": correct, "truncated": truncated}
        for name, values in facts.items():
            self._log_completion_extra(name, values)

    @contextlib.contextmanager
    def _reading_scores(self) -> Iterator[None]:
        """Have TRL call, for the block, readers in the place of rewards that were scored already."""
        given = self.reward_funcs
        # One that was put there since is TRL's to call.
        pairs = zip(given, self._scored_funcs, self._readers, strict=True)
        self.reward_funcs = [reader if function is scored else function for function, scored, reader in pairs]
        try:
            yield
        finally:
            self.reward_funcs = given

    def _take_scored(self) -> tuple[torch.Tensor, Scores, BatchFeatures]:
        scored, self._scored = self._scored, None
        assert scored is not None, "TRL scores completions through _calculate_rewards"
        return scored

    def _score(
        self, inputs: list, prompts: list, completions: list, ids: list[list[int]], truncated: list[bool]
    ) -> Scores:
        """Score a batch and log what became of it; a collective.

        Raises:
            RewardError: a reward fails too often; on all ranks.
        """
        if not self.scorer.bound:
            return Scores([], np.zeros((0, 0)))
        keys = [key for key in inputs[0] if key not in ("prompt", "completion", "completion_ids")]
        columns: dict[str, Any] = {key: [row[key] for row in inputs] for key in keys}
        columns |= {"completion_ids": ids, "trainer_state": self.state}
        columns |= {"log_extra": self._log_completion_extra, "log_metric": self._log_metric}
        if self.environments is not None:
            columns["environments"] = self.environments
        trainer_columns: dict[str, Any] = {
            "completion_ids": ids,
            "lengths": [len(row) for row in ids],
            "truncated": truncated,
        }
        trainer_columns["step"] = self.state.global_step
        if self.scorer.asks_for("mean_logps"):
            trainer_columns["mean_logps"] = self.logprobs.mean_of(self.prompt_ids, ids)
        scores = self.scorer.score(Rollouts(completions, prompts, columns, trainer_columns), self._num_generations_now)
        self._record_all(count_rates(self.scorer.names, scores) | scores.metrics)
        self.scorer.stop_if_failing()
        return scores

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        if self.update is not None and self.model.training and self._buffered_inputs is not before:
            self.logprobs.fill_stale(self._buffered_inputs)
        return inputs

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        is_training = self.model.training
        if is_training and self.rehearser is not None and not self.rehearser.is_ready:
            self.rehearser.draw(len(inputs))
        is_fast = is_training and self.update is not None
        with self._trls_passes.changed(is_fast, self.plan.needs_reference):
            rows: Rows = super()._generate_and_score_completions(inputs)
        if is_training and self.sampler is not None:
            # What TRL has asked is the policy; the sampler is asked by whoever needs it first.
            rows.pop("old_per_token_logps", None)
        is_referred = self.plan.is_anchored_in_reward or "ref_mean_logps_PG" in self.plan.needs
        if is_fast and is_referred:
            self.logprobs.refer(rows)
        batch = self._describe_batch(rows, *self._take_scored())
        self._record_all(measure_diversity(batch.groups))
        if self.plan.has_roles:
            metrics = self._metrics["train" if is_training else "eval"]
            replace_logged_rewards(metrics, batch.groups.summed_rewards_PG)
        advantages = self.compute_advantages(batch)
        if advantages is not None:
            advantages = rows["advantages"] = advantages.to(rows["completion_ids"].device)
            # A completion's mean where each of its tokens has one.
            rows_B = advantages if advantages.dim() == 1 else advantages.mean(dim=1)
            replace_logged_advantages(self._logs["advantages"], self.accelerator.gather(rows_B).tolist())
        if is_training and not self.plan.is_on_policy:
            rows["advantages"] = torch.zeros_like(rows["advantages"])
        self._choose_anchored(batch)
        if is_fast and self.plan.objective.anchor is not None and not is_referred:
            self.logprobs.refer(rows)
        if is_training and self.sampler is not None:
            self.logprobs.note_behaviour(rows)
        if is_training:
            if self.archive is not None:
                self._record_all(self.archive.observe(batch, [row.get("prompt") for row in inputs]))
            if self.plan.is_on_policy:
                # Of all ranks; TRL keeps them for its log.
                self._has_signal.append(any(value != 0 for value in self._logs["advantages"]))
            step, weights_K = self.state.global_step, self.reward_weights
            self._record_all(self.monitoring.observe(batch.groups, batch.scores, weights_K, self.memory, step))
            self._remember(batch)
        return rows

    @property
    def _num_generations_now(self) -> int:
        """Completions of a prompt; training and evaluation may differ."""
        return int(self.num_generations if self.model.training else self.num_generations_eval)

    def _describe_batch(
        self, rows: Rows, rewards_BK: torch.Tensor, scores: Scores, features: BatchFeatures
    ) -> ScoredBatch:
        G, needs = self._num_generations_now, self.plan.needs
        rank, first = self.accelerator.process_index, self.accelerator.process_index * len(rows["completion_ids"])
        groups = describe_groups(features, self.plan, G, scores.labels_B, (rank, self.accelerator.num_processes))
        rewards_PGK = rewards_BK.detach().to(device="cpu", dtype=torch.float64).unflatten(0, (-1, G))
        # Beyond what the plan has, TRL may have added rewards of environments, which add up like any base.
        roles = [*self.plan.roles, *["base"] * (rewards_PGK.shape[2] - len(self.plan.roles))]
        totals_PG = torch.as_tensor(compose_rewards(rewards_PGK.numpy(), self.reward_weights.double().cpu(), roles))
        judged_PG = rewards_PGK[:, :, self._correct_index]
        known: dict[str, Any] = {
            "rewards_PGK": rewards_PGK,
            "summed_rewards_PG": totals_PG,
            "scored_PG": ~totals_PG.isnan(),
            "correct_PG": (judged_PG > self.plan.correct_above).double().masked_fill(judged_PG.isnan(), torch.nan),
            "step": self.state.global_step,
        }
        if "answer_counts_PG" in needs and features.answers_B is not None:
            self._finish_older_batch()
            answers_PG = split_groups(features.answers_B, G)
            known["answer_counts_PG"] = self.memory.count_answers(features.prompt_ids_B[::G], answers_PG)
        if needs & {"logps_PGT", "mean_logps_PG"}:
            local_BT = self.logprobs.of_behaviour(rows).masked_fill(rows["completion_mask"] == 0, torch.nan)
            known["logps_PGT"] = gather_ragged(local_BT, self.accelerator).unflatten(0, (-1, G))
        if "ref_mean_logps_PG" in needs:
            ref_BT = rows["ref_per_token_logps"].masked_fill(rows["completion_mask"] == 0, torch.nan)
            known["ref_mean_logps_PG"] = gather_ragged(ref_BT, self.accelerator).nanmean(dim=1).unflatten(0, (-1, G))
        if "pass_counts_P2" in needs:
            self._finish_older_batch()
            known["pass_counts_P2"] = torch.as_tensor(self.memory.pass_rates.counts(features.prompt_ids_B[::G]))
        if "prompt_logps_PS" in needs:
            known["prompt_logps_PS"] = gather_ragged(self.logprobs.of_prompts(rows), self.accelerator)[::G]
        place = slice(first, first + len(rows["completion_ids"]))
        return ScoredBatch(rows, place, replace(groups, **known), features, scores)

    def _choose_anchored(self, batch: ScoredBatch) -> None:
        """Note which rows an anchor of mastered prompts holds."""
        if not self.plan.is_anchored_by_prompt:
            return
        self._finish_older_batch()
        G = self._num_generations_now
        anchored_PG = self.anchoring.find_mastered(batch.features.prompt_ids_B[::G], batch.groups.correct_PG)
        batch.rows["anchored"] = anchored_PG.flatten()[batch.place].to(batch.rows["advantages"])
        self.record("anchor/mastered", anchored_PG.double().mean().item())

    def _finish_older_batch(self) -> None:
        # An evaluation may fall into the middle of a batch, which a checkpoint then is to be saved without.
        if self.model.training:
            self.memory.finish_batch()

    def _remember(self, batch: ScoredBatch) -> None:
        groups, features = batch.groups, batch.features
        G, needs = groups.correct_PG.shape[1], self.plan.needs
        answers_PG = None if features.answers_B is None else split_groups(features.answers_B, G)
        wants_answers = "answer_counts_PG" in needs
        wants_rates = self.plan.is_anchored_by_prompt or "pass_counts_P2" in needs
        if wants_answers or wants_rates:
            self.memory.add_batch(
                features.prompt_ids_B[::G],
                answers_PG if wants_answers else None,
                groups.correct_PG.numpy() if wants_rates else None,
            )
        self.anchoring.observe_reward(groups.rewards_PGK.nanmean().item())
