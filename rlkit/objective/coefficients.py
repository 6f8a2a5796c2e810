"""How strongly a part of the loss counts, and how that changes over a run.

A coefficient is pure: its whole state is the number that `update` returns and that a trainer keeps in checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rlkit.errors import ConfigError, PluginError, RlkitError
from rlkit.parameters import check_count, check_number, show
from rlkit.plugins import PluginKind, blame_plugin
from rlkit.plugins import resolve as resolve_plugin


@dataclass(frozen=True)
class Coefficient:
    """A number, 0 or more, that may change after each optimizer step."""

    def initial(self) -> float:
        """Return the number for the first optimizer step."""
        raise NotImplementedError

    def update(self, coef: float, step: int, measured_kl: float) -> float:
        """Return the number for the next optimizer step.

        Args:
            coef: the present number.
            step: how many optimizer steps are done, 1 or more.
            measured_kl: the anchor's mean estimate over the tokens of the newest step, nats a token; NaN when there is
                none.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Coefficient):
    """The same number throughout."""

    value: float

    def __post_init__(self) -> None:
        check_number("constant", "value", self.value, at_least=0)

    def initial(self) -> float:
        return float(self.value)

    def update(self, coef: float, step: int, measured_kl: float) -> float:
        return float(self.value)


@dataclass(frozen=True)
class _Schedule(Coefficient):
    start: float
    """Number of the first optimizer step."""
    end: float
    """Number from step `steps` on."""
    steps: int
    """Optimizer steps from one to the other."""

    def __post_init__(self) -> None:
        name = type(self).__name__.lower()
        check_number(name, "start", self.start, at_least=0)
        check_number(name, "end", self.end, at_least=0)
        check_count(name, "steps", self.steps)

    def initial(self) -> float:
        return float(self.start)

    def update(self, coef: float, step: int, measured_kl: float) -> float:
        return self.end + (self.start - self.end) * self._remaining(min(max(step / self.steps, 0.0), 1.0))

    def _remaining(self, progress: float) -> float:
        raise NotImplementedError


@dataclass(frozen=True)
class Linear(_Schedule):
    """From `start` to `end` in a straight line over `steps` optimizer steps, then `end`; no KL is looked at."""

    def _remaining(self, progress: float) -> float:
        return 1.0 - progress


@dataclass(frozen=True)
class Cosine(_Schedule):
    """From `start` to `end` along half a cosine over `steps` optimizer steps, then `end`; flat at both ends."""

    def _remaining(self, progress: float) -> float:
        return (1.0 + math.cos(math.pi * progress)) / 2.0


@dataclass(frozen=True)
class TargetKL(Coefficient):
    """Steer the measured KL towards a target: larger after too much of it, smaller after too little.

    After each optimizer step `coef *= 1 + clip(kl / target - 1, -0.2, 0.2) / horizon`, then clipped to [lowest,
    highest]. Ziegler et al. (arXiv 1909.08593, section 2.2) write the gain as K = 0.1, which is horizon 10; code that
    counts samples has `num_samples / horizon` in its place, which is a horizon here of theirs over the samples of a
    step. Being multiplicative, a coefficient of 0 could never recover, hence `lowest` is above 0. Without a measurement
    (NaN) the coefficient stays. The target is in nats *a token*, as the anchor measures, not a completion.
    """

    target: float
    """Wanted KL, nats a token."""
    start: float = 0.001
    """Coefficient of the first step, within [lowest, highest]."""
    horizon: float = 10.0
    """Optimizer steps over which a KL of 1.2 targets or more raises the coefficient by about a fifth; 1 or more."""
    lowest: float = 1e-6
    """The coefficient never falls below; above 0."""
    highest: float = 1.0
    """The coefficient never rises above."""

    def __post_init__(self) -> None:
        check_number("target_kl", "target", self.target, above=0)
        check_number("target_kl", "horizon", self.horizon, at_least=1)
        check_number("target_kl", "lowest", self.lowest, above=0)
        check_number("target_kl", "highest", self.highest, at_least=self.lowest)
        check_number("target_kl", "start", self.start, at_least=self.lowest, at_most=self.highest)

    def initial(self) -> float:
        return float(self.start)

    def update(self, coef: float, step: int, measured_kl: float) -> float:
        if math.isnan(measured_kl):
            return coef
        error = min(max(measured_kl / self.target - 1.0, -0.2), 0.2)
        return min(max(coef * (1.0 + error / self.horizon), self.lowest), self.highest)


@dataclass(frozen=True)
class OwnCoefficient(Coefficient):
    """A coefficient of the user's own, watched: each number must be finite and 0 or more.

    Raises:
        PluginError: on call, it raises or returns anything else.
    """

    own: Any

    def initial(self) -> float:
        return self._ask(self.own.initial)

    def update(self, coef: float, step: int, measured_kl: float) -> float:
        return self._ask(self.own.update, coef, step, measured_kl)

    def _ask(self, function: Callable[..., Any], *given: float) -> float:
        what = f"The coefficient {type(self.own).__name__!r}"
        try:
            value = function(*given)
            number = math.nan if isinstance(value, bool) else float(value)
        except RlkitError:
            raise
        except Exception as error:
            raise blame_plugin(error, what) from error
        if not 0 <= number < math.inf:
            raise PluginError(f"{what} gave {show(value)}; give a finite number, 0 or more.")
        return number


COEFFICIENTS = PluginKind(
    "coefficient",
    "rlkit.coefficients",
    {
        "constant": "rlkit.objective.coefficients:Constant",
        "linear": "rlkit.objective.coefficients:Linear",
        "cosine": "rlkit.objective.coefficients:Cosine",
        "target_kl": "rlkit.objective.coefficients:TargetKL",
    },
)


def resolve_coefficient(spec: Any) -> Coefficient:
    """Build the coefficient that a recipe's `coef:` describes: a number, or a mapping with a name.

    Raises:
        ConfigError: a number that is negative, NaN or infinite, or a truth value.
        PluginError: no such coefficient, its parameters do not fit, or it is none.
    """
    if isinstance(spec, int | float):
        check_number("a coefficient", "value", spec, at_least=0)
        return Constant(spec)
    if spec is None or isinstance(spec, list | tuple):
        raise ConfigError(f"A coefficient was given as {spec!r}; write a number or {{name: linear, start: ..., ...}}.")
    coefficient = resolve_plugin(spec, COEFFICIENTS)
    if not (callable(getattr(coefficient, "initial", None)) and callable(getattr(coefficient, "update", None))):
        raise PluginError(f"The coefficient {spec!r} is {coefficient!r}, which has no initial() and update().")
    is_ours = isinstance(coefficient, Coefficient) and type(coefficient).__module__.startswith("rlkit.")
    return coefficient if is_ours else OwnCoefficient(coefficient)
