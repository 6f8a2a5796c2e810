"""Signs of a hacked reward in every generation batch: logged as metrics, and said once when they cross a threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rlkit.rewards.monitors import Readings, RewardMonitors, Thresholds, measure_rewards
from rlkit.terminal import note


class Monitoring:
    """The monitors of one run; their state is in the run's memory and so in its checkpoints."""

    def __init__(self, names: Sequence[str], verifier: int, limits: Thresholds, has_modifiers: bool) -> None:
        """Take the rewards' names, which of them is the task, and when to warn."""
        self._monitors = RewardMonitors(names, verifier, limits)
        self._has_modifiers = has_modifiers

    def observe(self, trainer: Any, batch: dict[str, Any], totals_PG: Any, failure_rates_K: Sequence[float]) -> None:
        """Look at a batch of all ranks; the same on every rank.

        Args:
            trainer: where metrics and memory are.
            batch: what `measure_rewards` takes.
            totals_PG: the total of each completion.
            failure_rates_K: share of completions that each reward could not score.
        """
        totals_B = totals_PG.flatten().numpy() if self._has_modifiers else None
        readings = measure_rewards(**batch, verifier=self._monitors.verifier, totals_B=totals_B)
        readings = replace(readings, failure_rates_K=np.asarray(failure_rates_K, dtype=np.float64))
        self._record(trainer, readings, batch["held_out_B"])
        if trainer.memory.monitors:
            self._monitors.load_state_dict(trainer.memory.monitors)
        for warning in self._monitors.observe(trainer.state.global_step + 1, readings):
            note(f"Warning: {warning}")
        trainer.memory.monitors = self._monitors.state_dict()

    def _record(self, trainer: Any, readings: Readings, held_out_B: Any) -> None:
        trainer.record("monitor/length_correlation", readings.length_correlation)
        for name, share in zip(self._monitors.names, readings.variance_shares_K, strict=True):
            if not self._has_modifiers and len(self._monitors.names) > 1:
                trainer.record(f"monitor/variance_share/{name}", float(share))
        if held_out_B is not None:
            trainer.record("monitor/held_out", _mean(held_out_B))
            trainer.record("monitor/held_out_gap", readings.held_out_gap)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else math.nan
