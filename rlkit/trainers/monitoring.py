"""What every generation batch says of a run: totals, diversity, and signs of a hacked reward, with a warning once."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from rlkit.advantages import GroupContext
from rlkit.diversity import summarise_groups
from rlkit.recipe.plan import Plan
from rlkit.rewards import BoundReward
from rlkit.rewards.monitors import Readings, RewardMonitors, measure_rewards
from rlkit.terminal import note
from rlkit.trainers.memory import RunMemory
from rlkit.trainers.scoring import Scores

_EQUAL = 1e-8
"""Totals that differ by less are equal, as for TRL."""


class Monitoring:
    """The monitors of one run; their state is in the run's memory and so in its checkpoints."""

    def __init__(self, plan: Plan, names: Sequence[str], verifier: int) -> None:
        """Take the plan, what TRL calls the rewards, and which of them is the task."""
        self._monitors = RewardMonitors(names, verifier, plan.thresholds)
        self._functions = [place for place, reward in enumerate(plan.rewards) if isinstance(reward, BoundReward)]
        self._has_held_out = plan.held_out is not None
        self._adds_up = "modifier" not in plan.roles

    def observe(
        self, groups: GroupContext, scores: Scores, weights_K: torch.Tensor, memory: RunMemory, step: int
    ) -> dict[str, float]:
        """Look at a batch of all ranks, warn of what it shows, and return what is to be logged; alike on every rank.

        Args:
            groups: the batch with its rewards.
            scores: what became of the calls of rewards.
            weights_K: of all rewards that TRL knows.
            memory: holds the monitors' state, which is updated.
            step: optimizer steps done.
        """
        rewards_BK, totals_PG = groups.rewards_PGK.flatten(0, 1), groups.summed_rewards_PG
        # The held-out verifier is the last of what was scored.
        held_out_B = scores.values_BK[:, -1] if self._has_held_out else None
        readings = measure_rewards(
            rewards_BK.numpy(),
            weights_K.double().cpu().numpy(),
            groups.lengths_PG.flatten().tolist(),
            totals_PG.shape[1],
            held_out_B,
            self._monitors.verifier,
            None if self._adds_up else totals_PG.flatten().numpy(),
        )
        # Of a row at which one reward failed all are left out, but one has failed.
        readings = replace(readings, failure_rates_K=np.asarray(self._failure_rates(scores, rewards_BK)))
        if memory.monitors:
            self._monitors.load_state_dict(memory.monitors)
        for warning in self._monitors.observe(step + 1, readings):
            note(f"Warning: {warning}")
        memory.monitors = self._monitors.state_dict()
        return self._to_log(readings, held_out_B)

    def _failure_rates(self, scores: Scores, rewards_BK: torch.Tensor) -> list[float]:
        """Return the share of rows that each reward could not score, of all that TRL knows."""
        rates: list[float] = rewards_BK.isnan().double().mean(dim=0).tolist()
        # What was scored beyond the functions is the held-out verifier, which TRL does not know.
        for place, outcomes_B in zip(self._functions, scores.outcomes_KB, strict=False):
            rates[place] = sum(outcome.status != "ok" for outcome in outcomes_B) / max(len(outcomes_B), 1)
        return rates

    def _to_log(self, readings: Readings, held_out_B: np.ndarray | None) -> dict[str, float]:
        logged = {"monitor/length_correlation": readings.length_correlation}
        names = self._monitors.names
        if self._adds_up and len(names) > 1:
            for name, share in zip(names, readings.variance_shares_K, strict=True):
                logged[f"monitor/variance_share/{name}"] = float(share)
        if held_out_B is not None:
            known = held_out_B[~np.isnan(held_out_B)]
            logged["monitor/held_out"] = float(known.mean()) if len(known) else math.nan
            logged["monitor/held_out_gap"] = readings.held_out_gap
        return logged


def replace_logged_rewards(metrics: dict[str, list[float]], totals_PG: torch.Tensor) -> None:
    """Put totals where TRL has logged a weighted sum of everything, which roles make another number."""
    known = totals_PG[~totals_PG.isnan()]
    metrics["reward"][-1] = known.mean().item() if len(known) else math.nan
    metrics["reward_std"][-1] = known.std().item() if len(known) > 1 else math.nan
    spread_PG = (totals_PG - totals_PG.nanmean(dim=1, keepdim=True)).abs().nan_to_num(0.0)
    metrics["frac_reward_zero_std"][-1] = (spread_PG.amax(dim=1) < _EQUAL).double().mean().item()


def replace_logged_advantages(logged: deque[float], advantages_B: Sequence[float]) -> None:
    """Put the advantages of all ranks where TRL has logged its own of the same batch."""
    # Its room is one generation batch, and a batch of an evaluation may be larger.
    for _ in advantages_B[: len(logged)]:
        logged.pop()
    logged.extend(advantages_B)


def measure_diversity(groups: GroupContext) -> dict[str, float]:
    """Return how diverse the batch is, to be logged; nothing where nothing says what is different."""
    if groups.labels_PG is None:
        return {}
    arrays = (groups.labels_PG.numpy(), groups.correct_PG.numpy(), groups.scored_PG.numpy())
    return {f"diversity/{name}": value for name, value in summarise_groups(*arrays).items()}
