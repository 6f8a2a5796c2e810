"""What every generation batch says of a run: totals, diversity, and signs of a hacked reward, with a warning once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rlkit.advantages import GroupContext
from rlkit.diversity import summarise_groups
from rlkit.rewards.monitors import Readings as Signs
from rlkit.rewards.monitors import RewardMonitors, measure_rewards
from rlkit.terminal import note
from rlkit.trainers.facts import Readings
from rlkit.trainers.rewards import Rewards

_EQUAL = 1e-8
"""Totals that differ by less are equal, as for TRL."""


class Monitoring:
    """The monitors of one run; their state is in the run's memory and so in its checkpoints."""

    def __init__(self, rewards: Rewards, names: Sequence[str], verifier: int) -> None:
        """Take the rewards, what they are called, and which of them is the task."""
        self._rewards = rewards
        self._monitors = RewardMonitors(names, verifier, rewards.limits)
        self._adds_up = "modifier" not in rewards.roles

    def observe(self, trainer: Any, batch: Readings, groups: GroupContext, totals_PG: torch.Tensor) -> None:
        """Look at a batch of all ranks, log what it says and warn; the same on every rank."""
        rewards_BK, held_out_B = groups.rewards_PGK.flatten(0, 1), self._rewards.held_out_B(batch.scores)
        signs = measure_rewards(
            rewards_BK.numpy(),
            trainer.reward_weights.double().cpu().numpy(),
            batch.lengths_B,
            totals_PG.shape[1],
            held_out_B,
            self._monitors.verifier,
            None if self._adds_up else totals_PG.flatten().numpy(),
        )
        # Of a row at which one reward failed all are left out, but one has failed.
        failures_K = np.asarray(self._rewards.failure_rates(batch.scores, rewards_BK))
        signs = replace(signs, failure_rates_K=failures_K)
        self._record(trainer, signs, held_out_B)
        if trainer.memory.monitors:
            self._monitors.load_state_dict(trainer.memory.monitors)
        for warning in self._monitors.observe(trainer.state.global_step + 1, signs):
            note(f"Warning: {warning}")
        trainer.memory.monitors = self._monitors.state_dict()

    def _record(self, trainer: Any, signs: Signs, held_out_B: np.ndarray | None) -> None:
        trainer.record("monitor/length_correlation", signs.length_correlation)
        names = self._monitors.names
        if self._adds_up and len(names) > 1:
            for name, share in zip(names, signs.variance_shares_K, strict=True):
                trainer.record(f"monitor/variance_share/{name}", float(share))
        if held_out_B is not None:
            known = held_out_B[~np.isnan(held_out_B)]
            trainer.record("monitor/held_out", float(known.mean()) if len(known) else math.nan)
            trainer.record("monitor/held_out_gap", signs.held_out_gap)


def replace_logged_rewards(metrics: dict[str, list[float]], totals_PG: torch.Tensor) -> None:
    """Put totals where TRL has logged a weighted sum of everything, which roles make another number."""
    known = totals_PG[~totals_PG.isnan()]
    metrics["reward"][-1] = known.mean().item() if len(known) else math.nan
    metrics["reward_std"][-1] = known.std().item() if len(known) > 1 else math.nan
    spread_PG = (totals_PG - totals_PG.nanmean(dim=1, keepdim=True)).abs().nan_to_num(0.0)
    metrics["frac_reward_zero_std"][-1] = (spread_PG.amax(dim=1) < _EQUAL).double().mean().item()


def log_diversity(trainer: Any, groups: GroupContext) -> None:
    """Log how various the batch is, where something says what is different."""
    if groups.labels_PG is None:
        return
    arrays = (groups.labels_PG.numpy(), groups.correct_PG.numpy(), groups.scored_PG.numpy())
    for name, value in summarise_groups(*arrays).items():
        trainer.record(f"diversity/{name}", value)
