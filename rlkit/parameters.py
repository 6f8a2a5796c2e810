"""Checks of the parameters that plug-ins take: one sentence each for what a recipe cannot mean.

A plug-in calls them in `__post_init__`. YAML gives `true` where a number was meant, `.inf`, `.nan`, texts and whole
numbers of a thousand digits; all of those are refused here, before they become a traceback or, worse, a number.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Sequence
from typing import Any

from rlkit.errors import ConfigError, suggest

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 3, 200, 200, 200


def name_in_recipes(thing: Any) -> str:
    """Return how a recipe calls the class of an object: that of `EmbeddingPartition` is `embedding`."""
    return to_recipe_name(type(thing).__name__).removesuffix("_partition")


def to_recipe_name(class_name: str) -> str:
    """Return a class's name as recipes write names: `EquationSet` is `equation_set`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


def check_number(
    owner: str,
    field: str,
    value: Any,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> None:
    """Raise ConfigError unless the value is a finite number (no bool) in the range.

    Args:
        owner: who was given it.
        field: as what.
        value: what was given.
        at_least: smallest number allowed.
        above: largest number too small.
        at_most: largest number allowed.
        below: smallest number too large.
    """
    fits = (
        _is_finite(value)
        and (at_least is None or value >= at_least)
        and (above is None or value > above)
        and (at_most is None or value <= at_most)
        and (below is None or value < below)
    )
    if not fits:
        raise ConfigError(f"{owner} was given {field}={show(value)}; write {_range(at_least, above, at_most, below)}.")


def check_count(owner: str, field: str, value: Any, smallest: int = 1, largest: int | None = None) -> None:
    """Raise ConfigError unless the value is a whole number (no bool) from `smallest` to `largest`, None for no end."""
    most = 2**63 - 1 if largest is None else largest
    if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= most:
        allowed = f"of at least {smallest}" if largest is None else f"from {smallest} to {largest}"
        raise ConfigError(f"{owner} was given {field}={show(value)}; write a whole number {allowed}.")


def check_flag(owner: str, field: str, value: Any) -> None:
    """Raise ConfigError unless the value is a bool."""
    if not isinstance(value, bool):
        raise ConfigError(f"{owner} was given {field}={show(value)}; write true or false.")


def check_choice(owner: str, field: str, value: Any, allowed: Sequence[str]) -> None:
    """Raise ConfigError unless the value is one of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        near = suggest(value[:99] if isinstance(value, str) else show(value), allowed)
        raise ConfigError(f"{owner} was given {field}={show(value)}.{near}")


def check_text(owner: str, field: str, value: Any) -> None:
    """Raise ConfigError unless the value is a string with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{owner} was given {field}={show(value)}; write a text that is not empty.")


def show(value: Any, width: int = 60) -> str:
    """Return a value's `repr` on one line, cut to a width that leaves room for the rest of the sentence."""
    try:
        # A YAML file of ten lines can hold lists of lists whose `repr` would outgrow the memory.
        text = " ".join(_SHORT.repr(value).split("\n"))
    except ValueError:
        # Python does not write out whole numbers of more than 4300 digits.
        return "a number of thousands of digits"
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        # A whole number too large for a float.
        return False


def _range(at_least: float | None, above: float | None, at_most: float | None, below: float | None) -> str:
    if at_least is not None and at_most is not None:
        return f"a number from {at_least:g} to {at_most:g}"
    if above is not None and below is not None:
        return f"a number between {above:g} and {below:g}"
    ends = [
        f"{word} {end:g}"
        for word, end in (("of at least", at_least), ("above", above), ("at most", at_most), ("below", below))
        if end is not None
    ]
    return f"a number {', '.join(ends)}" if ends else "a finite number"
