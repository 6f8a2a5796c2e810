"""Checks of the parameters that partitions and embeddings take: one sentence each for what a recipe cannot mean."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from rlkit.errors import ConfigError, suggest


def name_in_recipes(thing: Any) -> str:
    """Return how a recipe calls the class of an object: `EquationSet` is `equation_set`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(thing).__name__).lower().removesuffix("_partition")


def check_count(owner: str, field: str, value: Any, smallest: int = 1) -> None:
    """Raise ConfigError unless the value is a whole number (no bool) of at least `smallest`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
        raise ConfigError(f"{owner} was given {field}={value!r}; write a whole number of at least {smallest}.")


def check_share(owner: str, field: str, value: Any) -> None:
    """Raise ConfigError unless the value is a number (no bool, no NaN) from 0 to 1."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise ConfigError(f"{owner} was given {field}={value!r}; write a number from 0 to 1.")


def check_threshold(owner: str, value: Any) -> None:
    """Raise ConfigError unless the value is a number above 0 and up to 1: at 0, everything would be one class."""
    if not _is_number(value) or not 0 < value <= 1:
        raise ConfigError(f"{owner} was given threshold={value!r}; write a number above 0, at most 1.")


def check_seconds(owner: str, field: str, value: Any) -> None:
    """Raise ConfigError unless the value is a positive, finite number (no bool)."""
    if not _is_number(value) or not (0 < value < math.inf):
        raise ConfigError(f"{owner} was given {field}={value!r}; write a positive number of seconds.")


def check_not_negative(owner: str, field: str, value: Any) -> None:
    """Raise ConfigError unless the value is a finite number (no bool) of at least 0."""
    if not _is_number(value) or not (0 <= value < math.inf):
        raise ConfigError(f"{owner} was given {field}={value!r}; write a number of at least 0.")


def check_flag(owner: str, field: str, value: Any) -> None:
    """Raise ConfigError unless the value is a bool."""
    if not isinstance(value, bool):
        raise ConfigError(f"{owner} was given {field}={value!r}; write true or false.")


def check_choice(owner: str, field: str, value: Any, allowed: Sequence[str]) -> None:
    """Raise ConfigError unless the value is one of the allowed words."""
    if value not in allowed:
        raise ConfigError(f"{owner} was given {field}={value!r}.{suggest(str(value), allowed)}")


def check_text(owner: str, field: str, value: Any) -> None:
    """Raise ConfigError unless the value is a string with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{owner} was given {field}={value!r}; write a text that is not empty.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
