"""Checks of the parameters that parts of the loss take: one sentence each for what a recipe cannot mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rlkit.errors import ConfigError, suggest


def check_number(
    owner: str, field: str, value: Any, lowest: float, highest: float = math.inf, *, is_open: bool = False
) -> None:
    """Raise ConfigError unless the value is a finite number (no bool) from `lowest` to `highest`.

    Args:
        owner, field, value: what was given, and to whom.
        lowest, highest: the range.
        is_open: whether both ends are outside of it.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not (lowest < value < highest if is_open else lowest <= value <= highest):
        raise ConfigError(f"{owner} was given {field}={value!r}; write a number {_range(lowest, highest, is_open)}.")


def check_count(owner: str, field: str, value: Any, lowest: int = 1) -> None:
    """Raise ConfigError unless the value is a whole number (no bool) of at least `lowest`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ConfigError(f"{owner} was given {field}={value!r}; write a whole number of at least {lowest}.")


def check_flag(owner: str, field: str, value: Any) -> None:
    """Raise ConfigError unless the value is a bool."""
    if not isinstance(value, bool):
        raise ConfigError(f"{owner} was given {field}={value!r}; write true or false.")


def check_choice(owner: str, field: str, value: Any, allowed: Sequence[str]) -> None:
    """Raise ConfigError unless the value is one of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        raise ConfigError(f"{owner} was given {field}={value!r}.{suggest(str(value), allowed)}")


def _range(lowest: float, highest: float, is_open: bool) -> str:
    if math.isinf(highest):
        return f"above {lowest:g}" if is_open else f"of at least {lowest:g}"
    return f"between {lowest:g} and {highest:g}" if is_open else f"from {lowest:g} to {highest:g}"
