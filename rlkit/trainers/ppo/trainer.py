"""PPO on the rails of the GRPO trainer: the same rollouts, rewards, partitions, loss and fast path, another baseline.

Once a generation batch: the critic says what it expected of every token, GAE makes returns and advantages of it, the
critic learns the returns, and the advantages take the place of the group's in the batch. Everything after that is
`DiverseGRPOTrainer`'s. The critic is never part of the policy: it has an optimizer and files of its own.

Overridden methods of `trl.GRPOTrainer` 1.16 beside those of its parents, pinned by tests/trainers/test_contract.py:
`training_step`, `_save_optimizer_and_scheduler`, `_load_optimizer_and_scheduler`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rlkit.advantages.with_critic import split_for_critic
from rlkit.errors import ConfigError
from rlkit.recipe.plan import Plan
from rlkit.returns import LengthAdaptiveLambda, measure_moments, whiten
from rlkit.terminal import note
from rlkit.trainers.critic import CriticLearner, build_critic, read_critic
from rlkit.trainers.groups import ScoredBatch
from rlkit.trainers.grpo import DiverseGRPOTrainer
from rlkit.trainers.loss import Rows, token_mask
from rlkit.trainers.ppo.config import DiversePPOConfig
from rlkit.trainers.ppo.crediting import Credit, CreditSettings, assign_credit
from rlkit.trainers.ppo.warmup import Warmup

CRITIC_DIRECTORY = "critic"
"""Where the critic lies in a checkpoint and in a run's output."""
_HARDLY_ANY = 0.5
"""Mean lambda below which a length-adaptive one is said to be of no use."""


class DiversePPOTrainer(DiverseGRPOTrainer):
    """`DiverseGRPOTrainer` with a critic: advantages of tokens by GAE (arXiv 1506.02438) instead of a group's mean.

    Takes TRL's arguments, in TRL's order; `args` is a `DiversePPOConfig`. Of an advantage chain, what shapes rewards
    shapes what the last token earns, and `weight_by_correctness` multiplies advantages.

    Raises:
        ConfigError: the critic does not go with the policy, or the chain holds a baseline over siblings.
        PluginError: as `DiverseGRPOTrainer`.
    """

    args: DiversePPOConfig

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: Any = None,
        *rest: Any,
        plan: Plan | None = None,
        **kwargs: Any,
    ) -> None:
        args = DiversePPOConfig(output_dir="runs/diverse-ppo") if args is None else args
        if not isinstance(args, DiversePPOConfig):
            raise ConfigError(f"DiversePPOTrainer was given a {type(args).__name__} as args; write a DiversePPOConfig.")
        settings = read_critic(args.critic)
        self.warmup = Warmup(settings.warmup_steps, settings.warmup_until)
        self._waits_in: tuple[int, bool] = (-1, False)
        self._warned_of_short = False
        super().__init__(model, reward_funcs, args, *rest, plan=plan, **kwargs)
        if self.is_fsdp_enabled:
            raise ConfigError(
                "trainer: ppo reads hidden states past FSDP's wrappers, which it does not allow; launch with "
                "recipes/accelerate/zero2.yaml or zero3.yaml."
            )
        self.shaped = split_for_critic(self.plan.advantage)
        self.credit_settings = CreditSettings.of(args)
        self.critic = build_critic(settings, self)
        self.learner = CriticLearner(settings, self.critic, self)
        if self.warmup.is_on(0) and self.accelerator.scaler is not None:
            raise ConfigError("critic.warmup leaves steps without gradients, which fp16's scaler refuses; write bf16.")

    # What the critic takes the place of.

    def compute_advantages(self, batch: ScoredBatch) -> torch.Tensor:
        """Return the advantages of this rank's tokens, (B, T); the critic has learnt their returns. A collective."""
        self.learner.begin()
        rows = batch.rows
        rewards_B, bonus_B, factors_B = self._read_rewards(batch)
        # What no reward scored says nothing, to the policy or to the critic.
        mask_BT = token_mask(rows) * (~rewards_B.isnan())[:, None]
        rewards_B = rewards_B.nan_to_num(nan=0.0)
        values_BT, after_B = self.critic.values(rows)
        bootstrap_B = self._find_truncated(batch, mask_BT) * after_B if self.args.bootstrap_truncated else None
        is_warming = self.model.training and self.warmup.is_on(self.state.global_step)
        credit = assign_credit(
            self.credit_settings, rewards_B, values_BT, mask_BT, bootstrap_B, self._penalise(rows), is_warming
        )
        self._learn_values(rows, values_BT, credit, mask_BT, is_warming)
        advantages_BT = self._scale(credit.advantages_BT, mask_BT)
        advantages_BT = (advantages_BT + bonus_B[:, None]) * factors_B[:, None] * (mask_BT != 0)
        self._note_correct(batch, mask_BT)
        self._record_advantages(advantages_BT, mask_BT, credit)
        return advantages_BT.float()

    def _read_rewards(self, batch: ScoredBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what each completion of this rank ends with (NaN unscored), is given beside it, and counts; (B,)."""
        values_PG, groups = batch.groups.summed_rewards_PG, batch.groups
        shaped_PG = self.shaped.shape(values_PG, groups)
        bonus_PG = torch.zeros_like(values_PG)
        if self.args.shaping == "advantage":
            # The critic cannot see siblings: what depends on them would be noise to it.
            bonus_PG = shaped_PG - values_PG
            bonus_PG = (bonus_PG - bonus_PG.nanmean(dim=1, keepdim=True)).nan_to_num(nan=0.0)
            shaped_PG = values_PG
        if shaped_PG.isinf().any():
            raise ConfigError(f"The advantage chain {self.plan.advantage} gave an infinite reward; check the rewards.")
        device = batch.rows["completion_ids"].device
        factors_PG = self.shaped.factors(values_PG, groups)
        given = (shaped_PG, bonus_PG, factors_PG)
        rewards_B, bonus_B, factors_B = (x.flatten()[batch.place].float().to(device) for x in given)
        return rewards_B, bonus_B, factors_B

    def _find_truncated(self, batch: ScoredBatch, mask_BT: torch.Tensor) -> torch.Tensor:
        assert batch.features.truncated_B is not None, "every sampled batch says which completions ran out of room"
        truncated_B = torch.tensor(batch.features.truncated_B[batch.place], device=mask_BT.device)
        self.record("returns/bootstrapped", truncated_B.float().mean().item())
        return truncated_B.float()

    def _penalise(self, rows: Rows) -> torch.Tensor | None:
        if not self.plan.is_anchored_in_reward:
            return None
        given = self.logprobs.of_behaviour(rows), rows["ref_per_token_logps"], token_mask(rows)
        return self.anchoring.penalise_tokens(*given)

    def _learn_values(
        self, rows: Rows, values_BT: torch.Tensor, credit: Credit, mask_BT: torch.Tensor, is_warming: bool
    ) -> None:
        if not self.model.training:
            self.critic.forget()
            return
        statistics = self.learner.learn(rows, values_BT, credit.returns_BT, mask_BT, clips=not is_warming)
        self._record_all({f"critic/{name}": value for name, value in statistics.items()})
        self.warmup.observe(statistics["explained_variance"])

    def _scale(self, advantages_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        if not self.args.whiten_advantages:
            return advantages_BT
        moments = self.accelerator.reduce(measure_moments(advantages_BT, mask_BT), reduction="sum")
        return whiten(advantages_BT, mask_BT, moments)

    def _note_correct(self, batch: ScoredBatch, mask_BT: torch.Tensor) -> None:
        """Give correct rows the weight of their likelihood, whose mean is over the tokens of all correct rows."""
        if self.args.positive_nll_coef == 0:
            return
        correct_B = batch.groups.correct_PG.flatten()[batch.place].to(mask_BT.device) > 0.5
        counts_B = (mask_BT != 0).sum(dim=1)
        counts_2 = torch.stack([counts_B.sum(), (counts_B * correct_B).sum()]).double()
        everyone, correct = self.accelerator.reduce(counts_2, reduction="sum").tolist()
        # The policy's weight is one over all tokens; none correct, there is nothing to be likely.
        weight = self.args.positive_nll_coef * everyone / correct if correct else 0.0
        batch.rows["nll_weights"] = correct_B.float() * weight

    def _record_advantages(self, advantages_BT: torch.Tensor, mask_BT: torch.Tensor, credit: Credit) -> None:
        counted = mask_BT != 0
        silent_B = ~((advantages_BT != 0) & counted).any(dim=1)
        sums = [(advantages_BT * counted).sum(), credit.returns_BT.sum(), credit.lambdas_B.sum(), silent_B.sum()]
        sums += [counted.sum(), torch.tensor(float(len(silent_B)), device=counted.device)]
        totals = self.accelerator.reduce(torch.stack([x.double() for x in sums]), reduction="sum").tolist()
        advantage, returns, lambdas, silent, num_tokens, num_rows = totals
        self.record("advantages/no_signal", silent / num_rows)
        self.record("returns/lambda_policy", lambdas / num_rows)
        self._warn_of_short(lambdas / num_rows)
        if num_tokens:
            self.record("advantages/mean", advantage / num_tokens)
            self.record("returns/mean", returns / num_tokens)

    def _warn_of_short(self, mean_lambda: float) -> None:
        lam = self.credit_settings.lambda_policy
        if isinstance(lam, LengthAdaptiveLambda) and mean_lambda < _HARDLY_ANY and not self._warned_of_short:
            self._warned_of_short = True
            note(
                f"Warning: train.lambda_policy is length_adaptive and {mean_lambda:.2f} on average, so that the reward "
                "hardly reaches any token but the last: completions are too short for it. Write 0.95, or "
                "{relative_position: 0.5}."
            )

    # What the loss holds beside the policy's.

    @property
    def needs_every_row(self) -> bool:
        """Only where the critic's gradient goes through the policy: else rows without signal cost no forward pass."""
        return self.critic.moves_policy

    @property
    def has_own_loss(self) -> bool:
        """Always: TRL's loss holds no likelihood of correct rows and no critic."""
        return True

    def auxiliary_losses(self, model: Any, rows: Rows) -> Mapping[str, torch.Tensor]:
        """Return the critic's loss where its gradient is to reach the policy."""
        if not self.critic.moves_policy:
            return {}
        return {"critic": self.learner.loss_of(model, rows, token_mask(rows))}

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Take one micro-batch; while the policy waits for its critic, sample it and let the critic learn."""
        if not self._waits():
            loss = super().training_step(model, inputs, num_items_in_batch)
            if self.critic.moves_policy and self.accelerator.sync_gradients:
                self.record("critic/grad_norm", self.learner.step_with_policy())
            return loss
        started = time.perf_counter()
        model.train()
        self._prepare_inputs(inputs)
        self._step += 1
        self._current_train_step_time: float = self._current_train_step_time + time.perf_counter() - started
        if self.accelerator.sync_gradients:
            self.record("critic/policy_waits", 1.0)
            self.record("step_time", self._current_train_step_time)
            self._current_train_step_time = 0.0
        return torch.zeros((), device=self.accelerator.device)

    def _waits(self) -> bool:
        # Decided once an optimizer step: its first micro-batch may bring the batch by which the wait ends.
        step = self.state.global_step
        if self._waits_in[0] != step:
            self._waits_in = step, self.warmup.is_on(step)
        return self._waits_in[1]

    # What lies on disk.

    def save_critic(self, directory: str | Path) -> None:
        """Write the critic alone, to be loaded as a warm start by `critic: {from: directory}`; a collective."""
        self.critic.save(directory)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        self.learner.save(Path(output_dir) / CRITIC_DIRECTORY)
        if self.is_world_process_zero():
            self.warmup.save(output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        self.learner.load(Path(checkpoint) / CRITIC_DIRECTORY)
        self.warmup.load(checkpoint)
