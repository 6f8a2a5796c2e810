"""The anchor of a run as it moves: its coefficient after every optimizer step, and with it the reference policy."""

from __future__ import annotations

import math

import numpy as np
import torch

from rlkit.recipe.plan import Plan
from rlkit.trainers.memory import RunMemory
from rlkit.trainers.reference import ReferencePolicy


class Anchoring:
    """Moves the anchor by what a step showed; what must outlive the step is in the run's memory."""

    def __init__(self, plan: Plan, memory: RunMemory, reference: ReferencePolicy | None) -> None:
        """Start with the coefficient's first value; without an anchor nothing ever moves."""
        self._plan, self._memory, self._reference = plan, memory, reference
        self._kls: list[float] = []
        self._reward: float | None = None
        if plan.coefficient is not None:
            memory.anchor_coef = plan.coefficient.initial()

    @property
    def coef_in_loss(self) -> float:
        """The coefficient of the anchor in the loss now; 0 without one."""
        return 0.0 if self._plan.is_anchored_in_reward else self._memory.anchor_coef or 0.0

    def penalise(self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        """Return what an anchor in the reward takes off each row, (B,): the sum over its tokens."""
        return self.penalise_tokens(logps_BT, ref_logps_BT, mask_BT).sum(dim=1)

    def penalise_tokens(
        self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor, mask_BT: torch.Tensor
    ) -> torch.Tensor:
        """Return what an anchor in the reward takes off each token, (B, T): its coefficient times the divergence."""
        anchor = self._plan.objective.anchor
        assert anchor is not None, "asked only with an anchor in the reward"
        penalties_BT: torch.Tensor = anchor.penalties(logps_BT, ref_logps_BT)
        return penalties_BT.masked_fill(mask_BT == 0, 0) * (self._memory.anchor_coef or 0.0)

    def find_mastered(self, prompt_ids_P: list[str], correct_PG: torch.Tensor) -> torch.Tensor:
        """Return (P, G) whether the policy has mastered each prompt: by its rate so far, or in this batch when new."""
        anchor = self._plan.objective.anchor
        assert anchor is not None, "asked only with an anchor of mastered prompts"
        rates_P = torch.as_tensor(np.asarray(self._memory.pass_rates.rates(prompt_ids_P)))
        rates_P = torch.where(rates_P.isnan(), correct_PG.nanmean(dim=1), rates_P)
        return (rates_P >= anchor.mastered_above)[:, None].expand(correct_PG.shape)

    def observe_kl(self, kl: float) -> None:
        """Note how far the policy is from its reference, for a coefficient that follows it; NaN says nothing."""
        if not math.isnan(kl):
            self._kls.append(kl)

    def observe_reward(self, reward: float) -> None:
        """Note the mean reward of new rollouts, for a reference that is reset on a stall."""
        self._reward = reward

    def forget_step(self) -> None:
        """Drop what was noted of a step that was never finished."""
        self._kls, self._reward = [], None

    def finish_step(self, step: int) -> dict[str, float]:
        """Move coefficient and reference after optimizer step `step`, and return what is to be logged."""
        logged, memory = {}, self._memory
        if self._plan.coefficient is not None and memory.anchor_coef is not None:
            logged["anchor/coef"] = memory.anchor_coef
            kl = sum(self._kls) / len(self._kls) if self._kls else math.nan
            memory.anchor_coef = self._plan.coefficient.update(memory.anchor_coef, step, kl)
        # A reward counts for the step after its rollouts only: a stall is counted in batches, not in steps.
        if self._reference is not None and self._reference.after_step(step, memory, self._reward):
            logged["anchor/resets"] = 1.0
        self.forget_step()
        return logged
