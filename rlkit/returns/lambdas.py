"""How far an advantage looks past the critic: one lambda for all completions, or one that depends on their length.

`lam^(l - 1)` of the reward at the end reaches the first of l tokens by itself; the rest has to come through the critic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from rlkit.errors import ConfigError
from rlkit.parameters import check_number, show

_KEYS = ("length_adaptive", "relative_position")


class Lambda(Protocol):
    """What gives every completion its lambda."""

    def __call__(self, lengths_B: torch.Tensor) -> torch.Tensor:
        """Return lambdas (B,), in [0, 1], of completions of so many tokens that count."""


@dataclass(frozen=True)
class ConstantLambda:
    """The same for all: 1 is Monte Carlo, 0 one step."""

    value: float = 0.95

    def __call__(self, lengths_B: torch.Tensor) -> torch.Tensor:
        """Return lambdas (B,)."""
        return torch.full(lengths_B.shape, float(self.value), device=lengths_B.device)


@dataclass(frozen=True)
class LengthAdaptiveLambda:
    """1 - 1 / (alpha l), so that the weights of the sum add up to alpha l (VAPO, arXiv 2504.05118; alpha = 0.05).

    Clamped at 0, as NeMo-RL and AReaL do: up to 1 / alpha tokens it is 0, and the reward reaches the last token only.
    For every length lam^(l - 1) tends to e^(-1/alpha), 2e-9 at 0.05: credit of early tokens rests on the critic.
    """

    alpha: float = 0.05

    def __call__(self, lengths_B: torch.Tensor) -> torch.Tensor:
        """Return lambdas (B,)."""
        return (1 - 1 / (self.alpha * lengths_B.clamp(min=1).float())).clamp(min=0)

    def is_too_short(self, length: int) -> bool:
        """Return whether a completion of so many tokens has a lambda of 0."""
        return self.alpha * length <= 1


@dataclass(frozen=True)
class RelativePositionLambda:
    """q^(1 / (l - 1)): a share q of the reward reaches the first token, however long the completion is (AReaL).

    1 for a single token, 0 for none; q = 1 is Monte Carlo.
    """

    share: float = 0.5

    def __call__(self, lengths_B: torch.Tensor) -> torch.Tensor:
        """Return lambdas (B,)."""
        exponents_B = 1 / (lengths_B.float() - 1).clamp(min=1)
        lambdas_B = torch.where(lengths_B > 1, self.share**exponents_B, 1.0)
        return torch.where(lengths_B > 0, lambdas_B, 0.0)


def read_lambda(given: Any, name: str = "lambda") -> Lambda:
    """Return what a recipe says of a lambda.

    Args:
        given: a number from 0 to 1, `{length_adaptive: alpha}` or `{relative_position: share}`.
        name: how messages call it.

    Raises:
        ConfigError: it is none of these, or out of range.
    """
    if isinstance(given, Mapping):
        if len(given) != 1 or next(iter(given)) not in _KEYS:
            raise ConfigError(
                f"{name} was given as {show(dict(given))}; write a number from 0 to 1, {{length_adaptive: 0.05}} or "
                "{relative_position: 0.5}."
            )
        ((key, value),) = given.items()
        if key == "length_adaptive":
            check_number(name, key, value, above=0)
            return LengthAdaptiveLambda(value)
        check_number(name, key, value, above=0, at_most=1)
        return RelativePositionLambda(value)
    owner, _, field = name.rpartition(".")
    check_number(owner or "a return", field, given, at_least=0, at_most=1)
    return ConstantLambda(given)
