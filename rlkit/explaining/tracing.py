"""What an advantage chain makes of groups, stage by stage, as plain data."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlkit.errors import MissingInputError, RlkitError
from rlkit.explaining.fields import (
    GROUP_FIELDS,
    OPTION_OF,
    build_context,
    flag,
    options_needed,
    read_values,
    say_missing,
)

if TYPE_CHECKING:
    from rlkit.advantages import Chain

ROUNDING = 1e-12
"""Advantages smaller than this are zero but for the last bits of the arithmetic."""


def explain(spec: str, chain: Chain, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything there is to say, as plain data; None stands for no signal, completions count from 1.

    Args:
        spec: how the user calls the chain.
        chain: the chain.
        given: what `read_values` takes.

    Raises:
        ConfigError: something cannot be read, or has another shape than the rewards'.
        MissingInputError: the chain needs something that is not given; the sentence names the option.
    """
    import torch

    known = read_values(given)
    ctx = build_context(known)
    rewards_PG = ctx.rewards_PGK[:, :, 0]
    shape = tuple(rewards_PG.shape)
    if missing := options_needed(chain.needs, given, correct_known=ctx.correct_PG is not None):
        raise say_missing(spec, missing, shape)
    try:
        values = [torch.as_tensor(stage) for stage in chain.trace(rewards_PG, ctx)]
    except MissingInputError as error:
        options = [OPTION_OF[field] for field in re.findall(r"\w+_P[A-Z]*\b", str(error)) if field in OPTION_OF]
        if not options or options[0] in given:
            raise
        raise say_missing(str(error).partition(" ")[0], options[:1], shape) from error
    advantages = _to_lists(values[-1] if values else rewards_PG)
    return {
        "spec": spec,
        "facts": {GROUP_FIELDS[option].heading: known[option] for option in known if GROUP_FIELDS[option].heading},
        "stages": [
            {**_describe(transform), "values": _to_lists(stage)}
            for transform, stage in zip(chain.transforms, values, strict=True)
        ],
        "advantages": advantages,
        "groups": [_sum_up(group) for group in advantages],
    }


def list_specs() -> list[dict[str, Any]]:
    """Return every preset and transform with the options it needs beside the rewards and its first sentence."""
    from rlkit.advantages import ADVANTAGES, chain, resolve
    from rlkit.plugins import find

    def describe(name: str) -> dict[str, Any]:
        try:
            built = resolve(name)
        except RlkitError:
            # It cannot be built without parameters, and only they decide what it needs.
            built = chain()
        thing = find(name, ADVANTAGES)
        kind = "preset" if getattr(thing, "is_plugin_factory", False) else "transform"
        needs = [flag(option) for option in options_needed(built.needs, ())]
        return {"name": name, "kind": kind, "needs": needs, "says": _first_sentence(thing)}

    return sorted(map(describe, ADVANTAGES.names()), key=lambda spec: spec["kind"])


def _to_lists(values_PG: Any) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in group] for group in values_PG.tolist()]


def _describe(transform: Any) -> dict[str, Any]:
    """Return a transform's name, its parameters that differ from their defaults, and its first sentence."""
    from rlkit import plugins
    from rlkit.advantages.user_transforms import name_transform

    changed = {}
    if dataclasses.is_dataclass(transform):
        defaults = {field.name: plugins.describe(field.default) for field in dataclasses.fields(transform)}
        values = plugins.describe(transform)
        changed = {name: value for name, value in values.items() if name in defaults and value != defaults[name]}
    documented = transform if inspect.isroutine(transform) else type(transform)
    return {"name": name_transform(transform), "parameters": changed, "says": _first_sentence(documented)}


def _first_sentence(documented: Any) -> str:
    return " ".join((inspect.getdoc(documented) or "").partition("\n\n")[0].split())


def _sum_up(advantages: list[float | None]) -> dict[str, Any]:
    known = [(i, value) for i, value in enumerate(advantages, start=1) if value is not None]
    return {
        "pushed_up": [i for i, value in known if value > ROUNDING],
        "pushed_down": [i for i, value in known if value < -ROUNDING],
        "not_pushed": [i for i, value in known if abs(value) <= ROUNDING],
        "no_signal": [i for i, value in enumerate(advantages, start=1) if value is None],
        "sum": math.fsum(value for _, value in known) if known else None,
    }
