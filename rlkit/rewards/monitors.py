"""Signs that a policy has learnt the reward instead of the task, from numbers that every step has at hand.

    monitors = RewardMonitors(["countdown", "format"])
    readings = measure_rewards(rewards_BK, weights_K, lengths_B, group_size=8)
    warnings = monitors.observe(step, readings)

A warning is said once when a smoothed number crosses its threshold, names the reward and the step since which it has
been so, and can be said again only after the number has come back well below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlkit.errors import ConfigError, suggest
from rlkit.parameters import check_count, check_number, show
from rlkit.rewards.bound_reward import resolve_reward

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Thresholds:
    """When a number becomes a warning. Starting points: watch your own runs, and move them.

    Raises:
        ConfigError: a value is out of range.
    """

    variance_share: float = 0.5
    """Share of a reward other than the verifier in the variance of the total."""
    length_correlation: float = 0.6
    """Absolute correlation of total and length among completions of one prompt."""
    failure_rate: float = 0.2
    """Share of completions that a reward could not score: no answer found, errors, time-outs."""
    held_out_gap: float = 0.1
    """How much further than at first the training reward is above the held-out verifier."""
    smoothing: float = 0.8
    """Weight of the past in the running mean, from 0 (none) to below 1."""
    release: float = 0.8
    """Share of a threshold below which a warning is over and may come again."""
    least_completions: int = 64
    """Completions that must have been seen before anything is warned of."""

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("variance_share", "length_correlation", "failure_rate", "held_out_gap"):
            check_number("monitor", name, getattr(self, name), above=0)
        check_number("monitor", "smoothing", self.smoothing, at_least=0, below=1)
        check_number("monitor", "release", self.release, above=0, at_most=1)
        check_count("monitor", "least_completions", self.least_completions)


@dataclass(frozen=True)
class Readings:
    """What one step says; NaN where it says nothing."""

    variance_shares_K: FloatArray
    """Parts of the variance of the total, summing to 1; one below 0 works against the others."""
    length_correlation: float
    failure_rates_K: FloatArray
    held_out_gap: float = math.nan
    num_free: int = 10**6
    """Completions that the correlation is of, less their groups: a few may correlate by chance."""
    num_rows: int = 10**6
    """Completions of the step."""

    def length_at_least(self, sign: float) -> float:
        """Return what is left of the correlation in the direction of `sign`, 1 or -1, less what chance may have given.

        By Fisher's transformation, at one side of 95 %; a correlation the other way stays as it is.
        """
        signed = sign * self.length_correlation
        if not signed > 0:
            return signed
        shrunk = math.atanh(min(signed, 1 - 1e-9)) - 1.645 / math.sqrt(max(self.num_free - 2, 1))
        return math.tanh(max(shrunk, 0.0))


def measure_rewards(
    rewards_BK: ArrayLike,
    weights_K: ArrayLike,
    lengths_B: ArrayLike,
    group_size: int,
    held_out_B: ArrayLike | None = None,
    verifier: int = 0,
    totals_B: ArrayLike | None = None,
) -> Readings:
    """Read the signs off one batch.

    Args:
        rewards_BK: shape (B, K), NaN where not scored.
        weights_K: shape (K,).
        lengths_B: in tokens, shape (B,).
        group_size: G; rows of one prompt are consecutive.
        held_out_B: what a verifier that is not trained on says of the same completions, on the scale of the reward
            called `verifier`.
        verifier: index of the reward that says correct.
        totals_B: where modifiers make the total something else than the weighted sum; then nothing has a share in it.

    Raises:
        ConfigError: the rows are no whole groups.
    """
    rewards_BK, weights_K = np.asarray(rewards_BK, dtype=np.float64), np.asarray(weights_K, dtype=np.float64)
    if group_size < 1 or len(rewards_BK) % group_size:
        raise ConfigError(f"{len(rewards_BK)} rows are no whole groups of {group_size}; give every completion.")
    parts_BK = rewards_BK * weights_K
    shares_K = share_variance(parts_BK) if totals_B is None else np.full(len(weights_K), np.nan)
    if totals_B is None:
        totals_B = np.where(np.isnan(parts_BK).all(axis=1), np.nan, np.nansum(parts_BK, axis=1))
    totals_B = np.asarray(totals_B, dtype=np.float64)
    gap = math.nan
    if held_out_B is not None:
        differences_B = rewards_BK[:, verifier] - np.asarray(held_out_B, dtype=np.float64)
        gap = float(np.nanmean(differences_B)) if not np.isnan(differences_B).all() else math.nan
    failures_K = np.isnan(rewards_BK).mean(axis=0) if len(rewards_BK) else np.full(len(weights_K), np.nan)
    lengths_B = np.asarray(lengths_B, dtype=np.float64)
    num_free = int((~np.isnan(totals_B)).sum()) - len(totals_B) // group_size
    return Readings(
        shares_K, _correlate_within(totals_B, lengths_B, group_size), failures_K, gap, num_free, len(totals_B)
    )


def share_variance(parts_BK: ArrayLike) -> FloatArray:
    """Return cov(part_k, total) / var(total) of each part, shape (K,), summing to 1; NaN where the total does not vary.

    Rows of which any part is NaN are left out: their total is of other things.
    """
    parts_BK = np.asarray(parts_BK, dtype=np.float64)
    rows_BK = parts_BK[~np.isnan(parts_BK).any(axis=1)]
    if len(rows_BK) < 2:
        return np.full(parts_BK.shape[1], np.nan)
    centred_BK = rows_BK - rows_BK.mean(axis=0)
    totals_B = centred_BK.sum(axis=1)
    variance = totals_B @ totals_B
    # Rounding leaves something of parts that cancel out.
    if variance <= 1e-12 * (centred_BK**2).sum():
        return np.full(parts_BK.shape[1], np.nan)
    return np.asarray(totals_B @ centred_BK / variance)


def _correlate_within(values_B: FloatArray, lengths_B: FloatArray, group_size: int) -> float:
    """Return the correlation of two series after taking off each group's mean: prompts differ in length and reward."""
    values_PG, lengths_PG = values_B.reshape(-1, group_size), lengths_B.reshape(-1, group_size)
    known_PG = ~np.isnan(values_PG)
    counts_P1 = np.maximum(known_PG.sum(axis=1, keepdims=True), 1)
    centred = []
    for series_PG in (values_PG, lengths_PG):
        filled_PG = np.where(known_PG, series_PG, 0.0)
        centred.append(np.where(known_PG, filled_PG - filled_PG.sum(axis=1, keepdims=True) / counts_P1, 0.0).ravel())
    spread = math.sqrt(float(centred[0] @ centred[0]) * float(centred[1] @ centred[1]))
    return float(centred[0] @ centred[1]) / spread if spread > 0 else math.nan


def resolve_monitor(spec: Any) -> tuple[Thresholds, Any]:
    """Return what a recipe's `monitor:` comes to: thresholds, and the held-out verifier or None.

    Args:
        spec: None, or a mapping of fields of `Thresholds` and `held_out`, a reward as in `rewards:`.

    Raises:
        ConfigError: no such key, or a value out of range.
        PluginError: the held-out verifier cannot be found.
    """
    if spec is not None and not isinstance(spec, Mapping):
        raise ConfigError(
            f"monitor was given as {show(spec)}; write monitor: {{held_out: a reward, failure_rate: 0.2}}."
        )
    given = dict(spec or {})
    held_out = given.pop("held_out", None)
    names = [field.name for field in fields(Thresholds)]
    for name in given:
        if name not in names:
            raise ConfigError(f"monitor has no setting {show(name)}.{suggest(str(name), [*names, 'held_out'])}")
    return Thresholds(**given), None if held_out is None else resolve_reward(held_out)


@dataclass
class _Alarm:
    """A running mean against a threshold."""

    mean: float = math.nan
    since: int | None = None
    """First step of the present stretch above the threshold."""
    is_raised: bool = False

    def observe(self, step: int, value: float, threshold: float, limits: Thresholds, may_warn: bool) -> bool:
        """Take in a value; return whether the warning is due now."""
        if math.isnan(value):
            return False
        kept = limits.smoothing if not math.isnan(self.mean) else 0.0
        self.mean = value if kept == 0.0 else kept * self.mean + (1 - kept) * value
        if value > threshold:
            self.since = step if self.since is None else self.since
        elif self.mean < limits.release * threshold:
            self.is_raised, self.since = False, None
        if self.mean > threshold and not self.is_raised and may_warn:
            self.is_raised = True
            return True
        return False


@dataclass
class RewardMonitors:
    """Turns readings, step by step, into warnings."""

    names: Sequence[str]
    """What the rewards are called."""
    verifier: int = 0
    """Index of the reward that may dominate, as it is the task."""
    limits: Thresholds = field(default_factory=Thresholds)
    first_gap: float = math.nan
    num_seen: int = 0
    """Completions so far."""
    alarms: dict[str, _Alarm] = field(default_factory=dict)

    def observe(self, step: int, readings: Readings) -> list[str]:
        """Return the warnings that this step brings, one sentence each."""
        self.num_seen += readings.num_rows
        if math.isnan(self.first_gap):
            self.first_gap = readings.held_out_gap
        limits, warnings = self.limits, []
        for place, name in enumerate(self.names):
            if place != self.verifier and self._rises(
                f"variance/{name}", step, readings.variance_shares_K[place], limits.variance_share
            ):
                warnings.append(
                    f"{self._mean(f'variance/{name}'):.0%} of the reward's variance comes from {name}, since step "
                    f"{self._since(f'variance/{name}')}: it is what the policy learns; lower its weight."
                )
            if self._rises(f"failures/{name}", step, readings.failure_rates_K[place], limits.failure_rate):
                warnings.append(
                    f"{name} could not score {self._mean(f'failures/{name}'):.0%} of the completions, since step "
                    f"{self._since(f'failures/{name}')}: look at what they answer, and how it is read."
                )
        # Each direction by itself: that longer ones earned more here and shorter ones there says nothing.
        for key, way, sign in (("length", "longer", 1.0), ("length/shorter", "shorter", -1.0)):
            if self._rises(key, step, readings.length_at_least(sign), limits.length_correlation):
                warnings.append(
                    f"Within a prompt {way} completions earn more (correlation {readings.length_correlation:+.2f}), "
                    f"since step {self._since(key)}: length may be what is rewarded."
                )
        if self._rises("gap", step, readings.held_out_gap - self.first_gap, limits.held_out_gap):
            warnings.append(
                f"{self.names[self.verifier]} is {readings.held_out_gap:+.2f} above the held-out verifier, at first "
                f"{self.first_gap:+.2f}, since step {self._since('gap')}: what it pays for is no longer what is right."
            )
        return warnings

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, as JSON types."""
        alarms = {key: [_none(a.mean), a.since, a.is_raised] for key, a in self.alarms.items()}
        return {"first_gap": _none(self.first_gap), "num_seen": self.num_seen, "alarms": alarms}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` returned."""
        self.first_gap = _nan(state["first_gap"])
        # Older checkpoints did not count; theirs were of many.
        self.num_seen = state.get("num_seen", self.limits.least_completions)
        self.alarms = {key: _Alarm(_nan(mean), since, up) for key, (mean, since, up) in state["alarms"].items()}

    def _rises(self, key: str, step: int, value: float, threshold: float) -> bool:
        may_warn = self.num_seen >= self.limits.least_completions
        return self.alarms.setdefault(key, _Alarm()).observe(step, float(value), threshold, self.limits, may_warn)

    def _since(self, key: str) -> int | None:
        return self.alarms[key].since

    def _mean(self, key: str) -> float:
        return self.alarms[key].mean


def _none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
