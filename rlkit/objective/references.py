"""Policies that stand still or lag behind the one that is trained: descriptions only, a trainer keeps the weights.

An anchor holds the policy to one of them, its reference, and a run may have its rollouts drawn by one, its sampler. The
divergence from a reference that moves measures recent drift, not drift since the start of the run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rlkit.errors import ConfigError, PluginError, suggest
from rlkit.parameters import check_count, check_flag, check_number, show
from rlkit.plugins import PluginKind
from rlkit.plugins import resolve as resolve_plugin


@dataclass(frozen=True)
class Reference:
    """A policy to compare with; subclasses say which one."""


@dataclass(frozen=True)
class Initial(Reference):
    """The policy at the start of the run, frozen."""


@dataclass(frozen=True)
class AdapterOff(Reference):
    """The policy without its adapter (PEFT only): the initial policy at no cost in memory."""


@dataclass(frozen=True)
class Ema(Reference):
    """An exponential moving average of the policy: `reference = decay * reference + (1 - decay) * policy`.

    The soft update of TR-DPO (arXiv 2404.09656); M-GRPO (arXiv 2512.13070) uses one as the stable target of label-free
    training. It looks back over about `every / (1 - decay)` optimizer steps.
    """

    decay: float = 0.99
    """Share of the old reference that is kept at each update, between 0 and 1."""
    every: int = 1
    """Optimizer steps between two updates."""

    def __post_init__(self) -> None:
        check_number("ema", "decay", self.decay, above=0, below=1)
        check_count("ema", "every", self.every)


@dataclass(frozen=True)
class Reset(Reference):
    """The policy itself as it was at the last reset; the first is the initial policy.

    ProRL (arXiv 2505.24864) resets by hand when the validation score stalls or the KL term dominates, and starts the
    optimizer afresh; here a schedule, a stall of one number, or whichever of the two comes first.

    Raises:
        ConfigError: neither `every` nor `patience` is given, or a value is out of range.
    """

    every: int | None = None
    """Optimizer steps between two resets; None for no schedule."""
    stall_metric: str = "reward"
    """The logged number that must keep growing; larger is better."""
    patience: int | None = None
    """Observations in a row without a gain that count as a stall; None never looks."""
    min_gain: float = 0.0
    """A gain is more than this above the best since the last stall."""
    reset_optimizer: bool = False
    """Whether the optimizer's moments are dropped at a reset, as in ProRL."""

    def __post_init__(self) -> None:
        if self.every is None and self.patience is None:
            raise ConfigError(
                "reset was given neither every nor patience; write how often, or how long without a gain."
            )
        for field in ("every", "patience"):
            if getattr(self, field) is not None:
                check_count("reset", field, getattr(self, field))
        check_number("reset", "min_gain", self.min_gain, at_least=0)
        check_flag("reset", "reset_optimizer", self.reset_optimizer)
        if not isinstance(self.stall_metric, str) or not self.stall_metric:
            raise ConfigError(f"reset was given stall_metric={self.stall_metric!r}; write a metric such as 'reward'.")

    def observe(self, state: dict[str, Any], value: float) -> tuple[dict[str, Any], bool]:
        """Return the new state and whether the metric has now stalled.

        Args:
            state: what the last call returned, `{}` at first: `best` (float) and `without_gain` (int), JSON-ready. It
                is not changed.
            value: the newest number. NaN says nothing and leaves the state as it is.

        Returns:
            After a stall the state is `{}`: what was best before a reset is no mark for what comes after it. Without
            `patience`, never a stall.
        """
        if self.patience is None or math.isnan(value):
            return dict(state), False
        if not state or value > state["best"] + self.min_gain:
            return {"best": float(value), "without_gain": 0}, False
        without_gain = state["without_gain"] + 1
        if without_gain >= self.patience:
            return {}, True
        return {"best": state["best"], "without_gain": without_gain}, False


REFERENCES = PluginKind(
    "reference",
    "rlkit.references",
    {
        "initial": "rlkit.objective.references:Initial",
        "ema": "rlkit.objective.references:Ema",
        "reset": "rlkit.objective.references:Reset",
        "adapter_off": "rlkit.objective.references:AdapterOff",
    },
)


def resolve_reference(spec: Any) -> Reference:
    """Build the reference that a recipe's `reference:` names.

    Raises:
        PluginError: no such reference, its parameters do not fit, or it is none; trainers know only the four here.
    """
    reference = resolve_plugin(spec, REFERENCES)
    if not isinstance(reference, Reference):
        raise PluginError(f"The reference {spec!r} is {reference!r}; write {', '.join(sorted(REFERENCES.builtins))}.")
    return reference


def resolve_sampler(spec: Any) -> Reference | None:
    """Return who draws the rollouts, as a recipe's `sampler:` says; None for the policy itself.

    Args:
        spec: `policy` or None; `frozen`, the initial policy; `{ema: DECAY}`, a moving average that keeps that share of
            itself at each optimizer step; `{every: N}`, a copy that is renewed every N optimizer steps.

    Raises:
        ConfigError: it is none of these.
    """
    if spec is None or spec == "policy":
        return None
    if spec == "frozen":
        return Initial()
    if isinstance(spec, Reference):
        return spec
    if isinstance(spec, dict) and len(spec) == 1:
        (kind, value) = next(iter(spec.items()))
        if kind == "ema":
            check_number("sampler", "ema", value, above=0, below=1)
            return Ema(decay=value)
        if kind == "every":
            check_count("sampler", "every", value)
            return Reset(every=value)
    near = suggest(spec, ("policy", "frozen")) if isinstance(spec, str) else ""
    raise ConfigError(f"sampler was given as {show(spec)}; write policy, frozen, {{ema: 0.99}} or {{every: 50}}.{near}")
